"""Measure every concept in one pass over its row; verdicts come later."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace

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
from competency_gaps.evidence.sums import BlockSums, Outcomes, PairWeights, effective_sample
from competency_gaps.evidence.units import ItemSample, Units, units_of

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
    crosses = sample.cluster is not None and len(units_of_clusters(sample)) != len(first.outcome)
    suite = within
    if crosses:
        whole = units_of(sample)
        suite = [whole, *(whole.with_scores(other) for other in others)]
    numbers = np.unique(sample.benchmark[~np.isnan(sample.scores)])
    scored = ScoredItems.of(samples, within, numbers)
    return Layout(suite, first, numbers, scored, _stacked(within), _stacked(suite) if crosses else None)


def _stacked(units: Sequence[Units]) -> Outcomes:
    return Outcomes.of([own.outcome for own in units], units[0].block, len(units[0].block_benchmark))


def units_of_clusters(sample: ItemSample) -> np.ndarray:
    """Give the clusters that hold a scored item."""
    assert sample.cluster is not None
    return np.unique(sample.cluster[~np.isnan(sample.scores)])


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
