"""Plain gaps and chi_model's intervals [ours]: items against their benchmark's mean, with cluster-robust variances.

chi_model and the plain gap are over items, each with its own weight and score, as the method defines them. Items of a
cluster are not independent, so the variance adds up residuals within a cluster before squaring.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """Sums over the scored items of each benchmark. C concepts, B benchmarks; float64; ``...``: several outcomes."""

    items: np.ndarray
    """Shape (B,): scored items."""
    score: np.ndarray
    """Shape (2, ..., B): ``sum s``, ``sum s^2``."""
    weight: np.ndarray
    """Shape (C, B): ``sum w``."""
    squares: np.ndarray
    """Shape (C, B): ``sum w^2``."""
    weight_score: np.ndarray
    """Shape (..., C, B): ``sum w s``."""
    cluster2: np.ndarray
    """Shape (C, B): ``sum W^2`` over clusters, with ``W`` the sum of ``w`` in a cluster."""
    cluster_score: np.ndarray
    """Shape (..., C, B): ``sum W V``, with ``V`` the sum of ``w s`` in a cluster."""
    cluster_score2: np.ndarray
    """Shape (..., C, B): ``sum V^2``."""
    clusters: np.ndarray
    """Shape (B,): clusters that count in the benchmark."""
    outcome: np.ndarray
    """Shape (2 or more, ..., B): ``sum o``, ``sum o^2`` over their outcomes."""

    def of_benchmarks(self, chosen: np.ndarray) -> ItemSums:
        """Keep some benchmarks."""
        return ItemSums(*(getattr(self, field.name)[..., chosen] for field in fields(self)))


@dataclass(frozen=True)
class ScoredItems:
    """The scored items of a sample, by benchmark. N items, B benchmarks, J outcomes.

    S items share their unit, so that sums over items differ from sums over units.
    """

    units: Units
    """Clusters cut at the benchmarks' borders; their outcomes are not used."""
    place: np.ndarray
    """int64 of shape (N,): place of each item's benchmark among the benchmarks with a scored item."""
    items: np.ndarray
    """float64 of shape (B,): number of scored items."""
    score: np.ndarray
    """float64 of shape (2, J, B): ``sum s``, ``sum s^2``."""
    row: np.ndarray
    """int64 of shape (N,): row in the next two of an item that shares its unit."""
    scores: np.ndarray
    """float64 of shape (S, J)."""
    outcomes: np.ndarray
    """float64 of shape (S, J): outcomes of the items' units."""

    @staticmethod
    def of(samples: Sequence[ItemSample], units: Sequence[Units], numbers: np.ndarray) -> ScoredItems:
        """Gather them.

        Parameters
        ----------
        samples, units
            Of each outcome; alike but for the outcomes.
        numbers : ndarray of int of shape (B,)
            The benchmarks' numbers, ascending.
        """
        first, count = units[0], len(numbers)
        place = np.searchsorted(numbers, samples[0].benchmark)
        known = np.flatnonzero(first.unit >= 0)
        of_item = place[known]
        score = [[np.bincount(of_item, own.scores[known] ** k, count) for own in samples] for k in (1, 2)]
        shared = np.flatnonzero(first.shared)
        return ScoredItems(
            first,
            place,
            np.bincount(of_item, minlength=count) * 1.0,
            np.array(score),
            np.cumsum(first.shared) - 1,
            np.stack([own.scores[shared] for own in samples], axis=1),
            np.stack([own.outcome[first.unit[shared]] for own in units], axis=1),
        )


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
    sums = {name: _dense(merged, getattr(merged, own)) for name, own in OF_PAIRS.items()}
    units, shape = scored.units, (cas.shape[0], len(scored.items))
    shared_place, first = joint
    if not len(shared_place):
        return ItemSums(scored.items, scored.score, clusters=merged.units, outcome=merged.outcome, **sums)
    # Sums over units of one item are sums over items already. Units of several items shared a weight and an outcome.
    item, w = cas.indices[shared_place], cas.data[shared_place].astype(np.float64)
    cell = (np.searchsorted(cas.indptr, shared_place, side="right") - 1) * shape[1] + scored.place[item]
    # Units are numbered by benchmark, so that the items and the units of a cell lie side by side.
    start = np.flatnonzero(np.diff(cell[first], prepend=-1))
    ones, bounds = np.ones(len(first)), np.append(start, len(first))

    def total(factor: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Sum ``factor * values`` of units: from shapes (units,) and (units, ...) to (..., C, B)."""
        by_cell = sp.csr_array((factor, np.arange(len(first)), bounds), shape=(len(start), len(first))) @ values
        out = np.zeros((*values.shape[1:], shape[0] * shape[1]))
        out[..., cell[first[start]]] = by_cell.T
        return out.reshape(*values.shape[1:], *shape)

    of_items = sp.csr_array((w, scored.row[item], np.append(first, len(w))), shape=(len(first), len(scored.scores)))
    whole, squares, scores = np.add.reduceat(w, first), np.add.reduceat(w**2, first), of_items @ scored.scores
    shared = whole * units.share[item[first]]
    outcome = shared[:, None] * scored.outcomes.take(scored.row[item[first]], axis=0)
    changes = (
        total(ones, whole - shared),
        total(ones, squares - shared**2),
        total(ones, scores - outcome),
        total(ones, whole**2 - shared**2),
        total(whole, scores) - total(shared, outcome),
        total(ones, scores**2 - outcome**2),
    )
    changed = {name: np.maximum(0.0, sums[name] + change) for name, change in zip(sums, changes, strict=True)}
    return ItemSums(scored.items, scored.score, clusters=merged.units, outcome=merged.outcome, **changed)


OF_PAIRS = {
    "weight": "weight",
    "squares": "weight2",
    "weight_score": "weight_outcome",
    "cluster2": "weight2",
    "cluster_score": "weight2_outcome",
    "cluster_score2": "weight2_outcome2",
}
"""For each item sum, the block sum that equals it where every item is a unit."""


def _dense(sums: BlockSums, values: np.ndarray) -> np.ndarray:
    """Spread values of the pairs, shape (..., P), over all concepts and blocks: shape (..., C, B)."""
    out = np.zeros((*values.shape[:-1], sums.concepts, len(sums.units)))
    out[..., sums.concept, sums.block] = values
    return out


def plain_gap(sums: ItemSums) -> np.ndarray:
    """``gap(c) = sum_b sum_x w (s(x) - mean_b s) / sum_b sum_x w`` over scored items.

    Returns
    -------
    ndarray of float64 of shape (..., concepts), in [-1, 1]; NaN where no scored item has the concept.
    """
    weight, statistic = sums.weight.sum(axis=1), plain_statistic(sums)
    return np.divide(statistic, weight, out=np.full(statistic.shape, np.nan), where=weight > 0)


def _mean(sums: ItemSums) -> np.ndarray:
    """Mean score of each benchmark, beside concepts: shape (..., 1, B)."""
    return (sums.score[0] / np.maximum(sums.items, 1))[..., None, :]


def chi_model_interval(sums: ItemSums, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Interval of chi_model in each benchmark.

    Returns
    -------
    low, high : ndarray of float64 of shape (..., concepts, benchmarks), in [0, 1]; NaN where it is undefined.
    """
    low, high = (np.full(sums.weight_score.shape, np.nan) for _ in range(2))
    known = sums.weight > 0
    low[..., known], high[..., known] = ratio_interval(*_ratios(sums, known), level)
    return low, high


def suite_interval(sums: ItemSums, level: float, *, pooled: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The suite's chi_model, a mean over benchmarks or pooled, and its interval: each of shape (..., concepts)."""
    if pooled:
        joined = ItemSums(*(np.asarray(getattr(sums, field.name).sum(axis=-1))[..., None] for field in fields(sums)))
        low, high = chi_model_interval(joined, level)
        weight, weighted = joined.weight[:, 0], joined.weight_score[..., 0]
        mean = np.divide(weighted, weight, out=np.full(weighted.shape, np.nan), where=weight > 0)
        return np.clip(mean, 0.0, 1.0), low[..., 0], high[..., 0]
    known = sums.weight > 0
    value, observed, graded = (np.full(sums.weight_score.shape, np.nan) for _ in range(3))
    trials = np.full(sums.weight.shape, np.nan)
    value[..., known], trials[known], observed[..., known], graded[..., known] = _ratios(sums, known)
    # A benchmark's few items say little of their variance: it is assumed from its mean and the concept's overall gap.
    expected = np.clip(_mean(sums) + plain_gap(sums)[..., None], 0.0, 1.0)
    whole = binomial_variance(expected, together(trials.T)[:, None], level)
    variance = ratio_variance(trials, observed, graded * whole, unseen_variance(whole, expected, graded))
    count = known.sum(axis=1)
    total = np.nansum(value, axis=-1)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean, *mean_interval(np.moveaxis(value, -1, 0), np.moveaxis(variance, -1, 0), trials.T, level)


def _ratios(sums: ItemSums, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """chi_model where it is defined, with the arguments of :func:`ratio_interval`: trials, observed, graded.

    Parameters
    ----------
    known : ndarray of bool of shape (concepts, benchmarks)
    """
    w2, wv, v2 = sums.cluster2[known], sums.cluster_score[..., known], sums.cluster_score2[..., known]
    chi = np.clip(sums.weight_score[..., known] / sums.weight[known], 0.0, 1.0)
    observed = np.maximum(0.0, v2 - 2 * chi * wv + chi**2 * w2) / w2
    graded = np.broadcast_to(gradedness(sums.items, sums.score)[..., None, :], sums.weight_score.shape)[..., known]
    return chi, effective_sample(sums.weight[known], w2), observed, graded


def plain_statistic(sums: ItemSums) -> np.ndarray:
    """``sum_b sum_x w (s(x) - mean_b s)``: float64 of shape (..., concepts)."""
    return np.asarray((sums.weight_score - _mean(sums) * sums.weight).sum(axis=-1))


def item_variance(sums: ItemSums) -> np.ndarray:
    """Variance of :func:`plain_statistic` under permutation with items as units and benchmarks as blocks."""
    return _variance(sums.squares, sums.weight, sums.items, sums.score)


def cluster_variance(sums: ItemSums) -> np.ndarray:
    """The same with clusters as units, each with the whole weight of its items."""
    return _variance(sums.cluster2, sums.weight, sums.clusters, sums.outcome)


def _variance(squares: np.ndarray, weight: np.ndarray, units: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    n = np.maximum(units, 1)
    weights = np.maximum(0.0, squares - weight**2 / n)
    outcomes = np.maximum(0.0, outcome[1] - outcome[0] ** 2 / n) / np.maximum(n - 1, 1)
    # No product of matrices: its rounding would depend on how many outcomes there are.
    return np.asarray((weights * outcomes[..., None, :]).sum(axis=-1))
