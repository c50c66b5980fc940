"""Sums over the units of each block: intervals, gaps and permutation moments are functions of them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class BlockSums:
    """Sums over units, in float64. C concepts, B blocks; ``w``: a concept's weight in a unit, ``o``: its outcome."""

    units: np.ndarray
    """Shape (B,): number of units."""
    outcome: np.ndarray
    """Shape (4, B): ``sum o``, ``sum o^2``, ``sum o^3``, ``sum o^4``."""
    support: np.ndarray
    """Shape (C, B), as all below: units in which the concept is active."""
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

    @property
    def mean(self) -> np.ndarray:
        """Mean outcome of each block: shape (B,); 0 where it has no unit."""
        return np.divide(self.outcome[0], self.units, out=np.zeros(len(self.units)), where=self.units > 0)

    def of_blocks(self, chosen: np.ndarray) -> BlockSums:
        """Keep some blocks."""
        return BlockSums(*(getattr(self, one.name)[..., chosen] for one in fields(self)))

    def merged(self, group: np.ndarray, groups: int) -> BlockSums:
        """Add up blocks.

        Parameters
        ----------
        group : ndarray of int of shape (B,)
            What each block becomes part of, below ``groups``.
        """
        join = sp.csr_array((np.ones(len(group)), (np.arange(len(group)), group)), shape=(len(group), groups))
        return BlockSums(*(np.asarray(getattr(self, one.name) @ join) for one in fields(self)))


def block_sums(weights: sp.csr_array, outcome: np.ndarray, block: np.ndarray, blocks: int) -> BlockSums:
    """Sum over the units of each block.

    Parameters
    ----------
    weights : csr_array of shape (C, K)
        Each concept's weights, >= 0.
    outcome : ndarray of float of shape (K,)
    block : ndarray of int of shape (K,)
        Below ``blocks``.
    """
    concepts = weights.shape[0]
    row = np.repeat(np.arange(concepts), np.diff(weights.indptr))
    key = row * blocks + block[weights.indices]

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(key, values, concepts * blocks).reshape(concepts, blocks)

    w = np.asarray(weights.data, np.float64)
    o = outcome[weights.indices]
    wo, w2 = w * o, w * w
    w2o = w2 * o
    return BlockSums(
        np.bincount(block, minlength=blocks).astype(np.float64),
        np.stack([np.bincount(block, outcome**k, blocks) for k in (1, 2, 3, 4)]),
        total((w > 0).astype(np.float64)),
        total(w),
        total(w2),
        total(w2 * w),
        total(w2 * w2),
        total(wo),
        total(wo * o),
        total(w2o),
        total(w2o * o),
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
