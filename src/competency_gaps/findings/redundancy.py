"""Which parts of a run add what its other parts do not measure: its benchmarks, or the groups of a single one [ours].

A part *adds* something if the models' mean scores on the other parts miss its own by more than noise: more than where
items are dealt to the parts at random among items of like difficulty (parallel analysis; Horn, Psychometrika 30, 1965).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.stats import rankdata

from competency_gaps.evidence.sample import split_by_size
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import model_scores
from competency_gaps.slices.family import MIN_ITEMS
from competency_gaps.slices.store import stored_families

MIN_MODELS = 6
"""Models with scores on all parts, below which nothing is said."""
DRAWS = 99
STRATA = 10
"""Of difficulty, within which items are dealt to other parts."""
RIDGE = np.geomspace(1e-4, 1.0, 9)
"""Penalties that are tried, as shares of the predictors' variance."""


@dataclass(frozen=True)
class RedundancyPart:
    """A benchmark or group."""

    name: str
    items: int
    missed: float
    """Root mean square by which the other parts miss a model's score on this one, in [0, 1]."""
    noise: float
    """The most that they would miss if items were dealt to the parts at random (95% of draws, over all parts)."""
    adds: bool
    """Whether ``missed`` exceeds ``noise``."""


@dataclass(frozen=True)
class Redundancy:
    """Which of at least two parts add what the others do not measure."""

    what: Literal["benchmark", "group"]
    models: int
    """Models with scores on all parts."""
    common: float
    """Share of the models' differences along one common axis, nearly always overall strength; in [0, 1]."""
    parts: tuple[RedundancyPart, ...]
    """Those that the others miss most come first."""


class Added(NamedTuple):
    """What the scores of ``models`` models say of P parts, as in :class:`Redundancy` and its parts."""

    models: int
    common: float
    missed: np.ndarray
    """float64 of shape (P,)."""
    noise: np.ndarray
    """float64 of shape (P,)."""


def redundancy(run: RunFolder) -> Redundancy | None:
    """Return which parts of a run add what; None: it has fewer than two, or :data:`MIN_MODELS` models on all."""
    family = next((family for family in stored_families(run) if family.name == "columns"), None)
    if family is None or not {"benchmark", "group"} & set(family.column):
        return None
    what: Literal["benchmark", "group"] = "benchmark" if "benchmark" in family.column else "group"
    rows = [row for row, column in enumerate(family.column) if column == what]
    label = np.full(run.items.height, -1)
    for number, row in enumerate(rows):
        label[family.weights[[row]].indices] = number
    result = added(model_scores(run).values, label, run.items["cluster"].to_numpy())
    if result is None:
        return None
    names, items = [family.names[row] for row in rows], np.bincount(label[label >= 0], minlength=len(rows)).tolist()
    columns = zip(names, items, result.missed.tolist(), result.noise.tolist(), strict=True)
    parts = [RedundancyPart(*column, adds=column[2] > column[3]) for column in columns]
    return Redundancy(what, result.models, result.common, tuple(sorted(parts, key=lambda part: -part.missed)))


def added(scores: np.ndarray, label: np.ndarray, cluster: np.ndarray, seed: int = 0) -> Added | None:
    """Compare how far the other parts miss a part's scores with what chance would leave.

    Parameters
    ----------
    scores : ndarray of float64 of shape (M, N)
        In [0, 1]; NaN = unscored.
    label : ndarray of int of shape (N,)
        The part of each item; -1: none.
    cluster : ndarray of int of shape (N,)
        Items of one cluster stay together.

    Returns
    -------
    Added or None
        None: there are fewer than two parts, or :data:`MIN_MODELS` models with :data:`MIN_ITEMS` scores on each.
    """
    parts = int(label.max(initial=-1)) + 1
    if parts < 2 or len(scores) < MIN_MODELS:
        return None
    inside = (label >= 0) & ~np.isnan(scores).all(axis=0)
    values = scores[:, inside]
    known = ~np.isnan(values)
    difficulty = np.nansum(values, axis=0) / known.sum(axis=0)
    (part, _), unit = np.unique(np.stack([label[inside], cluster[inside]]), axis=1, return_inverse=True)
    unit = unit.ravel()
    size = np.bincount(unit)
    total, count = (
        _sums(of_items, unit, len(size)) for of_items in (np.where(known, values - difficulty, 0), known.astype(float))
    )
    whole = (_sums((count > 0).astype(float), part, parts) >= MIN_ITEMS).all(axis=1)
    if whole.sum() < MIN_MODELS:
        return None
    total, count = total[whole], count[whole]
    rank = rankdata(np.bincount(unit, difficulty) / size, method="ordinal") - 1
    stratum = split_by_size(STRATA * rank // len(size), size)
    order, rng = np.argsort(stratum, kind="stable"), np.random.default_rng(seed)
    drawn, dealt = [], np.empty_like(part)
    for _ in range(DRAWS):
        dealt[order] = part[np.lexsort((rng.random(len(part)), stratum))]
        drawn.append(unexplained(_sums(total, dealt, parts) / np.maximum(_sums(count, dealt, parts), 1)))
    mean = _sums(total, part, parts) / _sums(count, part, parts)
    variance = np.linalg.eigvalsh(np.cov(mean.T))
    middle = np.median(drawn, axis=0)
    noise = middle * np.quantile((drawn / middle).max(axis=1), 0.95)
    return Added(int(whole.sum()), float(variance[-1] / variance.sum()), unexplained(mean), noise)


def _sums(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Sums over the columns of each group: shape (M, groups)."""
    rows = sp.csr_array((np.ones(len(group)), (group, np.arange(len(group)))), shape=(groups, len(group)))
    return np.asarray((rows @ values.T).T)


def unexplained(mean: np.ndarray) -> np.ndarray:
    """Return what the other parts do not explain of M models' means: root mean squares, shape (P,).

    Ridge regression on the other parts, for each model from the others; of :data:`RIDGE` the best penalty.

    Parameters
    ----------
    mean : ndarray of float64 of shape (M, P)
    """
    models, parts = mean.shape
    centred, missed = mean - mean.mean(axis=0), np.empty(parts)
    for part in range(parts):
        left, size, _ = np.linalg.svd(np.delete(centred, part, axis=1), full_matrices=False)
        variance = size**2
        shrunk = variance / (variance + RIDGE[:, None] * max(variance.sum(), 1e-300))
        error = centred[:, part] - (shrunk * (left.T @ centred[:, part])) @ left.T
        error /= np.maximum(1 - 1 / models - shrunk @ (left**2).T, 1e-9)
        missed[part] = np.sqrt((error**2).mean(axis=1).min())
    return missed
