"""Measure every concept in one pass over its row; verdicts come later."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtr

from competency_gaps.evidence.gap import adjusted_gap, gap_interval
from competency_gaps.evidence.permutation import permutation_tails
from competency_gaps.evidence.plain import (
    ItemSums,
    ScoredItems,
    cluster_variance,
    item_sums,
    item_variance,
    plain_gap,
    plain_statistic,
    suite_interval,
)
from competency_gaps.evidence.sums import BlockSums, PairWeights, effective_sample
from competency_gaps.evidence.units import ItemSample, Units, units_of

CELLS = 400_000
"""Most concepts x blocks in a chunk, so that its sums fit the processor's cache."""
NONZEROS = 400_000
"""Most non-zeros in a chunk, unless a single concept has more."""

WORKERS = 4
"""Threads, at most."""


@dataclass(frozen=True)
class Measures:
    """Measurements of each concept. Float64 arrays of shape (concepts,); NaN = undefined."""

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
        return Measures(*(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Measures)))


@dataclass(frozen=True)
class Layout:
    """The units of a suite and of its benchmarks each by itself."""

    suite: Units
    within: Units
    """The same with clusters cut at the benchmarks' borders."""
    numbers: np.ndarray
    """int64 of shape (B,): numbers of the benchmarks with a scored item, ascending."""
    scored: ScoredItems

    def with_scores(self, sample: ItemSample) -> Layout:
        """Give the layout of a sample of the same items, of which the same are scored."""
        within = self.within.with_scores(sample)
        suite = within if self.suite is self.within else self.suite.with_scores(sample)
        return Layout(suite, within, self.numbers, ScoredItems.of(sample, within, self.numbers))


def layout_of(sample: ItemSample) -> Layout:
    """Form the units of a suite and, where clusters reach across benchmarks, those of each benchmark."""
    within = units_of(sample, across=False)
    crosses = sample.cluster is not None and len(units_of_clusters(sample)) != len(within.outcome)
    known = ~np.isnan(sample.scores)
    numbers = np.unique(sample.benchmark[known])
    return Layout(units_of(sample) if crosses else within, within, numbers, ScoredItems.of(sample, within, numbers))


def units_of_clusters(sample: ItemSample) -> np.ndarray:
    """Give the clusters that hold a scored item."""
    assert sample.cluster is not None
    return np.unique(sample.cluster[~np.isnan(sample.scores)])


def measure(
    sample: ItemSample, alike: Sequence[Sequence[Layout]], level: float, *, pooled: bool, single: bool
) -> list[tuple[Measures, dict[int, Measures]]]:
    """Measure every concept in the suite and, if asked for, in each benchmark by itself, for each of several outcomes.

    Memory is bounded by a chunk of concepts for each of up to ``WORKERS`` threads; rows are read once.

    Parameters
    ----------
    alike
        Layouts of the outcomes; those of the same scored items, which are alike but for the outcomes, together.
    """
    every = [layout for layouts in alike for layout in layouts]
    blocks = max(max(len(own.suite.block_benchmark), len(own.within.block_benchmark)) for own in every)
    chunks = _chunks(sample.support, max(1, CELLS // max(1, blocks)))

    def of_chunk(concepts: np.ndarray) -> list[list[Measures]]:
        cas = sample.rows(concepts)
        return [own for layouts in alike for own in _chunk(layouts, cas, level, pooled=pooled, single=single)]

    if len(chunks) < WORKERS:
        measured = [of_chunk(concepts) for concepts in chunks]
    else:
        with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
            measured = list(pool.map(of_chunk, chunks))
    joined = []
    for layout, of_chunks in zip(every, zip(*measured, strict=True), strict=True):
        suite, *alone = (Measures.join(parts) for parts in zip(*of_chunks, strict=True))
        joined.append((suite, dict(zip(layout.numbers.tolist(), alone, strict=True)) if single else {}))
    return joined


def _chunks(support: np.ndarray, most: int) -> list[np.ndarray]:
    """Split the concepts into runs of at most ``most`` with at most ``NONZEROS`` non-zeros."""
    upto = np.concatenate([[0], np.cumsum(support)])
    bounds = [0]
    while bounds[-1] < len(support):
        start = bounds[-1]
        fitting = int(np.searchsorted(upto, upto[start] + NONZEROS, side="right")) - 1
        bounds.append(min(max(fitting, start + 1), start + most, len(support)))
    return [np.arange(*pair) for pair in itertools.pairwise(bounds)] or [np.arange(0)]


def _chunk(
    layouts: Sequence[Layout], cas: sp.csr_array, level: float, *, pooled: bool, single: bool
) -> Iterator[list[Measures]]:
    """Measure some concepts for outcomes of the same scored items: in the suite, then in each benchmark."""
    first = layouts[0]
    across = first.suite is not first.within
    joint = first.within.joint(cas)
    of_within = _weights(first.within, cas, joint)
    of_suite = _weights(first.suite, cas, first.suite.joint(cas)) if across else of_within
    own = np.searchsorted(first.numbers, first.within.block_benchmark)
    home = np.searchsorted(first.numbers, first.suite.block_benchmark)
    count = len(first.numbers)
    of_units = of_within.sums([layout.within.outcomes for layout in layouts])
    of_all = of_suite.sums([layout.suite.outcomes for layout in layouts]) if across else itertools.repeat(None)
    for layout, within, suite in zip(layouts, of_units, of_all, strict=False):
        merged = within.merged(own, count)
        items = item_sums(layout.scored, cas, merged, joint)
        whole = within if suite is None else suite
        joined = whole.merged(home, count) if across else merged
        measured = [_measures(whole, joined, items, level, pooled=pooled)]
        for place in range(count if single else 0):
            parts = (
                within.of_pairs(own[within.block] == place),
                merged.of_pairs(merged.block == place),
                items.of_benchmarks(np.array([place])),
            )
            measured.append(_measures(*parts, level, pooled=True))
        yield measured


def _weights(units: Units, cas: sp.csr_array, joint: tuple[np.ndarray, np.ndarray]) -> PairWeights:
    return PairWeights.of(units.rows(cas, joint=joint), units.block, len(units.block_benchmark))


def _measures(net: BlockSums, merged: BlockSums, items: ItemSums, level: float, *, pooled: bool) -> Measures:
    """Measure from sums: ``net`` over blocks, ``merged`` over benchmarks."""
    # A unit alone in its block has nothing to be compared with.
    compared = (net.units > 1).take(net.block)
    if not compared.all():
        net = net.of_pairs(compared)
    weight = net.total(net.weight)
    tails = permutation_tails(net)
    variance = cluster_variance(items, merged)
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
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
