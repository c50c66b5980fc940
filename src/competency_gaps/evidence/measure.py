"""Everything that one pass over the concepts' rows measures, before verdicts are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from competency_gaps.evidence.gap import adjusted_gap, gap_interval
from competency_gaps.evidence.permutation import permutation_tails
from competency_gaps.evidence.plain import ItemSums, item_sums, item_variance, plain_gap, suite_interval
from competency_gaps.evidence.sums import BlockSums, block_sums, effective_sample
from competency_gaps.evidence.units import ItemSample, Units

CELLS = 4_000_000
"""Concepts x blocks of a chunk; of those in which a concept is active, about 200 bytes are in memory."""


@dataclass(frozen=True)
class Measures:
    """What is measured of each concept. Float64 arrays of shape (concepts,); NaN = undefined."""

    n_eff: np.ndarray
    weight: np.ndarray
    """``sum w`` over scored items."""
    chi_low: np.ndarray
    chi_high: np.ndarray
    gap: np.ndarray
    gap_low: np.ndarray
    gap_high: np.ndarray
    plain_gap: np.ndarray
    plain_p: np.ndarray
    """Two-sided p-value of the plain gap: clusters permuted within benchmarks."""
    design_effect: np.ndarray
    low: np.ndarray
    """Lower tail of T; the next as of :class:`PermutationTails`."""
    high: np.ndarray
    skewness: np.ndarray
    z: np.ndarray
    deviation: np.ndarray

    @staticmethod
    def join(parts: Sequence[Measures]) -> Measures:
        """Put chunks of concepts together."""
        return Measures(*(np.concatenate([getattr(p, one.name) for p in parts]) for one in fields(Measures)))


@dataclass(frozen=True)
class Layout:
    """The units of a suite and of its benchmarks each by itself."""

    suite: Units
    within: Units
    """The same where no cluster reaches across benchmarks."""
    numbers: np.ndarray
    """int64 of shape (B,): numbers of the benchmarks with a scored item, ascending."""


def measure(
    sample: ItemSample, layout: Layout, level: float, *, pooled: bool, single: bool
) -> tuple[Measures, dict[int, Measures]]:
    """Measure every concept in the suite and, if asked for, in each benchmark by itself.

    Memory is bounded by a chunk of concepts, whose rows are read once.
    """
    suite: list[Measures] = []
    alone: dict[int, list[Measures]] = {int(number): [] for number in layout.numbers} if single else {}
    blocks = max(1, len(layout.suite.block_benchmark), len(layout.within.block_benchmark))
    step = max(1, CELLS // blocks)
    for start in range(0, max(1, sample.concepts), step):
        concepts = np.arange(start, min(start + step, sample.concepts))
        cas = sample.rows(concepts)
        within = _sums(layout.within, cas)
        own = np.searchsorted(layout.numbers, layout.within.block_benchmark)
        merged = within.merged(own, len(layout.numbers))
        items = item_sums(sample, layout.within, layout.numbers, cas, merged)
        whole, joined = within, merged
        if layout.suite is not layout.within:
            whole = _sums(layout.suite, cas)
            joined = whole.merged(np.searchsorted(layout.numbers, layout.suite.block_benchmark), len(layout.numbers))
        suite.append(_measures(whole, joined, items, level, pooled=pooled))
        for place, number in enumerate(layout.numbers if single else ()):
            parts = (
                within.of_pairs(own[within.block] == place),
                merged.of_pairs(merged.block == place),
                items.of_benchmarks(np.array([place])),
            )
            alone[int(number)].append(_measures(*parts, level, pooled=True))
    return Measures.join(suite), {number: Measures.join(parts) for number, parts in alone.items()}


def _sums(units: Units, cas: object) -> BlockSums:
    return block_sums(units.rows(cas), units.outcome, units.block, len(units.block_benchmark))  # type: ignore[arg-type]


def _measures(net: BlockSums, merged: BlockSums, items: ItemSums, level: float, *, pooled: bool) -> Measures:
    """Measure from sums: ``net`` over blocks, ``merged`` over benchmarks."""
    weight = net.total(net.weight)
    tails = permutation_tails(net)
    plain = permutation_tails(merged)
    without = item_variance(items)
    chi_low, chi_high = suite_interval(items, level, pooled=pooled)
    gap_low, gap_high = gap_interval(net, level)
    return Measures(
        n_eff=effective_sample(weight, net.total(net.weight2)),
        weight=weight,
        chi_low=chi_low,
        chi_high=chi_high,
        gap=adjusted_gap(net),
        gap_low=gap_low,
        gap_high=gap_high,
        plain_gap=plain_gap(items),
        plain_p=plain.two_sided,
        design_effect=_ratio(_ratio(plain.deviation, weight) ** 2, without),
        low=tails.low,
        high=tails.high,
        skewness=tails.skewness,
        z=tails.z,
        deviation=tails.deviation,
    )


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
