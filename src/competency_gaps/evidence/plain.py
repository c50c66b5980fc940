"""Plain gaps and chi_model's intervals [ours]: items against their benchmark's mean, with cluster-robust variances.

chi_model and the plain gap are over items, each with its own weight and score, as the method defines them. Items of a
cluster are not independent, so the variance adds up residuals within a cluster before squaring.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence.interval import (
    binomial_variance,
    gradedness,
    mean_interval,
    ratio_interval,
    ratio_variance,
    together,
    unseen_variance,
)
from competency_gaps.evidence.sums import BlockSums, effective_sample
from competency_gaps.evidence.units import ItemSample, Units


@dataclass(frozen=True)
class ItemSums:
    """Sums over the scored items of each benchmark. C concepts, B benchmarks; float64."""

    items: np.ndarray
    """Shape (B,): scored items."""
    score: np.ndarray
    """Shape (2, B): ``sum s``, ``sum s^2``."""
    weight: np.ndarray
    """Shape (C, B): ``sum w``."""
    squares: np.ndarray
    """Shape (C, B): ``sum w^2``."""
    weight_score: np.ndarray
    """Shape (C, B): ``sum w s``."""
    cluster2: np.ndarray
    """Shape (C, B): ``sum W^2`` over clusters, with ``W`` the sum of ``w`` in a cluster."""
    cluster_score: np.ndarray
    """Shape (C, B): ``sum W V``, with ``V`` the sum of ``w s`` in a cluster."""
    cluster_score2: np.ndarray
    """Shape (C, B): ``sum V^2``."""

    def of_benchmarks(self, chosen: np.ndarray) -> ItemSums:
        """Keep some benchmarks."""
        return ItemSums(*(getattr(self, field.name)[..., chosen] for field in fields(self)))


def item_sums(sample: ItemSample, units: Units, numbers: np.ndarray, cas: sp.csr_array, merged: BlockSums) -> ItemSums:
    """Sum over the items of each benchmark.

    Parameters
    ----------
    units
        Clusters cut at the benchmarks' borders.
    numbers : ndarray of int of shape (B,)
        Numbers of the benchmarks, ascending.
    cas : csr_array of shape (C, N)
        Some concepts' rows.
    merged
        Their sums over units, by benchmark.
    """
    sums = [merged.units, merged.outcome[:2], *(_dense(merged, name) for name in _OF_PAIRS)]
    if units.alone:
        return ItemSums(*sums)
    # Sums over units of one item are sums over items already. Units of several items shared a weight and an outcome.
    place = np.searchsorted(numbers, sample.benchmark)
    kept = np.flatnonzero(units.unit >= 0)
    scores, of_item = sample.scores[kept], place[kept]
    sums[0] = np.bincount(of_item, minlength=len(numbers)).astype(np.float64)
    sums[1] = np.stack([np.bincount(of_item, scores**k, len(numbers)) for k in (1, 2)])
    joint = kept[np.bincount(units.unit[kept])[units.unit[kept]] > 1]
    own, unit, count = np.unique(units.unit[joint], return_inverse=True, return_counts=True)
    part = sp.csr_array(cas[:, joint], dtype=np.float64)
    # One product adds up the weights (real part) and the weighted scores (imaginary part) of a unit's items.
    weights = 1 + 1j * sample.scores[joint]
    both = sp.csr_array(part @ sp.csr_array((weights, (np.arange(len(joint)), unit)), shape=(len(joint), len(own))))
    whole, scored = both.data.real, both.data.imag
    share = np.bincount(unit, units.share[joint]) / count  # items of a unit all have the same
    shared = whole * share[both.indices]
    outcome = shared * units.outcome[own][both.indices]
    by_unit = _Cells(both, np.searchsorted(numbers, units.benchmark[own]), len(numbers))
    by_item = _Cells(part, place[joint], len(numbers))
    changes = (
        by_unit.total(whole - shared),
        by_item.total(part.data**2) - by_unit.total(shared**2),
        by_unit.total(scored - outcome),
        by_unit.total(whole**2 - shared**2),
        by_unit.total(whole * scored - shared * outcome),
        by_unit.total(scored**2 - outcome**2),
    )
    sums[2:] = [np.maximum(0.0, before + change) for before, change in zip(sums[2:], changes, strict=True)]
    return ItemSums(*sums)


class _Cells:
    """Adds up the non-zeros of rows by row and by the group of their column."""

    def __init__(self, rows: sp.csr_array, group: np.ndarray, groups: int) -> None:
        self._shape = (rows.shape[0], groups)
        self._cell = np.repeat(np.arange(rows.shape[0]) * groups, np.diff(rows.indptr)) + group[rows.indices]

    def total(self, values: np.ndarray) -> np.ndarray:
        """Values of the non-zeros: sums of shape (rows, groups)."""
        return np.bincount(self._cell, values, math.prod(self._shape)).reshape(self._shape)


_OF_PAIRS = ("weight", "weight2", "weight_outcome", "weight2", "weight2_outcome", "weight2_outcome2")
"""The block sums that equal the item sums where every item is a unit."""


def _dense(sums: BlockSums, name: str) -> np.ndarray:
    out = np.zeros((sums.concepts, len(sums.units)))
    out[sums.concept, sums.block] = getattr(sums, name)
    return out


def plain_gap(sums: ItemSums) -> np.ndarray:
    """``gap(c) = sum_b sum_x w (s(x) - mean_b s) / sum_b sum_x w`` over scored items.

    Returns
    -------
    ndarray of float64 of shape (concepts,), in [-1, 1]; NaN where no scored item has the concept.
    """
    weight = sums.weight.sum(axis=1)
    return np.divide(plain_statistic(sums), weight, out=np.full(len(weight), np.nan), where=weight > 0)


def _mean(sums: ItemSums) -> np.ndarray:
    return sums.score[0] / np.maximum(sums.items, 1)


def chi_model_interval(sums: ItemSums, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Interval of chi_model in each benchmark.

    Returns
    -------
    low, high : ndarray of float64 of shape (concepts, benchmarks), in [0, 1]; NaN where chi_model is undefined.
    """
    low, high = np.full(sums.weight.shape, np.nan), np.full(sums.weight.shape, np.nan)
    known = sums.weight > 0
    low[known], high[known] = ratio_interval(*_ratios(sums, known), level)
    return low, high


def suite_interval(sums: ItemSums, level: float, *, pooled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the suite's chi_model: of its mean over benchmarks, or of the pooled one; shape (concepts,)."""
    if pooled:
        joined = ItemSums(*(np.asarray(getattr(sums, field.name).sum(axis=-1))[..., None] for field in fields(sums)))
        low, high = chi_model_interval(joined, level)
        return low[:, 0], high[:, 0]
    known = sums.weight > 0
    value, trials, observed, graded = (np.full(sums.weight.shape, np.nan) for _ in range(4))
    value[known], trials[known], observed[known], graded[known] = _ratios(sums, known)
    # A benchmark's few items say little of their variance: it is assumed from its mean and the concept's overall gap.
    expected = np.clip(_mean(sums) + plain_gap(sums)[:, None], 0.0, 1.0)
    whole = binomial_variance(expected, together(trials.T)[:, None], level)
    variance = ratio_variance(trials, observed, graded * whole, unseen_variance(whole, expected, graded))
    return mean_interval(value.T, variance.T, trials.T, level)


def _ratios(sums: ItemSums, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """chi_model where it is defined, with the arguments of :func:`ratio_interval`: trials, observed, graded.

    Parameters
    ----------
    known : ndarray of bool of shape (concepts, benchmarks)
    """
    w2, wv, v2 = sums.cluster2[known], sums.cluster_score[known], sums.cluster_score2[known]
    chi = np.clip(sums.weight_score[known] / sums.weight[known], 0.0, 1.0)
    observed = np.maximum(0.0, v2 - 2 * chi * wv + chi**2 * w2) / w2
    graded = np.broadcast_to(gradedness(sums.items, sums.score), known.shape)[known]
    return chi, effective_sample(sums.weight[known], w2), observed, graded


def plain_statistic(sums: ItemSums) -> np.ndarray:
    """``sum_b sum_x w (s(x) - mean_b s)``: float64 of shape (concepts,)."""
    return np.asarray((sums.weight_score - _mean(sums) * sums.weight).sum(axis=1))


def item_variance(sums: ItemSums) -> np.ndarray:
    """Variance of :func:`plain_statistic` under permutation with items as units and benchmarks as blocks."""
    return _variance(sums.squares, sums.weight, sums.items, sums.score)


def cluster_variance(sums: ItemSums, merged: BlockSums) -> np.ndarray:
    """The same with clusters as units, each with the whole weight of its items; ``merged``: sums by benchmark."""
    return _variance(sums.cluster2, sums.weight, merged.units, merged.outcome)


def _variance(squares: np.ndarray, weight: np.ndarray, units: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    n = np.maximum(units, 1)
    weights = np.maximum(0.0, squares - weight**2 / n)
    outcomes = np.maximum(0.0, outcome[1] - outcome[0] ** 2 / n)
    return np.asarray((weights * outcomes / np.maximum(n - 1, 1)).sum(axis=1))
