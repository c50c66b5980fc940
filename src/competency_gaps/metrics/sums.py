"""Per-benchmark sums that every metric is made from: one pass over the rows, mergeable in any order.

A benchmark of any size needs a few vectors of the SAE's width, and shards can be summed apart and merged.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp


@dataclass
class Sums:
    """Sums over the kept items of one benchmark. Vectors are float64 of shape (concepts,); ``w = CAS(c, x)``."""

    items: int
    """Kept items."""
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
        return Sums(0, *(np.zeros(concepts) for _ in range(4)))

    @staticmethod
    def of(cas: sp.csr_array, scores: np.ndarray) -> Sums:
        """Sums over a block of items.

        Parameters
        ----------
        cas : csr_array of shape (items, concepts)
            CAS rows, >= 0. Rows of excluded items must not be passed.
        scores : ndarray of float of shape (items,)
            Scores in [0, 1]; NaN = unscored.
        """
        known = ~np.isnan(scores)
        s = np.where(known, scores, 0.0)
        factors = np.stack([np.ones(len(s)), known, s], axis=1)  # of all items, of the scored ones, and their scores
        of_all, weight, weight_score = (sp.csr_array(cas, dtype=np.float64).T @ factors).T
        support = np.bincount(cas.indices[cas.data > 0], minlength=cas.shape[1]).astype(np.float64)
        return Sums(len(s), of_all, support, weight, weight_score)

    def __add__(self, other: Sums) -> Sums:
        """Sums over both sets of items."""
        return Sums(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))
