"""Compute every concept's measures in one pass over its row; ``suite.py`` gives the verdicts.

chi_model and the plain association are sums over items, as the paper defines them. Items of a cluster are not
independent, so the variance adds up residuals within a cluster before squaring.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence.interval import (
    association_interval,
    binomial_variance,
    gradedness,
    mean_interval,
    net_association,
    ratio_interval,
    ratio_variance,
    together,
    unseen_variance,
)
from competency_gaps.evidence.permutation import permutation_tails
from competency_gaps.evidence.sample import BlockSums, ItemSample, Units, effective_sample, units_of


@dataclass(frozen=True)
class ItemSums:
    """Sums over the scored items of each benchmark. C concepts, B benchmarks; float64 of shape (C, B)."""

    items: np.ndarray
    """Shape (B,): scored items."""
    score: np.ndarray
    """Shape (2, B): ``sum s``, ``sum s^2``."""
    weight: np.ndarray
    """``sum w``."""
    weight_score: np.ndarray
    """``sum w s``."""
    cluster2: np.ndarray
    """``sum W^2`` over clusters, with ``W`` the sum of ``w`` in a cluster."""
    cluster_score: np.ndarray
    """``sum W V``, with ``V`` the sum of ``w s`` in a cluster."""
    cluster_score2: np.ndarray
    """``sum V^2``."""

    def of_benchmarks(self, chosen: np.ndarray | slice) -> ItemSums:
        """Return the sums of some benchmarks."""
        return ItemSums(*(getattr(self, field.name)[..., chosen] for field in fields(self)))


def summing(sample: ItemSample, units: Units, numbers: np.ndarray) -> Callable[[sp.csr_array], ItemSums]:
    """Return what sums some concepts' rows, of shape (C, N), over the scored items of each benchmark.

    Parameters
    ----------
    units
        Cut at the benchmarks' borders.
    numbers
        The benchmarks', ascending.
    """
    kept, scores = np.flatnonzero(units.unit >= 0), np.nan_to_num(sample.scores)
    whole = len(scores), len(units.outcome), len(numbers)
    places = np.searchsorted(numbers, sample.benchmark[kept]), np.searchsorted(numbers, units.benchmark)
    ones = np.ones(len(kept))
    of_benchmark = sp.csr_array((ones, (kept, places[0])), shape=(whole[0], whole[2]))
    cluster = sp.csr_array((ones, (kept, units.unit[kept])), shape=whole[:2])
    home = sp.csr_array((np.ones(whole[1]), (np.arange(whole[1]), places[1])), shape=whole[1:])

    def sums(cas: sp.csr_array) -> ItemSums:
        """Sum over the items of each benchmark, and over its clusters."""
        w = sp.csr_array(cas, dtype=np.float64)
        scored = sp.csr_array((w.data * scores[w.indices], w.indices, w.indptr), shape=w.shape)
        by_cluster, right = w @ cluster, scored @ cluster
        return ItemSums(
            of_benchmark.sum(axis=0),
            np.array([scores**k @ of_benchmark for k in (1, 2)]),
            (w @ of_benchmark).toarray(),
            (scored @ of_benchmark).toarray(),
            *((a.multiply(b) @ home).toarray() for a, b in ((by_cluster,) * 2, (by_cluster, right), (right, right))),
        )

    return sums


def plain_association(sums: ItemSums) -> np.ndarray:
    """Return ``association(c) = sum_b sum_x w (s(x) - mean_b s) / sum_b sum_x w`` over scored items.

    Returns
    -------
    ndarray of float64 of shape (concepts,), in [-1, 1]; NaN where no scored item has the concept.
    """
    weight, statistic = sums.weight.sum(axis=1), (sums.weight_score - _mean(sums) * sums.weight).sum(axis=1)
    return np.divide(statistic, weight, out=np.full(len(weight), np.nan), where=weight > 0)


def _mean(sums: ItemSums) -> np.ndarray:
    """Return the mean score of each benchmark: shape (B,)."""
    return np.asarray(sums.score[0] / np.maximum(sums.items, 1))


def chi_interval(sums: ItemSums, level: float, *, single: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return chi_model (of a ``single`` benchmark, else the suite's mean) and both ends of its interval.

    Each has shape (concepts,).
    """
    known = sums.weight > 0
    value, observed, graded, trials = (np.full(known.shape, np.nan) for _ in range(4))
    w2, wv, v2 = (part[known] for part in (sums.cluster2, sums.cluster_score, sums.cluster_score2))
    chi = np.clip(sums.weight_score[known] / sums.weight[known], 0.0, 1.0)
    value[known], trials[known] = chi, effective_sample(sums.weight[known], w2)
    observed[known] = np.maximum(0.0, v2 - 2 * chi * wv + chi**2 * w2) / w2
    graded[known] = np.broadcast_to(gradedness(sums.items, sums.score), known.shape)[known]
    if single:
        low, high = ratio_interval(value, trials, observed, graded, level)
        return value[:, 0], low[:, 0], high[:, 0]
    # A benchmark's few items say little of their variance: it is assumed from its mean and the overall association.
    expected = np.clip(_mean(sums) + plain_association(sums)[:, None], 0.0, 1.0)
    whole = binomial_variance(expected, together(trials.T)[:, None], level)
    variance = ratio_variance(trials, observed, graded * whole, unseen_variance(whole, expected, graded))
    count, total = known.sum(axis=1), np.nansum(value, axis=1)
    mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean, *mean_interval(value.T, variance.T, trials.T, level)


@dataclass(frozen=True)
class Measures:
    """Measures of each concept: float64 arrays of shape (concepts,); NaN = undefined."""

    n_eff: np.ndarray
    active: np.ndarray
    """bool: whether any scored item has the concept."""
    chi_model: np.ndarray
    chi_low: np.ndarray
    chi_high: np.ndarray
    association: np.ndarray
    association_low: np.ndarray
    association_high: np.ndarray
    plain_association: np.ndarray
    low: np.ndarray
    """Lower tail of T; this and the following fields as in :class:`PermutationTails`."""
    high: np.ndarray
    skewness: np.ndarray
    z: np.ndarray

    @staticmethod
    def join(parts: Sequence[Measures]) -> Measures:
        """Return the measures of several chunks of concepts, concatenated."""
        return Measures(*(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Measures)))

    @staticmethod
    def of(net: BlockSums, items: ItemSums, level: float, *, single: bool) -> Measures:
        """Return the measures of concepts from their sums over blocks and over benchmarks."""
        # A unit alone in its block has nothing to be compared with.
        net = net.of_pairs(net.units[net.block] > 1)
        return Measures(
            effective_sample(net.total(net.weight), net.total(net.weight2)),
            items.weight.sum(axis=1) > 0,
            *chi_interval(items, level, single=single),
            net_association(net),
            *association_interval(net, level),
            plain_association(items),
            *permutation_tails(net),
        )


# A chunk of concepts has about as many of these, so that its arrays fit the processor's cache.
NONZEROS_PER_CHUNK = 400_000
CELLS_PER_CHUNK = 400_000
"""Approximate number of cells (concepts x blocks) per chunk of concepts."""
WORKERS = 4
"""Maximum number of threads."""


def measure(sample: ItemSample, level: float, *, single: bool) -> tuple[Units, Measures, Units, dict[int, Measures]]:
    """Return every concept's measures in the suite and, if ``single``, in each benchmark by itself.

    Rows are read once. Beside what is returned, memory is bounded by a chunk of concepts for each of up to ``WORKERS``
    threads.

    Returns
    -------
    units, suite
        The suite's units and its measures.
    within, by_benchmark
        Units cut at the benchmarks' borders, and the measures of benchmarks by their numbers (empty unless ``single``).
    """
    within = units_of(sample, across=False)
    scored = ~np.isnan(sample.scores)
    crosses = sample.cluster is not None and len(np.unique(sample.cluster[scored])) != len(within.outcome)
    suite = units_of(sample) if crosses else within
    numbers = np.unique(sample.benchmark)
    sums_of_items = summing(sample, within, numbers)
    index = np.searchsorted(numbers, within.block_benchmark)

    def of_chunk(concepts: np.ndarray) -> list[Measures]:
        """Measure some concepts in the suite and in each benchmark."""
        cas = sample.rows(concepts)
        items, sums = sums_of_items(cas), within.sums(within.rows(cas))
        whole = suite.sums(suite.rows(cas)) if crosses else sums
        parts = [Measures.of(whole, items, level, single=False)]
        for number in range(len(numbers) if single else 0):
            alone = items.of_benchmarks(slice(number, number + 1))
            parts.append(Measures.of(sums.of_pairs(index[sums.block] == number), alone, level, single=True))
        return parts

    load = (
        sample.support / NONZEROS_PER_CHUNK
        + max(len(within.block_benchmark), len(suite.block_benchmark)) / CELLS_PER_CHUNK
    )
    number = np.floor(np.cumsum(load)).astype(np.int64)
    chunks = np.split(np.arange(sample.concepts), np.flatnonzero(np.diff(number)) + 1)
    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        measured = list(pool.map(of_chunk, chunks))
    joined, *alone = (Measures.join(parts) for parts in zip(*measured, strict=True))
    return suite, joined, within, dict(zip(numbers.tolist(), alone, strict=bool(single)))
