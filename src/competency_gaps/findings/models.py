"""The models of a run compared [ours]: the slices on which they differ, and scores on categories of items.

A model may be the best of a category if no other surely scores more on the items that both were scored on: the paired
difference to each other model, clusters counted once, is tested one-sided at :data:`ERROR` over the number of others
(Hsu, Annals of Statistics 9, 1981: multiple comparisons with the best). So with at least 95% confidence the truly best
model is among those that may be. These are scores, as measured: where the hard items lie counts, and peers do not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.special import chdtrc, chdtri, stdtrit

from competency_gaps.evidence import corrected, evidence, interval
from competency_gaps.evidence.outcomes import Outcome
from competency_gaps.findings.answer import Against, analysis_of, chosen_outcome, slice_gaps, slices_of, strata_of
from competency_gaps.findings.finding import CELLS, MAX_SLICES, SLICES, ModelSlices
from competency_gaps.findings.model_scores import mean_scores
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.sample import Outcomes, slice_sample, with_outcomes
from competency_gaps.runs.scores import ModelScores, model_scores
from competency_gaps.slices import Family
from competency_gaps.util.errors import UserError, no_such

MAX_Q_VALUE = 0.05
"""Maximum q-value of a slice on which models differ."""
MAX_CORRELATION = 0.5
"""A slice is not shown if its weights correlate more than this with an earlier one's: it says the same."""


def find_model_slices(
    run: RunFolder, *, against: Against = None, models: Sequence[str] | None = None, max_slices: int = MAX_SLICES
) -> ModelSlices:
    """Return the slices on which models differ, and how each model does on them.

    Models differ on a slice if their gaps differ by more than their errors allow: the variance over models beyond
    noise is ``mean((g - mean g)^2) - mean(se^2)``. Categories of columns come first, because anybody can check them;
    then other slices, the most certain spread first, unless they contain the same items as a slice that is shown
    already.

    Parameters and errors as in :meth:`competency_gaps.Run.model_slices`.
    """
    base = run.run_itself()
    scores = model_scores(base)
    families = [family for family in slices_of(base) if family.name != "concepts"]  # those are for drilling down
    outcomes = _outcomes(base, scores, against, scores.models if models is None else models)
    if not families:  # the run has hardly an item
        return ModelSlices(pl.DataFrame(schema=SLICES), pl.DataFrame(schema=CELLS))
    weights = sp.csr_array(sp.vstack([family.weights for family in families], format="csr"), dtype=np.float32)
    tables = [
        slice_gaps(analysis_of(base, scores, outcome, None)).filter(pl.col("family") != "concepts")
        for outcome in outcomes
    ]
    unscored = np.stack([(table["reason"] == "unscored").fill_null(False).to_numpy() for table in tables])
    gap, width = plain_gaps(base, families, weights, outcomes)
    apart = tables[0].select("slice", "family", "name", items="of_items")
    apart = apart.with_columns(**spread(np.where(unscored, np.nan, gap), width))
    shown = _chosen(apart, weights, max_slices)
    cells = pl.concat(
        table[shown].with_columns(
            model=pl.lit(outcome.model), against=pl.lit("peers" if outcome.kind == "peers" else "benchmark")
        )
        for table, outcome in zip(tables, outcomes, strict=True)
    )
    return ModelSlices(apart[shown], cells.select(*CELLS))


def _outcomes(run: RunFolder, scores: ModelScores, against: Against, models: Sequence[str]) -> list[Outcome]:
    outcomes, why = [], None
    for model in models:
        try:
            outcomes.append(chosen_outcome(run, scores, model, against)[0])
        except UserError as error:
            why = error
            if against != "peers" or model not in scores.models:
                raise
    if not outcomes:
        raise why or UserError(f"the run {run.path} has no scores: add some first.")
    return outcomes


def plain_gaps(
    run: RunFolder, families: Sequence[Family], weights: sp.csr_array, outcomes: Sequence[Outcome]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the measured gap of each slice for each model, and the width of its interval: (models, slices) each."""
    config = run.evidence_config.model_copy(update={"strata": strata_of(run, families)})
    sample = slice_sample(run.items, weights, config.strata)
    samples = (with_outcomes(sample, Outcomes(one.values, one.limits)) for one in outcomes)
    measured = [evidence(one, config.thresholds, draw=False) for one in samples]
    reach = [one.association_high - one.association_low for one in measured]
    return np.stack([one.association for one in measured]), np.stack(reach)


def spread(gap: np.ndarray, width: np.ndarray) -> dict[str, np.ndarray]:
    """Return how much models' true gaps differ on each slice.

    Parameters
    ----------
    gap, width : ndarray of float64 of shape (M, K)
        Gaps of M models on K slices, and the widths of their 95% intervals; NaN = not measured.

    Returns
    -------
    dict of ndarray of float64 of shape (K,)
        The columns of :attr:`ModelSlices.slices`; NaN = fewer than two models.
    """
    known = ~np.isnan(gap)
    error = np.where(known, np.maximum(width, 1e-9) / (2 * interval.quantile(0.95)), 1.0)
    gap, count = np.where(known, gap, 0.0), known.sum(axis=0)
    enough = count > 1
    mean = gap.sum(axis=0) / np.maximum(count, 1)
    between = (known * (gap - mean) ** 2).sum(axis=0) / np.maximum(count - 1, 1)
    noise = (known * error**2).sum(axis=0) / np.maximum(count, 1)
    weighted = known / error**2
    pooled = (weighted * gap).sum(axis=0) / np.maximum(weighted.sum(axis=0), 1e-300)
    p_value = chdtrc(np.maximum(count - 1, 1), (weighted * (gap - pooled) ** 2).sum(axis=0))
    p_value = np.where(enough, p_value, np.nan)
    least = between * np.maximum(count - 1, 1) / chdtri(np.maximum(count - 1, 1), 0.025) - noise
    deviation, least = (
        np.where(enough, np.sqrt(np.maximum(variance, 0.0)), np.nan) for variance in (between - noise, least)
    )
    return {"spread": deviation, "spread_low": least, "p_value": p_value, "q_value": corrected(p_value)}


def _chosen(apart: pl.DataFrame, weights: sp.csr_array, max_slices: int) -> list[int]:
    """Return the rows of the slices to show, in order."""
    sure = apart.with_row_index("place").filter(pl.col("q_value") <= MAX_Q_VALUE)
    order = sure.sort(pl.col("family") != "columns", -pl.col("spread_low"), "place")["place"].to_list()
    product = (weights[order] @ weights[order].T).toarray()
    length = np.sqrt(np.maximum(product.diagonal(), 1e-9))
    alike = product / length / length[:, None] >= MAX_CORRELATION
    shown: list[int] = []
    for row in range(len(order)):
        if len(shown) < max_slices and not alike[row, shown].any():
            shown.append(row)
    return [order[row] for row in shown]


ERROR = 0.05
"""Maximum chance that the best model is not among those that may be best."""
SCORES_BY = {
    **{"slice": pl.Int64, "category": pl.String, "items": pl.Int64, "model": pl.String, "scored": pl.Int64},
    **dict.fromkeys(("mean", "low", "high"), pl.Float64),
    "may_be_best": pl.Boolean,
}
"""Columns of :func:`scores_by`."""


def scores_by(run: RunFolder, column: str) -> pl.DataFrame:
    """Return every model's scores on every category of a column; see :meth:`competency_gaps.Run.scores_by`."""
    families = slices_of(run.run_itself())
    places = [(family, at) for family in families for at, of_slice in enumerate(family.column) if of_slice == column]
    if not places:
        known = dict.fromkeys(of_slice for family in families for of_slice in family.column if of_slice is not None)
        raise no_such("no column of the items is called", column, known)
    return _table(run, _categories(places))


def scores_overall(run: RunFolder) -> pl.DataFrame:
    """Return every model's scores on all items, as :func:`scores_by` without slice and category."""
    return _table(run, [(None, None, np.flatnonzero(run.run_itself().items["excluded"].is_null()))])


def scores_on(run: RunFolder, name: str) -> pl.DataFrame:
    """Return every model's scores on one slice, by its name or number; columns as in :func:`scores_by`.

    Raises
    ------
    UserError
        If there is no such slice.
    """
    families = slices_of(run.run_itself())
    every = [(family, at) for family in families for at in range(len(family.names))]
    alike = [
        (slices_of_family, at)
        for slices_of_family, at in every
        if name in (slices_of_family.names[at], str(slices_of_family.number[at]))
    ]
    if not alike:
        raise no_such(
            "the run has no slice", name, dict.fromkeys(slices_of_family.names[at] for slices_of_family, at in every)
        )
    return _table(run, _categories(alike[:1]))


def _categories(places: Sequence[tuple[Family, int]]) -> list[tuple[int | None, str | None, np.ndarray]]:
    return [(int(family.number[at]), family.names[at], family.member[[at]].indices) for family, at in places]


def _table(run: RunFolder, categories: Sequence[tuple[int | None, str | None, np.ndarray]]) -> pl.DataFrame:
    """Return every model's scores on categories, each given as its slice, its name and the rows of its items."""
    base = run.run_itself()
    scores, cluster = model_scores(base), base.items["cluster"].to_numpy()
    if not scores.models:
        raise UserError(f"the run {run.shown_path} has no scores: add some first.")
    tables = []
    for number, name, rows in categories:
        columns, means = mean_scores(scores.values[:, rows], cluster[rows])
        columns |= {"slice": number, "category": name, "items": len(rows), "model": scores.models}
        columns |= {"may_be_best": may_be_best(means)}
        tables.append(pl.DataFrame(columns, schema=SCORES_BY).sort("mean", descending=True, nulls_last=True))
    return pl.concat(tables)


def may_be_best(values: np.ndarray) -> np.ndarray:
    """Return which models may be the best: those that no other significantly beats.

    Parameters
    ----------
    values : ndarray of float64 of shape (M, U)
        Scores of M models on U independent units; NaN = unscored.

    Returns
    -------
    ndarray of bool of shape (M,)
        False for a model without scores.
    """
    known = (~np.isnan(values)).astype(np.float64)
    filled = np.nan_to_num(values)
    shared = known @ known.T
    total, squares = filled @ known.T, filled**2 @ known.T
    with np.errstate(invalid="ignore", divide="ignore"):
        above = (total - total.T) / shared  # by how much the row's model scores more than the column's
        variance = (squares + squares.T - 2 * filled @ filled.T) / shared - above**2
        error = np.sqrt(np.maximum(variance, 0.0) / (shared - 1))
        # An error of 0 is that of a few equal differences: a unit that went the other way would not surprise.
        error = np.maximum(error, 1 / (shared + 2))
        beaten = above > stdtrit(np.maximum(shared - 1, 1), 1 - ERROR / max(1, len(values) - 1)) * error
    return ~(beaten & (shared > 1)).any(axis=0) & (known.sum(axis=1) > 0)
