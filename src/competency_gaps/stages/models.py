"""The models of a run side by side: how each does, and on which themes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.stats import false_discovery_control

from competency_gaps.activations.store import CasStore
from competency_gaps.errors import UserError
from competency_gaps.evidence import ItemSample, evidence
from competency_gaps.evidence.resample import mean
from competency_gaps.outcomes import Kind, item_facts, wrong_alike
from competency_gaps.progress import Progress
from competency_gaps.runs.covariates import item_covariates, repeats
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.sample import Outcomes, with_outcomes
from competency_gaps.runs.scores import ModelScores, model_scores, read_scores
from competency_gaps.runs.settings import evidence_config
from competency_gaps.stages.outcomes import outcome_of

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
    items = base.scan("items").select("benchmark", "item_id", "response").collect()
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


def model_themes(
    run: RunFolder,
    kind: Kind = "score",
    *,
    models: Sequence[str] | None = None,
    level: str = "theme",
    progress: Progress | None = None,
) -> pl.DataFrame:
    """How each model does on each theme: gaps with intervals, and false discoveries controlled over all cells.

    Parameters
    ----------
    kind
        ``score`` (a theme against the model's other items) or ``peers`` (besides, against models of its level).
    models
        None: all that have scores; against peers those with enough peers.
    level
        ``theme`` or ``subtheme``.

    Returns
    -------
    polars.DataFrame
        One row per model and theme: ``model``, ``theme`` (its number), ``name``, ``n_eff``, ``mean`` (outcome weighted
        by the theme's activation), ``gap``, ``gap_low``, ``gap_high``, ``p_value``, ``q_value`` (Benjamini-Hochberg
        over all tested cells; those whose interval reaches within the run's ``min_gap`` of 0 count as p = 1),
        ``status`` (weak, strong, typical, insufficient).

    Raises
    ------
    UserError
        If the run has no themes, no scores of a model, or no model with enough peers.
    """
    base, progress = open_folder(run.base), progress or Progress(quiet=True)
    names = base.theme_results
    if base.themes is None or names is None:
        raise UserError(
            f"the run {base.path} has no themes. Group the concepts of its dictionary with 'cgaps themes', then put it "
            "on the run with 'cgaps name'."
        )
    chosen = names.filter(pl.col("level") == level).sort("id")
    rows = theme_rows(base, base.themes[level], base.concepts["ranked"].to_numpy())
    scores = model_scores(base)
    config = evidence_config(base)
    sample = _sample(base, rows, config.strata)
    parts = []
    wanted = list(models) if models is not None else list(scores.models)
    with progress.stage("models", total=len(wanted), unit="models") as bar:
        for model in wanted:
            try:
                outcome = outcome_of(base, scores, model, kind)
            except UserError:
                if models is not None or model not in scores.models:
                    raise
                bar.advance()
                continue
            of_model = with_outcomes(sample, Outcomes(outcome.values, outcome.limits))
            own = evidence(of_model, config, groups=False)
            parts.append(
                pl.DataFrame(
                    {
                        "model": [model] * chosen.height,
                        "theme": chosen["id"],
                        "name": chosen["name"],
                        "n_eff": own.n_eff,
                        "mean": own.chi_model,
                        "gap": own.gap,
                        "gap_low": own.gap_low,
                        "gap_high": own.gap_high,
                        "p_value": own.p_value,
                    }
                )
            )
            bar.advance()
    if not parts:
        raise UserError(f"the run {base.path} has no model with enough peers: scores on the same items are needed.")
    return _judged(pl.concat(parts), config.q, config.min_gap)


def theme_rows(run: RunFolder, groups: pl.Series, ranked: np.ndarray) -> sp.csr_array:
    """The activation of themes: sums over their ranked concepts, read shard by shard.

    Parameters
    ----------
    groups
        Theme of each concept; null: none.
    ranked : ndarray of bool of shape (concepts,)

    Returns
    -------
    csr_array of float32 of shape (themes, items)
    """
    number = groups.fill_null(-1).to_numpy()
    own = np.flatnonzero((number >= 0) & ranked)
    count = int(number.max(initial=-1)) + 1
    members = sp.csr_array((np.ones(len(own)), (own, number[own])), shape=(len(number), count))
    store = CasStore(run.base / "activations", run.width)
    places, parts, first = [], [], 0
    for entry in run.manifest["benchmarks"]:
        for block in store.blocks(entry["shards"]):
            parts.append(sp.csr_array((sp.csr_array(block.cas, dtype=np.float64) @ members).astype(np.float32)))
            places.append(first + np.asarray(block.items, np.int64))
        first += int(entry["items"])
    stacked = sp.coo_array(sp.vstack(parts)) if parts else sp.coo_array((0, count))
    place = np.concatenate([*places, np.zeros(0, np.int64)])
    return sp.csr_array((stacked.data, (stacked.col, place[stacked.row])), shape=(count, first))


def _sample(run: RunFolder, rows: sp.csr_array, strata: Sequence[str]) -> ItemSample:
    items = run.items
    names = items["benchmark"].unique(maintain_order=True).to_list()
    return ItemSample(
        np.full(items.height, np.nan),
        items["benchmark"].replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy(),
        lambda asked: sp.csr_array(rows[asked]),
        np.diff(rows.indptr).astype(np.int64),
        items["cluster"].cast(pl.Int64).to_numpy(),
        item_covariates(items, strata),
        repeats(items),
    )


def _judged(table: pl.DataFrame, q: float, min_gap: float) -> pl.DataFrame:
    """Add ``q_value`` over all cells, and ``status``."""
    p_value = table["p_value"].to_numpy()
    sizeable = ((table["gap_high"] < -min_gap) | (table["gap_low"] > min_gap)).to_numpy()
    tested = ~np.isnan(p_value)
    q_value = np.full(len(p_value), np.nan)
    if tested.any():
        q_value[tested] = false_discovery_control(np.where(sizeable, p_value, 1.0)[tested])
    verdict = (
        pl.when(pl.col("q_value").is_null())
        .then(pl.lit("insufficient"))
        .when(pl.col("q_value") > q)
        .then(pl.lit("typical"))
        .when(pl.col("gap") < 0)
        .then(pl.lit("weak"))
        .otherwise(pl.lit("strong"))
    )
    numbers = ("n_eff", "mean", "gap", "gap_low", "gap_high", "p_value", "q_value")
    return (
        table.with_columns(pl.Series("q_value", q_value))
        .with_columns(pl.col(numbers).fill_nan(None))
        .with_columns(status=verdict)
    )
