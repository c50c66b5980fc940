"""Sums over the units of each block: intervals, gaps and permutation moments are functions of them.

A block in which a concept is not active adds nothing to any of these, so sums are kept only for *pairs* of a concept
and a block in which it is active.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class BlockSums:
    """Sums over units. C concepts, B blocks, P pairs; ``w``: a concept's weight in a unit, ``o``: its outcome."""

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
        """Add up values of the pairs over blocks: float64 of shape (C,).

        Parameters
        ----------
        values : ndarray of float of shape (P,)
        factor : ndarray of float of shape (B,), optional
            What each block's values are multiplied by; None: 1.
        """
        own = values if factor is None else values * factor[self.block]
        return np.bincount(self.concept, own, self.concepts)

    def of_pairs(self, chosen: np.ndarray) -> BlockSums:
        """Keep some pairs (bool of shape (P,)); blocks and concepts keep their numbers."""
        whole = (self.concepts, self.units, self.outcome)
        return BlockSums(*whole, *(getattr(self, field.name)[chosen] for field in fields(self)[len(whole) :]))


def block_sums(weights: sp.csr_array, outcome: np.ndarray, block: np.ndarray, blocks: int) -> BlockSums:
    """Sum over the units of each block.

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
    """``n_eff = (sum W)^2 / sum W^2`` over clusters, with ``W`` the sum of CAS in a cluster.

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
