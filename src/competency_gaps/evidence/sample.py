"""The items from which evidence is computed, and their units: clusters, compared within strata of benchmarks [ours].

Items that are not independent (the same text, passage or shuffled sentence) form a cluster, and a cluster counts once:
its outcome is the mean over its scored items, a concept's weight in it the sum over them. Repeats of one text are
averaged first, like the epochs of an item: they share one weight, so that a text does not count for more by being asked
more often. A *block* is a stratum of a benchmark; under the null hypothesis, outcomes are exchangeable within a block.

Within a stratum all clusters have about the same length (or other covariate), so length cannot explain a difference
between them. Numeric covariates are cut at quantiles into strata of about ``STRATUM_CLUSTERS`` clusters. Quintiles, the
usual choice, leave a fifth of the slope inside each stratum, which over thousands of items causes false findings
(``validation/planted.py`` measures it; a spline within each benchmark does no better).

Intervals, gaps and permutation moments are functions of sums over the units of each block. A block in which a concept
is not active adds nothing to any of these, so sums are stored only for *pairs* of a concept and a block in which it is
active.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
import scipy.sparse as sp

STRATUM_CLUSTERS = 15
"""Approximate number of clusters per stratum: with fewer, estimating the strata's means costs too much power."""
MAX_STRATA = 40
"""Maximum number of strata per benchmark."""


@dataclass(frozen=True)
class Covariate:
    """A property of items that strata can hold constant. N items."""

    name: str
    """``length``, ``group``, ``answer_position``, ``options``, or a column's name."""
    values: np.ndarray
    """float64 of shape (N,): the value, or the index of a category; NaN = unknown."""
    categories: tuple[str, ...] | None = None
    """Names of the categories; None: the covariate is numeric."""

    def of_units(self, kept: np.ndarray, unit: np.ndarray, first: np.ndarray, size: np.ndarray) -> Covariate:
        """Return the covariate of clusters: the items' mean if it is numeric, else the category of one item.

        Parameters
        ----------
        kept : ndarray of int
            Items to use.
        unit : ndarray of int of the shape of ``kept``
            Unit of each of these.
        first : ndarray of int of shape (units,)
            For each unit, the position in ``kept`` of the item whose category counts.
        size : ndarray of int of shape (units,)
            Items of each unit.
        """
        values = self.values[kept]
        if self.categories is not None:
            return Covariate(self.name, values[first], self.categories)
        known = ~np.isnan(values)
        count = np.bincount(unit, known, len(size))
        total = np.bincount(unit, np.where(known, values, 0.0), len(size))
        mean = np.divide(total, count, out=np.full(len(size), np.nan), where=count > 0)
        return Covariate(self.name, mean)


def split_by_size(block: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return blocks split by the units' number of items: 1, 2 to 4, 5 or more.

    Outcomes are exchangeable only if their variances are equal, and a cluster's mean varies less than one score. Strata
    must be cut first: if the few large clusters were cut separately, length would hardly be held constant among them.

    Parameters
    ----------
    block, size : ndarray of int of shape (K,)

    Returns
    -------
    ndarray of int64 of shape (K,)
        Numbers from 0, ascending with the block.
    """
    return _split(block, np.searchsorted([1, 4], size, side="left").astype(np.float64))


def cut(benchmark: np.ndarray, covariates: Sequence[Covariate]) -> np.ndarray:
    """Return the block of each unit: its stratum within its benchmark.

    Units are split by all categorical covariates first, then by the numeric ones, each into equally many parts. Equal
    values stay together, and units of unknown value form a stratum by themselves.

    Parameters
    ----------
    benchmark : ndarray of int of shape (K,)
        Numbers from 0.
    covariates
        Covariates of the units.

    Returns
    -------
    ndarray of int64 of shape (K,)
        Numbers from 0, ascending with the benchmark.
    """
    cell = np.asarray(benchmark, np.int64)
    for covariate in covariates:
        if covariate.categories is not None:
            cell = _split(cell, np.where(np.isnan(covariate.values), -1, covariate.values))
    numbers = [covariate for covariate in covariates if covariate.categories is None]
    if numbers:
        size = np.bincount(cell)
        parts = np.maximum(1, np.floor((size / STRATUM_CLUSTERS) ** (1 / len(numbers)))).astype(int)
        parts = np.minimum(parts, max(1, int(MAX_STRATA ** (1 / len(numbers)))))
        whole = cell
        for covariate in numbers:
            cell = _split(cell, _quantiles(covariate.values, cell, parts[whole]))
    return cell


def _split(cell: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return a number for each pair of cell and value, in the order of the cells."""
    _, rank = np.unique(value, return_inverse=True)
    _, number = np.unique(cell * (rank.max(initial=0) + 1) + rank, return_inverse=True)
    return np.asarray(number, np.int64)


def _quantiles(values: np.ndarray, cell: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return the number of the quantile, within its cell, in which each value lies; -1 = unknown."""
    out = np.full(len(values), -1.0)
    order = np.argsort(cell, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
        known = group[~np.isnan(values[group])]
        if len(known):
            count = int(parts[group[0]])
            edges = np.quantile(values[known], np.arange(1, count) / count)
            out[known] = np.searchsorted(np.unique(edges), values[known], side="left")
    return out


@dataclass(frozen=True)
class ItemSample:
    """The items from which evidence is computed. N items, in any order."""

    scores: np.ndarray
    """float64 of shape (N,): outcomes as shares of their limits, in [0, 1]; NaN = unscored or excluded."""
    benchmark: np.ndarray
    """int64 of shape (N,): number of each item's benchmark."""
    rows: Callable[[np.ndarray], sp.csr_array]
    """Function from concepts' numbers to their CAS: csr_array of shape (asked, N)."""
    support: np.ndarray
    """int64 of shape (concepts,): items in which each concept is active."""
    cluster: np.ndarray | None = None
    """int64 of shape (N,): number of each item's cluster; None: every item is a cluster of its own."""
    covariates: tuple[Covariate, ...] = field(default=())
    """Covariates that define the strata."""
    repeats: np.ndarray | None = None
    """bool of shape (N,): whether the item's cluster repeats one text; None: no cluster does."""
    limits: tuple[float, float] = (0.0, 1.0)
    """The outcomes that correspond to 0 and 1 in ``scores``: 0 and 1 for scores, -1 and 1 for differences of two."""

    @property
    def scale(self) -> float:
        """Change of the outcome for a rise of ``scores`` by 1."""
        return self.limits[1] - self.limits[0]

    @property
    def concepts(self) -> int:
        """Number of concepts."""
        return len(self.support)


def sample_of(
    cas: sp.csr_array,
    outcomes: np.ndarray,
    benchmark: np.ndarray,
    *,
    cluster: np.ndarray | None = None,
    covariates: Sequence[Covariate] = (),
    repeats: np.ndarray | None = None,
    limits: tuple[float, float] = (0.0, 1.0),
) -> ItemSample:
    """Return a sample made of plain arrays.

    Parameters
    ----------
    cas : csr_array of shape (N, concepts)
        Copied once.
    outcomes : ndarray of float of shape (N,)
        Within ``limits``; NaN = unscored.
    benchmark : ndarray of int of shape (N,)
        Number of each item's benchmark.
    cluster, covariates, repeats, limits
        As in :class:`ItemSample`.
    """
    rows = sp.csr_array(sp.csr_array(cas).T)
    return ItemSample(
        shares(outcomes, limits),
        np.asarray(benchmark, np.int64),
        lambda asked: sp.csr_array(rows[asked]),
        np.diff(rows.indptr),
        None if cluster is None else np.asarray(cluster, np.int64),
        tuple(covariates),
        repeats,
        limits,
    )


def shares(outcomes: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Return outcomes mapped to [0, 1], the scale of all evidence; gaps and intervals are mapped back later."""
    low, high = limits
    values = np.asarray(outcomes, np.float64)
    return values if limits == (0.0, 1.0) else np.clip((values - low) / (high - low), 0.0, 1.0)


@dataclass(frozen=True)
class Units:
    """Clusters with their outcomes and blocks. N items, K units, B blocks."""

    unit: np.ndarray
    """int64 of shape (N,): each item's unit; -1 = the item is unscored or excluded."""
    share: np.ndarray
    """float64 of shape (N,): factor of an item's CAS: 1, or 1 / (scored repeats of its text)."""
    outcome: np.ndarray
    """float64 of shape (K,), in [0, 1]: mean score of the unit's scored items."""
    benchmark: np.ndarray
    """int64 of shape (K,): number of the unit's benchmark."""
    block: np.ndarray
    """int64 of shape (K,): number of the unit's block, from 0."""
    block_benchmark: np.ndarray
    """int64 of shape (B,): number of each block's benchmark."""

    @cached_property
    def member(self) -> sp.csr_array:
        """Membership of items in units: csr_array of shape (N, K) with the factor of each scored item's CAS."""
        kept = np.flatnonzero(self.unit >= 0)
        places = (self.share[kept], (kept, self.unit[kept]))
        return sp.csr_array(sp.coo_array(places, shape=(len(self.unit), len(self.outcome))))

    def rows(self, cas: sp.csr_array) -> sp.csr_array:
        """Return CAS (csr_array of shape (asked, N)) summed over each unit's items: float64 of shape (asked, K)."""
        return sp.csr_array(sp.csr_array(cas, dtype=np.float64) @ self.member)

    def sums(self, rows: sp.csr_array) -> BlockSums:
        """Return sums of the units' weights, csr_array of shape (asked, K), and outcomes over each block."""
        return block_sums(rows, self.outcome, self.block, len(self.block_benchmark))


def units_of(sample: ItemSample, *, across: bool = True) -> Units:
    """Return the units of a sample, with their blocks.

    A cluster with items in several benchmarks counts in the benchmark with most of them: its outcome is its items' mean
    difference from their benchmarks' means, added to that benchmark's mean. Units are compared with units of about as
    many items, because the mean of many scores varies less than a single score.

    Parameters
    ----------
    across
        Whether a cluster may span benchmarks; False cuts clusters at the benchmarks' borders, as needed to judge each
        benchmark by itself.
    """
    kept = np.flatnonzero(~np.isnan(sample.scores))
    unit = np.full(len(sample.scores), -1, np.int64)
    if not len(kept):
        nothing = np.zeros(0, np.int64)
        return Units(unit, np.zeros(len(unit)), np.zeros(0), nothing, nothing, nothing)
    benchmark = sample.benchmark[kept]
    cluster = kept if sample.cluster is None else sample.cluster[kept]
    if not across:
        _, cluster = np.unique(np.stack([benchmark, cluster]), axis=1, return_inverse=True)
    _, unit_of = np.unique(cluster, return_inverse=True)
    size = np.bincount(unit_of)
    unit[kept] = unit_of
    numbers, benchmark_of = np.unique(benchmark, return_inverse=True)
    home = first_of_most(unit_of, benchmark_of, len(numbers))
    outcome = _outcomes(sample.scores[kept], benchmark_of, unit_of, home)
    order = np.lexsort((benchmark_of != home[unit_of], unit_of))
    first = order[np.cumsum(size) - size]  # an item of each unit's own benchmark
    covariates = [covariate.of_units(kept, unit_of, first, size) for covariate in sample.covariates]
    block = split_by_size(cut(home, covariates), size)
    block_benchmark = np.zeros(int(block.max()) + 1, np.int64)
    block_benchmark[block] = numbers[home]
    share = np.ones(len(unit))
    if sample.repeats is not None:
        share[kept] = np.where(sample.repeats[kept], 1 / size[unit_of], 1.0)
    return Units(unit, share, outcome, numbers[home], block, block_benchmark)


def _outcomes(scores: np.ndarray, benchmark_of: np.ndarray, unit_of: np.ndarray, home: np.ndarray) -> np.ndarray:
    """Return each unit's outcome: shape (K,).

    Parameters
    ----------
    scores, benchmark_of, unit_of : ndarray of one shape
        Score, position of the benchmark and unit of each scored item.
    home : ndarray of int of shape (K,)
        Position of the benchmark in which each unit counts.
    """
    level = np.bincount(benchmark_of, scores) / np.bincount(benchmark_of)
    crossing = np.bincount(unit_of, benchmark_of != home[unit_of]) > 0
    size = np.bincount(unit_of)
    outcome = np.bincount(unit_of, scores) / size
    moved = level[home] + np.bincount(unit_of, scores - level[benchmark_of]) / size
    return np.where(crossing, np.clip(moved, 0.0, 1.0), outcome)


def first_of_most(unit_of: np.ndarray, benchmark_of: np.ndarray, places: int) -> np.ndarray:
    """Return the position of the benchmark with most items of each unit; the first of equals."""
    pair, count = np.unique(unit_of * places + benchmark_of, return_counts=True)
    order = np.lexsort((pair, -count))
    units = pair[order] // places
    _, first = np.unique(units, return_index=True)
    return np.asarray(pair[order][first] % places, np.int64)


@dataclass(frozen=True)
class BlockSums:
    """Sums over the units of each block. C concepts, B blocks, P pairs of a concept and a block in which it is active.

    ``w``: a concept's weight in a unit; ``o``: the unit's outcome.
    """

    concepts: int
    """C."""
    units: np.ndarray
    """float64 of shape (B,): number of units."""
    outcome: np.ndarray
    """float64 of shape (4, B): ``sum o``, ``sum o^2``, ``sum o^3``, ``sum o^4``."""
    concept: np.ndarray
    """int64 of shape (P,): the pair's concept, ascending."""
    block: np.ndarray
    """int64 of shape (P,): the pair's block, ascending within a concept."""
    support: np.ndarray
    """float64 of shape (P,), as all sums below: units in which the concept is active."""
    weight: np.ndarray
    """``sum w``."""
    weight2: np.ndarray
    """``sum w^2``."""
    weight3: np.ndarray
    """``sum w^3``."""
    weight4: np.ndarray
    """``sum w^4``."""
    weight_outcome: np.ndarray
    """``sum w o``."""
    weight_outcome2: np.ndarray
    """``sum w o^2``."""
    weight2_outcome: np.ndarray
    """``sum w^2 o``."""
    weight2_outcome2: np.ndarray
    """``sum w^2 o^2``."""

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean outcome of each block: shape (B,); 0 where it has no unit."""
        total = self.outcome[0]
        return np.divide(total, self.units, out=np.zeros(len(total)), where=self.units > 0)

    def total(self, values: np.ndarray, factor: np.ndarray | None = None) -> np.ndarray:
        """Return values of the pairs summed over blocks: float64 of shape (C,).

        Parameters
        ----------
        values : ndarray of float of shape (P,)
        factor : ndarray of float of shape (B,), optional
            Factor of each block's values; None: 1.
        """
        products = values if factor is None else values * factor[self.block]
        return np.bincount(self.concept, products, self.concepts)

    def of_pairs(self, chosen: np.ndarray) -> BlockSums:
        """Return the sums of some pairs (bool of shape (P,)); blocks and concepts do not change their numbers."""
        whole = (self.concepts, self.units, self.outcome)
        return BlockSums(*whole, *(getattr(self, field.name)[chosen] for field in fields(self)[len(whole) :]))


def block_sums(weights: sp.csr_array, outcome: np.ndarray, block: np.ndarray, blocks: int) -> BlockSums:
    """Return the sums over the units of each block.

    Parameters
    ----------
    weights : csr_array of shape (C, K)
        Each concept's weights, >= 0.
    outcome : ndarray of float of shape (K,)
        In [0, 1].
    block : ndarray of int of shape (K,)
        Below ``blocks``.
    """
    if weights.data.min(initial=1.0) <= 0:
        weights = weights.copy()
        weights.eliminate_zeros()
    concepts, count = weights.shape
    cell = np.repeat(np.arange(concepts) * blocks, np.diff(weights.indptr)) + block[weights.indices]
    used = np.zeros(concepts * blocks, bool)
    used[cell] = True
    pairs = np.flatnonzero(used)
    pair = (np.cumsum(used) - 1)[cell]
    w = np.asarray(weights.data, np.float64)
    powers = np.stack([np.ones(count), outcome, outcome**2], axis=1)

    def by_pair(values: np.ndarray, factors: np.ndarray) -> np.ndarray:
        """Sum over the units of each pair of concept and block."""
        # Products of sparse matrices release the GIL, which np.bincount does not.
        return np.ascontiguousarray((sp.coo_array((values, (pair, weights.indices)), (len(pairs), count)) @ factors).T)

    (support,), (weight3,), (weight4,) = (by_pair(w**k, powers[:, :1]) for k in (0, 3, 4))
    weight, *outcomes = by_pair(w, powers)
    weight2, *outcomes2 = by_pair(w * w, powers)
    return BlockSums(
        concepts,
        np.bincount(block, minlength=blocks).astype(np.float64),
        np.array([np.bincount(block, outcome**k, blocks) for k in (1, 2, 3, 4)]),
        *np.divmod(pairs, max(1, blocks)),
        *(support, weight, weight2, weight3, weight4, *outcomes, *outcomes2),
    )


def effective_sample(weight: np.ndarray, weight2: np.ndarray) -> np.ndarray:
    """Return ``n_eff = (sum W)^2 / sum W^2`` over clusters, with ``W`` the sum of CAS in a cluster.

    Parameters
    ----------
    weight, weight2 : ndarray of float of one shape
        ``sum W`` and ``sum W^2``.

    Returns
    -------
    ndarray of float64
        Between 1 and the number of clusters in which the concept is active; 0 where there are none.
    """
    return np.divide(weight**2, weight2, out=np.zeros(np.shape(weight)), where=weight2 > 0)
