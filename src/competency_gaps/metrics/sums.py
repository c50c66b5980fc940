"""Per-benchmark sums that every metric is made from: one pass over the rows, mergeable in any order.

A benchmark of any size needs a few vectors of the SAE's width, and shards can be summed apart and merged.
"""

from __future__ import annotations

import functools
import itertools
import operator
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp

CHUNK = 1_000_000
"""Non-zeros that each thread converts to float64 at a time."""
WORKERS = 4
"""Most threads."""


@dataclass
class Sums:
    """Sums over the kept items of one benchmark. Vectors are float64 of shape (concepts,); ``w = CAS(c, x)``."""

    items: int
    """Kept items."""
    scored: int
    """Kept items with a score."""
    score: float
    """``sum s`` over scored items."""
    cas: np.ndarray
    """``sum w`` over all kept items."""
    support: np.ndarray
    """Kept items in which the concept is active."""
    weight: np.ndarray
    """``sum w`` over scored items."""
    weight_score: np.ndarray
    """``sum w s`` over scored items."""

    @staticmethod
    def zeros(concepts: int) -> Sums:
        """Sums over no items."""
        return Sums(0, 0, 0.0, *(np.zeros(concepts) for _ in range(4)))

    @staticmethod
    def of(cas: sp.csr_array, scores: np.ndarray) -> Sums:
        """Sums over a block of items; memory beside the block is bounded by a chunk of it.

        Parameters
        ----------
        cas : csr_array of shape (items, concepts)
            CAS rows, >= 0. Rows of excluded items must not be passed.
        scores : ndarray of float of shape (items,)
            Scores in [0, 1]; NaN = unscored.

        Raises
        ------
        ValueError
            If the shapes differ, or a score or an activation is outside its range.
        """
        scores = np.asarray(scores, dtype=np.float64)
        if cas.shape[0] != len(scores):
            raise ValueError(f"{cas.shape[0]} CAS rows but {len(scores)} scores: there must be one score per row")
        check_values(cas, scores)
        known = ~np.isnan(scores)
        s = np.where(known, scores, 0.0)
        total = Sums.zeros(cas.shape[1])
        total.items, total.scored, total.score = len(scores), int(known.sum()), float(s.sum())
        factors = np.stack([np.ones(len(s)), known, s], axis=1)  # of all items, of the scored ones, and their scores
        for rows in _chunks(cas):
            total._add_chunk(cas, rows, factors[rows])
        return total

    def _add_chunk(self, cas: sp.csr_array, rows: slice, factors: np.ndarray) -> None:
        start, stop = int(cas.indptr[rows.start]), int(cas.indptr[rows.stop])
        w = cas.data[start:stop].astype(np.float64)
        concepts = cas.indices[start:stop].astype(np.int32, copy=False)
        indptr = (cas.indptr[rows.start : rows.stop + 1] - start).astype(np.int32)
        matrix = sp.csr_array((w, concepts, indptr), shape=(len(factors), cas.shape[1]))
        sums = np.asarray(matrix.T @ factors)
        self.support += np.bincount(concepts[w > 0], minlength=cas.shape[1])
        self.cas += sums[:, 0]
        self.weight += sums[:, 1]
        self.weight_score += sums[:, 2]

    def __add__(self, other: Sums) -> Sums:
        """Sums over both sets of items."""
        return Sums(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def mean_score(self) -> float:
        """Mean score of the scored items; NaN if there are none."""
        return self.score / self.scored if self.scored else float("nan")


def check_values(cas: sp.csr_array, scores: np.ndarray, limits: tuple[float, float] = (0.0, 1.0)) -> None:
    """Raise ValueError if a score (or another outcome) or an activation is outside its range."""
    low, high = limits
    known = ~np.isnan(scores)
    if known.any() and not (scores[known].min() >= low and scores[known].max() <= high):
        raise ValueError(
            f"scores from {scores[known].min():g} to {scores[known].max():g}: they must lie in [{low:g}, {high:g}] "
            "or be NaN where unscored"
        )
    if cas.nnz and not (cas.data.min() >= 0 and np.isfinite(cas.data.max())):
        raise ValueError("concept activation scores must be finite and at least 0")


def check_rows(
    cas: sp.csr_array, scores: np.ndarray, benchmarks: np.ndarray, limits: tuple[float, float] = (0.0, 1.0)
) -> None:
    """Raise ValueError if plain arrays differ in length, are empty, or hold a value outside its range."""
    if len(benchmarks) != cas.shape[0] or not len(benchmarks):
        raise ValueError(
            f"{cas.shape[0]} CAS rows but {len(benchmarks)} benchmark ids: there must be one per row, at least one"
        )
    if len(scores) != cas.shape[0]:
        raise ValueError(f"{cas.shape[0]} CAS rows but {len(scores)} scores: there must be one score per row")
    check_values(cas, np.asarray(scores, np.float64), limits)


def _chunks(cas: sp.csr_array) -> Iterator[slice]:
    """Rows whose non-zeros together make about one chunk."""
    starts = np.searchsorted(cas.indptr, np.arange(0, cas.nnz, CHUNK))
    bounds = np.unique(np.concatenate([[0], starts, [cas.shape[0]]]))
    yield from (slice(int(a), int(b)) for a, b in itertools.pairwise(bounds))


def add_all(parts: Iterable[Sums]) -> Sums:
    """Sums over the items of all parts; there is at least one."""
    return functools.reduce(operator.add, parts)


def sums_by_benchmark(cas: sp.csr_array, scores: np.ndarray, benchmarks: np.ndarray) -> dict[str, Sums]:
    """Sums of each benchmark from plain arrays, in order of first appearance.

    Parameters
    ----------
    cas : csr_array of shape (items, concepts)
        Of the items that count.
    scores : ndarray of float of shape (items,)
        In [0, 1]; NaN = unscored.
    benchmarks : ndarray of shape (items,)
        Which benchmark each item belongs to.

    Raises
    ------
    ValueError
        If the lengths differ, there are no items, or a value is out of its range.
    """
    names = np.asarray(benchmarks)
    check_rows(cas, scores, names)
    places = {str(name): np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())}
    scores = np.asarray(scores)
    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        sums = pool.map(lambda place: Sums.of(_rows(cas, place), scores[place]), places.values())
        return dict(zip(places, sums, strict=True))


def _rows(cas: sp.csr_array, place: np.ndarray) -> sp.csr_array:
    """Rows of a matrix; without a copy where they lie together."""
    first, last = int(place[0]), int(place[-1]) + 1
    if last - first != len(place):
        return cas[place]
    start, stop = cas.indptr[first], cas.indptr[last]
    parts = (cas.data[start:stop], cas.indices[start:stop], cas.indptr[first : last + 1] - start)
    return sp.csr_array(parts, shape=(last - first, cas.shape[1]))
