"""How models score on categories of items, and which of them may be the best there [ours].

A model may be the best of a category if no other surely scores more on the items that both were scored on: the paired
difference to each other model, clusters counted once, is tested one-sided at :data:`ERROR` over the number of others
(Hsu, Annals of Statistics 9, 1981: multiple comparisons with the best). So with at least 95% confidence the truly best
model is among those that may be. These are scores, as measured: where the hard items lie counts, and peers do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.special import stdtrit

from competency_gaps.errors import UserError, no_such
from competency_gaps.evidence.interval import mean
from competency_gaps.findings.answer import slices_of
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import model_scores
from competency_gaps.slices import Family

ERROR = 0.05
"""Chance that the best model is not among those that may be, at most."""
SCORES_BY = {
    **{"slice": pl.Int64, "category": pl.String, "items": pl.Int64, "model": pl.String, "scored": pl.Int64},
    **dict.fromkeys(("mean", "low", "high"), pl.Float64),
    "may_be_best": pl.Boolean,
}
"""Columns of :func:`scores_by`."""


def scores_by(run: RunFolder, column: str) -> pl.DataFrame:
    """Score every model on every category of a column, as :meth:`competency_gaps.Run.scores_by` describes."""
    families = slices_of(run.run_itself())
    places = [(family, at) for family in families for at, own in enumerate(family.question) if own == column]
    if not places:
        known = dict.fromkeys(own for family in families for own in family.question if own is not None)
        raise no_such("no column of the items is called", column, known)
    return _table(run, _categories(places))


def scores_overall(run: RunFolder) -> pl.DataFrame:
    """Score every model on all items; columns as :func:`scores_by`, without slice and category."""
    return _table(run, [(None, None, np.flatnonzero(run.run_itself().items["excluded"].is_null()))])


def scores_on(run: RunFolder, name: str) -> pl.DataFrame:
    """Score every model on one slice, by its name or its number among ``run.slices``; columns as :func:`scores_by`.

    Raises
    ------
    UserError
        If there is no such slice.
    """
    families = slices_of(run.run_itself())
    every = [(family, at) for family in families for at in range(len(family.names))]
    alike = [(own, at) for own, at in every if name in (own.names[at], str(own.number[at]))]
    if not alike:
        raise no_such("the run has no slice", name, dict.fromkeys(own.names[at] for own, at in every))
    return _table(run, _categories(alike[:1]))


def _categories(places: Sequence[tuple[Family, int]]) -> list[tuple[int | None, str | None, np.ndarray]]:
    return [(int(family.number[at]), family.names[at], family.member[[at]].indices) for family, at in places]


def _table(run: RunFolder, categories: Sequence[tuple[int | None, str | None, np.ndarray]]) -> pl.DataFrame:
    """Of each category its slice, its name and the rows of its items."""
    base = run.run_itself()
    scores, cluster = model_scores(base), base.items["cluster"].to_numpy()
    if not scores.models:
        raise UserError(f"the run {run.shown_path} has no scores: add some first.")
    tables = []
    for number, name, rows in categories:
        means, sizes = _by_cluster(scores.values[:, rows], cluster[rows])
        estimates = [
            mean(own[known], size[known]) for own, size in zip(means, sizes, strict=True) for known in [size > 0]
        ]
        ends = {end: [None if e is None else getattr(e, end) for e in estimates] for end in ("value", "low", "high")}
        columns: dict[str, Any] = {"slice": number, "category": name, "items": len(rows), "model": scores.models}
        columns |= {"scored": (~np.isnan(scores.values[:, rows])).sum(axis=1), "mean": ends["value"]}
        columns |= {"low": ends["low"], "high": ends["high"], "may_be_best": may_be_best(means)}
        tables.append(pl.DataFrame(columns, schema=SCORES_BY).sort("mean", descending=True, nulls_last=True))
    return pl.concat(tables)


def _by_cluster(values: np.ndarray, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean score of each cluster, and its scored items: two float64 of shape (models, clusters); NaN: none."""
    _, number = np.unique(cluster, return_inverse=True)
    known = ~np.isnan(values)
    sizes, sums = (np.stack([np.bincount(number, row) for row in own]) for own in (known, np.where(known, values, 0.0)))
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan), sizes


def may_be_best(values: np.ndarray) -> np.ndarray:
    """Which models no other surely beats.

    Parameters
    ----------
    values : ndarray of float64 of shape (M, U)
        Scores of M models on U independent units; NaN = unscored.

    Returns
    -------
    ndarray of bool of shape (M,)
        A model without scores may not be the best.
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
