"""The models of a run side by side: how each does, and what they say of each item."""

from __future__ import annotations

import numpy as np
import polars as pl

from competency_gaps.evidence.interval import mean
from competency_gaps.outcomes import item_facts, wrong_alike
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.scores import ModelScores, model_scores, read_scores

LONGEST_ANSWER = 80
"""Characters of an answer that other models may give in the same words."""


def models_table(run: RunFolder) -> pl.DataFrame:
    """Every model that the run has scores of.

    Returns
    -------
    polars.DataFrame
        One row per model: ``model``, ``reads`` (whether its activations are the concepts), ``scored`` and ``unscored``
        (kept items that it was asked, with and without a score), ``mean`` over the scored items with its interval
        ``low`` and ``high``, clusters counted once.
    """
    base = open_folder(run.base)
    scores = model_scores(base)
    cluster = base.items["cluster"].to_numpy()
    rows = []
    for model, values, asked in zip(scores.models, scores.values, scores.asked, strict=True):
        known = ~np.isnan(values)
        _, own = np.unique(cluster[known], return_inverse=True)
        size = np.bincount(own) if known.any() else np.zeros(0)
        estimate = mean(np.bincount(own, values[known]) / size, size.astype(float)) if known.any() else None
        rows.append(
            {
                "model": model,
                "reads": model == base.manifest["model"]["name"],
                "scored": int(known.sum()),
                "unscored": int((asked & ~known).sum()),
                "mean": estimate and estimate.value,
                "low": estimate and estimate.low,
                "high": estimate and estimate.high,
            }
        )
    kinds = {"mean": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=kinds)


def item_models(run: RunFolder) -> pl.DataFrame:
    """What all models' scores say of each item.

    Returns
    -------
    polars.DataFrame
        One row per item: ``benchmark``, ``item_id``, ``models`` (scored on it), ``mean``, ``discrimination``,
        ``p_value`` and ``q_value`` as :func:`competency_gaps.outcomes.item_facts` gives them; null: too few models, or
        all score alike. ``wrong`` (models whose answer is known and wrong), ``alike`` (of these, those that give the
        most common answer) and ``alike_q`` as of :func:`competency_gaps.outcomes.wrong_alike`; null: fewer than two.
    """
    base = open_folder(run.base)
    items = base.files.collect("items", base.scan("items").select("benchmark", "item_id", "response"))
    names = items["benchmark"].unique(maintain_order=True).to_list()
    group = items["benchmark"].replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy()
    scores = model_scores(base)
    facts = item_facts(scores.values, group)
    same = wrong_alike(scores.values, _answers(base, scores, items["response"]))
    columns = {**vars(facts), "wrong": same.wrong, "alike": same.alike, "alike_q": same.q_value}
    return items.drop("response").with_columns(
        pl.Series(name, values).fill_nan(None) for name, values in columns.items()
    )


def _answers(run: RunFolder, scores: ModelScores, own: pl.Series) -> np.ndarray:
    """Number the models' answers, alike where they differ by blanks and case: int64 of shape (models, items).

    -1: no answer is kept, or it is a longer text, which no two models write alike.
    """
    added = read_scores(run.base)
    texts = []
    for model in scores.models:
        rows = added.filter(pl.col("model") == model)
        if rows.is_empty():
            texts.append(own)
            continue
        place = pl.DataFrame({"item": np.arange(len(own), dtype=np.int32)})
        texts.append(place.join(rows, on="item", how="left", maintain_order="left")["response"])
    if not texts:
        return np.zeros((0, len(own)), np.int64)
    folded = pl.concat(texts).str.strip_chars().str.to_lowercase()
    short = folded.set((folded.str.len_chars() > LONGEST_ANSWER).fill_null(value=True), None)
    number = short.cast(pl.Categorical).to_physical().cast(pl.Int64).fill_null(-1)
    return np.asarray(number.to_numpy().reshape(len(texts), len(own)))
