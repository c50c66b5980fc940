"""Plain gaps and chi_model's intervals [ours]: items against their benchmark's mean, with cluster-robust variances.

chi_model and the plain gap are over items, each with its own weight and score, as the method defines them. Items of a
cluster are not independent, so the variance adds up residuals within a cluster before squaring.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class ScoredItems:
    """The scored items of a sample, by benchmark. N items, B benchmarks."""

    units: Units
    """Clusters cut at the benchmarks' borders."""
    place: np.ndarray
    """int64 of shape (N,): place of each item's benchmark among the benchmarks with a scored item."""
    scores: np.ndarray
    """float64 of shape (N,); NaN = unscored."""
    items: np.ndarray
    """float64 of shape (B,): number of scored items."""
    score: np.ndarray
    """float64 of shape (2, B): ``sum s``, ``sum s^2``."""

    @staticmethod
    def of(sample: ItemSample, units: Units, numbers: np.ndarray) -> ScoredItems:
        """Gather them; ``numbers``: the benchmarks' numbers, int of shape (B,), ascending."""
        place = np.searchsorted(numbers, sample.benchmark)
        known = ~np.isnan(sample.scores)
        scores, of_item, count = sample.scores[known], place[known], len(numbers)
        score = np.stack([np.bincount(of_item, scores**k, count) for k in (1, 2)])
        return ScoredItems(units, place, sample.scores, np.bincount(of_item, minlength=count) * 1.0, score)


def item_sums(
    scored: ScoredItems, cas: sp.csr_array, merged: BlockSums, joint: tuple[np.ndarray, np.ndarray]
) -> ItemSums:
    """Sum over the items of each benchmark.

    Parameters
    ----------
    cas : csr_array of shape (C, N)
        Some concepts' rows.
    merged
        Their sums over units, by benchmark.
    joint
        As :meth:`Units.joint` gives it for ``cas``.
    """
    sums = [_dense(merged, name) for name in _OF_PAIRS]
    units, shape = scored.units, (cas.shape[0], len(scored.items))
    if units.alone:
        return ItemSums(scored.items, scored.score, *sums)
    # Sums over units of one item are sums over items already. Units of several items shared a weight and an outcome.
    place, first = joint
    item, w = cas.indices[place], cas.data[place].astype(np.float64)
    cell = (np.searchsorted(cas.indptr, place, side="right") - 1) * shape[1] + scored.place[item]

    def by_unit(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, first) if len(first) else np.zeros(0)

    def total(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
        return np.bincount(cells, values, shape[0] * shape[1]).reshape(shape)

    whole, scores = by_unit(w), by_unit(w * scored.scores[item])
    shared = whole * units.share[item[first]]
    outcome = shared * units.outcome[units.unit[item[first]]]
    of_unit = cell[first]
    changes = (
        total(whole - shared, of_unit),
        total(w**2, cell) - total(shared**2, of_unit),
        total(scores - outcome, of_unit),
        total(whole**2 - shared**2, of_unit),
        total(whole * scores - shared * outcome, of_unit),
        total(scores**2 - outcome**2, of_unit),
    )
    changed = [np.maximum(0.0, before + change) for before, change in zip(sums, changes, strict=True)]
    return ItemSums(scored.items, scored.score, *changed)


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


def suite_interval(sums: ItemSums, level: float, *, pooled: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The suite's chi_model, a mean over benchmarks or pooled, and its interval: each of shape (concepts,)."""
    if pooled:
        joined = ItemSums(*(np.asarray(getattr(sums, field.name).sum(axis=-1))[..., None] for field in fields(sums)))
        low, high = chi_model_interval(joined, level)
        weight = joined.weight[:, 0]
        mean = np.divide(joined.weight_score[:, 0], weight, out=np.full(len(weight), np.nan), where=weight > 0)
        return np.clip(mean, 0.0, 1.0), low[:, 0], high[:, 0]
    known = sums.weight > 0
    value, trials, observed, graded = (np.full(sums.weight.shape, np.nan) for _ in range(4))
    value[known], trials[known], observed[known], graded[known] = _ratios(sums, known)
    # A benchmark's few items say little of their variance: it is assumed from its mean and the concept's overall gap.
    expected = np.clip(_mean(sums) + plain_gap(sums)[:, None], 0.0, 1.0)
    whole = binomial_variance(expected, together(trials.T)[:, None], level)
    variance = ratio_variance(trials, observed, graded * whole, unseen_variance(whole, expected, graded))
    count = known.sum(axis=1)
    mean = np.divide(np.nansum(value, axis=1), count, out=np.full(len(count), np.nan), where=count > 0)
    return mean, *mean_interval(value.T, variance.T, trials.T, level)


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
