"""Scores of a run's models: per model, per item, and whether missing scores are random."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.evidence import ItemSample, Thresholds, corrected, evidence
from competency_gaps.evidence.interval import mean
from competency_gaps.evidence.outcomes import item_facts, wrong_alike
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.sample import Outcomes, slice_sample, with_outcomes
from competency_gaps.runs.scores import ModelScores, model_scores, read_scores

MAX_ANSWER_LENGTH = 80
"""Maximum length of answers that are compared between models, in characters."""


def models_table(run: RunFolder) -> pl.DataFrame:
    """Return a table of the models that the run has scores of.

    Returns
    -------
    polars.DataFrame
        One row per model: ``model``, ``reads`` (whether the concepts are read from its activations), ``scored`` and
        ``unscored`` (kept items that it was asked, with and without a score), ``mean`` over the scored items with its
        interval ``low`` and ``high``, clusters counted once.
    """
    base = run.run_itself()
    scores = model_scores(base)
    columns, _ = mean_scores(scores.values, base.items["cluster"].to_numpy())
    columns |= {"model": scores.models, "reads": [model == base.reader for model in scores.models]}
    columns |= {"unscored": (scores.asked & np.isnan(scores.values)).sum(axis=1)}
    kinds = {"model": pl.String, "reads": pl.Boolean, "scored": pl.Int64, "unscored": pl.Int64}
    return pl.DataFrame(columns, schema={**kinds, "mean": pl.Float64, "low": pl.Float64, "high": pl.Float64})


def mean_scores(values: np.ndarray, cluster: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Average models' scores over items of shape (models, items), clusters counted once.

    Returns
    -------
    dict
        Per model ``scored`` items, and ``mean`` with its interval ``low`` and ``high``; None without scores.
    ndarray of float64 of shape (models, clusters)
        Mean score of each cluster; NaN: none.
    """
    _, number = np.unique(cluster, return_inverse=True)
    known = ~np.isnan(values)
    sizes = np.array([np.bincount(number, row) for row in known])
    sums = np.array([np.bincount(number, row) for row in np.nan_to_num(values)])
    means = np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan)
    estimates = [mean(row[size > 0], size[size > 0]) for row, size in zip(means, sizes, strict=True)]
    ends = {"mean": "value", "low": "low", "high": "high"}
    columns = {name: [one and getattr(one, end) for one in estimates] for name, end in ends.items()}
    return {"scored": known.sum(axis=1), **columns}, means


def item_models(run: RunFolder) -> pl.DataFrame:
    """Return what all models' scores say about each item.

    Returns
    -------
    polars.DataFrame
        One row per item: ``benchmark``, ``item_id``, ``models`` (scored on it), ``mean``, ``discrimination``
        (correlation with the models' scores on the benchmark's other items; null: too few models, or all alike),
        ``p_value`` and ``q_value`` of a discrimination below 0: strong models wrong, weak ones right; ``wrong``
        (models whose answer is known and wrong), ``alike`` (those of them that give the most common answer) and
        ``alike_q``: agreement on an answer that the key calls wrong.
    """
    base = run.run_itself()
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


def _answers(run: RunFolder, scores: ModelScores, responses: pl.Series) -> np.ndarray:
    """Return a number for each model's answer: int64 of shape (models, items).

    Answers that differ only by blanks and case have the same number. -1: no answer is stored, or it is too long for two
    models to write the same.
    """
    added = read_scores(run.path)
    texts = []
    for model in scores.models:
        rows = added.filter(pl.col("model") == model)
        if rows.is_empty():
            texts.append(responses)
            continue
        every = pl.DataFrame({"item": np.arange(len(responses), dtype=np.int32)})
        texts.append(every.join(rows, on="item", how="left", maintain_order="left")["response"])
    if not texts:
        return np.zeros((0, len(responses)), np.int64)
    folded = pl.concat(texts).str.strip_chars().str.to_lowercase()
    short = folded.set((folded.str.len_chars() > MAX_ANSWER_LENGTH).fill_null(value=True), None)
    number = short.cast(pl.Categorical).to_physical().cast(pl.Int64).fill_null(-1)
    return np.asarray(number.to_numpy().reshape(len(texts), len(responses)))


MAX_P_VALUE = 0.05
"""Maximum p-value at which missing scores are reported to depend on difficulty."""


@dataclass(frozen=True)
class Missing:
    """How items with missing scores differ from others of their benchmarks and of about equal length."""

    share: float
    """Share of the items' scores that are missing, in [0, 1]."""
    gap: float
    """By how much others score more there, in [-1, 1]; negative: scores are missing on hard items. NaN = too few
    items to tell."""
    low: float
    """Lower end of its 95% interval."""
    high: float
    p_value: float

    @property
    def with_difficulty(self) -> bool:
        """Whether scores are missing more often on harder, or on easier, items."""
        return self.p_value <= MAX_P_VALUE


def missing_scores(
    sample: ItemSample, lacking: np.ndarray, others: np.ndarray, thresholds: Thresholds
) -> Missing | None:
    """Return whether missing scores depend on the items' difficulty; None if no score is missing.

    Parameters
    ----------
    sample
        The items, with any outcomes.
    lacking : ndarray of float64 of shape (N,)
        Share of the models without a score of the item, in [0, 1]; NaN = the item does not count.
    others : ndarray of float64 of shape (N,)
        Other models' score on the item, on any scale; NaN = unknown.
    """
    share = float(np.nanmean(lacking)) if not np.isnan(lacking).all() else 0.0
    if share == 0:
        return None
    weight = sp.csr_array(np.nan_to_num(lacking)[None])
    where = replace(sample, rows=lambda asked: sp.csr_array(weight[asked]), support=np.array([weight.nnz]))
    difficulty = np.where(np.isnan(lacking), np.nan, others)
    limits = float(np.nanmin(difficulty, initial=0.0)), float(np.nanmax(difficulty, initial=1.0))
    harder = evidence(with_outcomes(where, Outcomes(difficulty, limits)), thresholds)
    names = ("association", "association_low", "association_high", "p_value")
    return Missing(share, *(float(getattr(harder, name)[0]) for name in names))


def missing_of_models(run: RunFolder) -> dict[str, Missing]:
    """Return, for each model with missing scores, whether the others find those items hard.

    The p-values are corrected over the models by Benjamini and Hochberg's method.
    """
    base = run.run_itself()
    scores, config = model_scores(base), base.evidence_config
    sample = slice_sample(base.items, sp.csr_array((0, base.items.height)), config.strata)
    relative = np.full(scores.values.shape, np.nan)
    for number in np.unique(sample.benchmark):
        columns = np.flatnonzero(sample.benchmark == number)
        inside = np.ma.masked_invalid(scores.values[:, columns])
        relative[:, columns] = (inside - inside.mean(axis=1, keepdims=True)).filled(np.nan)
    measured = {}
    for row, model in enumerate(scores.models):
        others = np.ma.masked_invalid(np.delete(relative, row, axis=0)).mean(axis=0)
        lacking = np.where(scores.asked[row], np.isnan(scores.values[row]), np.nan)
        of_model = missing_scores(sample, lacking, np.ma.filled(others, np.nan), config.thresholds)
        if of_model is not None:
            measured[model] = of_model
    q_value = corrected(np.array([inside.p_value for inside in measured.values()]))
    return {
        model: replace(inside, p_value=value)
        for (model, inside), value in zip(measured.items(), q_value.tolist(), strict=True)
    }
