"""Per-benchmark sums that every metric is made from: one pass over the rows, mergeable in any order.

All metrics are ratios of sums over items, so a benchmark of any size needs a few vectors of the
SAE's width, and shards can be summed apart and merged.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp


@dataclass
class Sums:
    """Sums over the kept items of one benchmark. Arrays are float64 of shape (concepts,)."""

    items: int
    """Kept items."""
    scored: int
    """Of these, items with a score."""
    score_sum: float
    """Sum of the scores."""
    cas: np.ndarray
    """``sum_x CAS(c, x)``."""
    support: np.ndarray
    """Items in which the concept is active."""
    weight: np.ndarray
    """``sum w`` over scored items, with ``w = CAS(c, x)``."""
    weight_score: np.ndarray
    """``sum w s`` over scored items."""
    weight_squared: np.ndarray
    """``sum w^2`` over scored items."""

    @staticmethod
    def zeros(concepts: int) -> Sums:
        """Sums over no items."""
        return Sums(0, 0, 0.0, *(np.zeros(concepts) for _ in range(5)))

    @staticmethod
    def of(cas: sp.csr_array, scores: np.ndarray) -> Sums:
        """Sums over a block of items.

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
        known = ~np.isnan(scores)
        if known.any() and not (scores[known].min() >= 0 and scores[known].max() <= 1):
            raise ValueError("scores must lie in [0, 1] or be NaN for unscored")
        if cas.nnz and (not np.isfinite(cas.data).all() or cas.data.min() < 0):
            raise ValueError("concept activation scores must be finite and at least 0")
        matrix = sp.csr_array(cas, dtype=np.float64)
        ones = known.astype(np.float64)
        return Sums(
            items=len(scores),
            scored=int(known.sum()),
            score_sum=float(scores[known].sum()),
            cas=np.asarray(matrix.sum(axis=0)).ravel(),
            support=np.asarray(matrix.sign().sum(axis=0)).ravel(),
            weight=matrix.T @ ones,
            weight_score=matrix.T @ np.where(known, scores, 0.0),
            weight_squared=matrix.power(2).T @ ones,
        )

    def __add__(self, other: Sums) -> Sums:
        """Sums over both sets of items."""
        return Sums(
            self.items + other.items,
            self.scored + other.scored,
            self.score_sum + other.score_sum,
            self.cas + other.cas,
            self.support + other.support,
            self.weight + other.weight,
            self.weight_score + other.weight_score,
            self.weight_squared + other.weight_squared,
        )

    @property
    def mean_score(self) -> float:
        """Mean score of the scored items; NaN if there are none."""
        return self.score_sum / self.scored if self.scored else float("nan")


def add_all(parts: Iterable[Sums]) -> Sums:
    """Sums over the items of all parts; there is at least one."""
    return functools.reduce(operator.add, parts)
