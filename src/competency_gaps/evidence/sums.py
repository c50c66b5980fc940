"""Sums over the units of each block: intervals, gaps and permutation moments are functions of them.

A block in which a concept is not active adds nothing to any of these, so sums are kept only for *pairs* of a concept
and a block in which it is active.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """float64 of shape (P,), as all below: units in which the concept is active."""
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

    def total(self, values: np.ndarray) -> np.ndarray:
        """Add up values of the pairs over blocks: shape (C,)."""
        out = np.zeros(self.concepts)
        if len(values):
            out[self.concept[self._first]] = np.add.reduceat(values, self._first)
        return out

    @cached_property
    def _first(self) -> np.ndarray:
        """First pair of each concept that has one."""
        return np.flatnonzero(np.diff(self.concept, prepend=-1))

    def of_pairs(self, chosen: np.ndarray) -> BlockSums:
        """Keep some pairs (bool or int); blocks and concepts keep their numbers."""
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        whole = ("concepts", "units", "outcome")
        return BlockSums(
            *(
                getattr(self, field.name) if field.name in whole else getattr(self, field.name).take(chosen)
                for field in fields(self)
            )
        )

    def merged(self, group: np.ndarray, groups: int) -> BlockSums:
        """Add up blocks.

        Parameters
        ----------
        group : ndarray of int of shape (B,)
            Group of each block, below ``groups``; ascending.
        """
        key = self.concept * groups + group[self.block]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        sums = (np.add.reduceat(getattr(self, name), first) if len(first) else np.zeros(0) for name in PAIRED)
        return BlockSums(
            self.concepts,
            np.bincount(group, self.units, groups),
            np.stack([np.bincount(group, power, groups) for power in self.outcome]),
            self.concept[first],
            group[self.block[first]],
            *sums,
        )


PAIRED = tuple(field.name for field in fields(BlockSums))[5:]
"""Fields of shape (P,) that hold sums."""


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of K units in B blocks, with what every concept's sums need of them."""

    block: np.ndarray
    """int of shape (K,): each unit's block."""
    powers: np.ndarray
    """float64 of shape (K, 2): ``o`` and ``o^2`` of each unit."""
    units: np.ndarray
    """float64 of shape (B,): number of units."""
    sums: np.ndarray
    """float64 of shape (4, B): ``sum o``, ``sum o^2``, ``sum o^3``, ``sum o^4``."""

    @staticmethod
    def of(outcome: np.ndarray, block: np.ndarray, blocks: int) -> Outcomes:
        """Gather the outcomes of units (float, shape (K,)) by block (int, shape (K,), below ``blocks``)."""
        return Outcomes(
            block.astype(np.int32 if blocks < 2**31 else np.int64),
            np.stack([outcome, outcome**2], axis=1),
            np.bincount(block, minlength=blocks).astype(np.float64),
            np.stack([np.bincount(block, outcome**k, blocks) for k in (1, 2, 3, 4)]),
        )


@dataclass(frozen=True)
class PairWeights:
    """Weights of C concepts in K units, summed by block: what the sums of any outcomes of the units share. P pairs."""

    concepts: int
    """C."""
    concept: np.ndarray
    """int64 of shape (P,): the pair's concept, ascending."""
    block: np.ndarray
    """int64 of shape (P,): the pair's block, ascending within a concept."""
    support: np.ndarray
    """float64 of shape (P,): units in which the concept is active."""
    powers: tuple[np.ndarray, ...]
    """Four float64 arrays of shape (P,): ``sum w``, ``sum w^2``, ``sum w^3``, ``sum w^4``."""
    plain: sp.coo_array
    """float64 of shape (P, K): ``w``."""
    squared: sp.coo_array
    """float64 of shape (P, K): ``w^2``."""

    @staticmethod
    def of(weights: sp.csr_array, block: np.ndarray, blocks: int) -> PairWeights:
        """Sum weights, csr_array of shape (C, K) and >= 0, over the units of each block (int, shape (K,))."""
        concepts = weights.shape[0]
        if weights.data.min(initial=1.0) <= 0:
            weights = weights.copy()
            weights.eliminate_zeros()
        cells = concepts * blocks
        kind = np.int32 if max(cells, weights.shape[1]) < 2**31 else np.int64
        unit = weights.indices.astype(kind, copy=False)
        cell = np.repeat(np.arange(concepts, dtype=kind) * kind(blocks), np.diff(weights.indptr))
        cell += block.astype(kind, copy=False).take(weights.indices)
        used = np.zeros(cells, bool)
        used[cell] = True
        pairs = np.flatnonzero(used)
        pair: np.ndarray = np.cumsum(used, dtype=kind).take(cell)
        pair -= 1
        w = np.asarray(weights.data, np.float64)
        ones = np.ones((len(block), 1))

        def by_pair(values: np.ndarray) -> sp.coo_array:
            # Products of sparse matrices release the GIL, which np.bincount does not.
            return sp.coo_array((values, (pair, unit)), shape=(len(pairs), len(block)))

        w2 = w * w
        plain, squared = by_pair(w), by_pair(w2)
        return PairWeights(
            concepts=concepts,
            concept=pairs // max(1, blocks),
            block=pairs % max(1, blocks),
            support=(by_pair(np.ones(len(w))) @ ones)[:, 0],
            powers=tuple((by @ ones)[:, 0] for by in (plain, squared, by_pair(w2 * w), by_pair(w2 * w2))),
            plain=plain,
            squared=squared,
        )

    def sums(self, outcomes: Sequence[Outcomes]) -> Iterator[BlockSums]:
        """Sum with each of several outcomes of the units; a non-zero is read once for all of them."""
        powers = np.concatenate([own.powers for own in outcomes], axis=1)
        plain, squared = (self.plain @ powers).T.copy(), (self.squared @ powers).T.copy()
        for place, own in enumerate(outcomes):
            weight_outcome, weight_outcome2 = plain[2 * place : 2 * place + 2]
            weight2_outcome, weight2_outcome2 = squared[2 * place : 2 * place + 2]
            yield BlockSums(
                self.concepts,
                own.units,
                own.sums,
                self.concept,
                self.block,
                self.support,
                weight=self.powers[0],
                weight2=self.powers[1],
                weight3=self.powers[2],
                weight4=self.powers[3],
                weight_outcome=weight_outcome,
                weight_outcome2=weight_outcome2,
                weight2_outcome=weight2_outcome,
                weight2_outcome2=weight2_outcome2,
            )


def block_sums(weights: sp.csr_array, outcomes: Outcomes) -> BlockSums:
    """Sum over the units of each block.

    Parameters
    ----------
    weights : csr_array of shape (C, K)
        Each concept's weights, >= 0.
    """
    return next(PairWeights.of(weights, outcomes.block, len(outcomes.units)).sums([outcomes]))


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
