"""Measure every concept in one pass over its row; verdicts come later.

chi_model and the plain gap are over items, each with its own weight and score, as the method defines them. Items of a
cluster are not independent, so the variance adds up residuals within a cluster before squaring.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtr

from competency_gaps.evidence.interval import (
    adjusted_gap,
    binomial_variance,
    gap_interval,
    gradedness,
    mean_interval,
    ratio_interval,
    ratio_variance,
    together,
    unseen_variance,
)
from competency_gaps.evidence.permutation import permutation_tails
from competency_gaps.evidence.sample import ItemSample, Units, units_of
from competency_gaps.evidence.sums import BlockSums, Outcomes, PairWeights, effective_sample


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


# A chunk has a single concept, or no more of any of these.
NONZEROS = 400_000
"""Non-zeros."""
CELLS = 400_000
"""Concepts x blocks."""
SUMS = 600_000
"""Numbers in an array of sums: of pairs of a concept and a block, of concepts by benchmark, or of clusters of several
items, each for every outcome. So these arrays fit the processor's cache."""

WORKERS = 4
"""Threads, at most."""


@dataclass(frozen=True)
class Measures:
    """Measurements of each concept. Float64 arrays of shape (concepts,), of J outcomes (J, concepts); NaN = undefined.

    What depends on the weights alone has the shape (concepts,) for several outcomes too.
    """

    n_eff: np.ndarray
    active: np.ndarray
    """bool: whether any scored item has the concept."""
    weight: np.ndarray
    """``sum W`` over the units in blocks of at least two."""
    chi_model: np.ndarray
    chi_low: np.ndarray
    chi_high: np.ndarray
    gap: np.ndarray
    gap_low: np.ndarray
    gap_high: np.ndarray
    plain_gap: np.ndarray
    plain_p: np.ndarray
    """Two-sided p-value of the plain gap, clusters permuted within benchmarks; by the normal approximation, as no
    verdict rests on it."""
    design_effect: np.ndarray
    low: np.ndarray
    """Lower tail of T; this and the next fields as in :class:`PermutationTails`."""
    high: np.ndarray
    skewness: np.ndarray
    z: np.ndarray
    deviation: np.ndarray

    @staticmethod
    def join(parts: Sequence[Measures]) -> Measures:
        """Put chunks of concepts together."""
        return Measures(
            *(np.concatenate([getattr(p, field.name) for p in parts], axis=-1) for field in fields(Measures))
        )

    def of_outcome(self, number: int) -> Measures:
        """Measurements of a single outcome."""
        every = (getattr(self, field.name) for field in fields(self))
        return Measures(*(values if values.ndim == 1 else values[number] for values in every))


@dataclass(frozen=True)
class Layout:
    """The units of a suite and of its benchmarks each by itself, with J outcomes of the same scored items."""

    suite: Sequence[Units]
    """Of each outcome; alike but for the outcomes."""
    within: Units
    """The same with clusters cut at the benchmarks' borders; of the first outcome."""
    numbers: np.ndarray
    """int64 of shape (B,): numbers of the benchmarks with a scored item, ascending."""
    scored: ScoredItems
    of_within: Outcomes
    """Outcomes of the units of ``within``."""
    of_suite: Outcomes | None
    """Outcomes of the units of ``suite``; None: they are the same."""


def layout_of(samples: Sequence[ItemSample]) -> Layout:
    """Form the units of a suite and, where clusters reach across benchmarks, those of each benchmark.

    Parameters
    ----------
    samples
        At least one; alike but for the outcomes of their scored items.
    """
    sample, *others = samples
    first = units_of(sample, across=False)
    within = [first, *(first.with_scores(other) for other in others)]
    scored = ~np.isnan(sample.scores)
    crosses = sample.cluster is not None and len(np.unique(sample.cluster[scored])) != len(first.outcome)
    suite = within
    if crosses:
        whole = units_of(sample)
        suite = [whole, *(whole.with_scores(other) for other in others)]
    numbers = np.unique(sample.benchmark[scored])
    of_items = ScoredItems.of(samples, within, numbers)
    return Layout(suite, first, numbers, of_items, _stacked(within), _stacked(suite) if crosses else None)


def _stacked(units: Sequence[Units]) -> Outcomes:
    return Outcomes.of([own.outcome for own in units], units[0].block, len(units[0].block_benchmark))


def measure(
    sample: ItemSample, layouts: Sequence[Layout], level: float, *, pooled: bool, single: bool
) -> list[list[tuple[Measures, dict[int, Measures]]]]:
    """Measure every concept in the suite and, if asked for, in each benchmark by itself, for each of several outcomes.

    Beside what is returned, memory is bounded by a chunk of concepts for each of up to ``WORKERS`` threads. Rows are
    read once.

    Returns
    -------
    list of list
        For each layout, for each of its outcomes: measures of the suite, and of benchmarks by their numbers.
    """
    chunks = _chunks(sample.support, layouts)

    def of_chunk(concepts: np.ndarray) -> list[list[Measures]]:
        cas = sample.rows(concepts)
        return [_chunk(layout, cas, level, pooled=pooled, single=single) for layout in layouts]

    if len(chunks) < WORKERS:
        measured = [of_chunk(concepts) for concepts in chunks]
    else:
        with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
            measured = list(pool.map(of_chunk, chunks))
    joined = []
    for layout, of_chunks in zip(layouts, zip(*measured, strict=True), strict=True):
        whole = [Measures.join(parts) for parts in zip(*of_chunks, strict=True)]
        numbers = layout.numbers.tolist() if single else []
        of_each = ([own.of_outcome(place) for own in whole] for place in range(len(layout.suite)))
        joined.append([(suite, dict(zip(numbers, alone, strict=True))) for suite, *alone in of_each])
    return joined


def _chunks(support: np.ndarray, layouts: Sequence[Layout]) -> list[np.ndarray]:
    """Split the concepts into runs that no layout makes larger than NONZEROS, CELLS and SUMS allow."""
    sizes = [support / NONZEROS]
    for own in layouts:
        blocks = max(len(own.within.block_benchmark), len(own.suite[0].block_benchmark))
        shared = own.within.shared.sum() / max(1, len(own.within.shared))
        sums = np.minimum(support, blocks) + len(own.numbers) + support * shared
        sizes += [np.full(len(support), blocks / CELLS), len(own.suite) * sums / SUMS]
    upto = [np.concatenate([[0], np.cumsum(size)]) for size in sizes]
    bounds = [0]
    while bounds[-1] < len(support):
        start = bounds[-1]
        fitting = min(int(np.searchsorted(own, own[start] + 1, side="right")) - 1 for own in upto)
        bounds.append(min(max(fitting, start + 1), len(support)))
    return [np.arange(*pair) for pair in itertools.pairwise(bounds)] or [np.arange(0)]


def _chunk(layout: Layout, cas: sp.csr_array, level: float, *, pooled: bool, single: bool) -> list[Measures]:
    """Measure some concepts, for every outcome: in the suite, then in each benchmark."""
    joint = layout.within.joint(cas)
    own = np.searchsorted(layout.numbers, layout.within.block_benchmark)
    count = len(layout.numbers)
    within = _weights(layout.within, cas, joint).sums(layout.of_within)
    items = item_sums(layout.scored, cas, within.merged(own, count), joint)
    if layout.of_suite is None:
        measured = [_measures(within, items, level, pooled=pooled)]
    else:
        suite = layout.suite[0]
        whole = _weights(suite, cas, suite.joint(cas)).sums(layout.of_suite)
        merged = whole.merged(np.searchsorted(layout.numbers, suite.block_benchmark), count)
        of_suite = replace(items, clusters=merged.units, outcome=merged.outcome)
        measured = [_measures(whole, of_suite, level, pooled=pooled)]
    for place in range(count if single else 0):
        pairs = within.of_pairs(own[within.block] == place)
        measured.append(_measures(pairs, items.of_benchmarks(np.array([place])), level, pooled=True))
    return measured


def _weights(units: Units, cas: sp.csr_array, joint: tuple[np.ndarray, np.ndarray]) -> PairWeights:
    return PairWeights.of(units.rows(cas, joint=joint), units.block, len(units.block_benchmark))


def _measures(net: BlockSums, items: ItemSums, level: float, *, pooled: bool) -> Measures:
    """Measure from sums over blocks, and over benchmarks."""
    # A unit alone in its block has nothing to be compared with.
    compared = (net.units > 1).take(net.block)
    if not compared.all():
        net = net.of_pairs(compared)
    weight = net.total(net.weight)
    tails = permutation_tails(net)
    variance = cluster_variance(items)
    chi_model, chi_low, chi_high = suite_interval(items, level, pooled=pooled)
    gap_low, gap_high = gap_interval(net, level)
    return Measures(
        n_eff=effective_sample(weight, net.total(net.weight2)),
        active=items.weight.sum(axis=1) > 0,
        weight=weight,
        chi_model=chi_model,
        chi_low=chi_low,
        chi_high=chi_high,
        gap=adjusted_gap(net),
        gap_low=gap_low,
        gap_high=gap_high,
        plain_gap=plain_gap(items),
        plain_p=2 * ndtr(-np.abs(_ratio(plain_statistic(items), np.sqrt(variance)))),
        design_effect=_ratio(variance, item_variance(items)),
        low=tails.low,
        high=tails.high,
        skewness=tails.skewness,
        z=tails.z,
        deviation=tails.deviation,
    )


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
