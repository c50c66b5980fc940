"""Sums over the units of each block: intervals, gaps and permutation moments are functions of them.

A block in which a concept is not active adds nothing to any of these, so sums are kept only for *pairs* of a concept
and a block in which it is active. Several outcomes of the same units are summed together: what depends on an outcome
then has a leading axis of J outcomes, written ``(..., P)`` below, and everything computed from it has that axis too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    """float64 of shape (4, ..., B): ``sum o``, ``sum o^2``, ``sum o^3``, ``sum o^4``."""
    concept: np.ndarray
    """int64 of shape (P,): the pair's concept, ascending."""
    block: np.ndarray
    """int64 of shape (P,): the pair's block, ascending within a concept."""
    support: np.ndarray
    """float64 of shape (P,), as all sums of weights: units in which the concept is active."""
    weight: np.ndarray
    """``sum w``."""
    weight2: np.ndarray
    """``sum w^2``."""
    weight3: np.ndarray
    """``sum w^3``."""
    weight4: np.ndarray
    """``sum w^4``."""
    weight_outcome: np.ndarray
    """float64 of shape (..., P), as all below: ``sum w o``."""
    weight_outcome2: np.ndarray
    """``sum w o^2``."""
    weight2_outcome: np.ndarray
    """``sum w^2 o``."""
    weight2_outcome2: np.ndarray
    """``sum w^2 o^2``."""

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean outcome of each block: shape (..., B); 0 where it has no unit."""
        total = self.outcome[0]
        return np.divide(total, self.units, out=np.zeros(total.shape), where=self.units > 0)

    def total(self, values: np.ndarray, factor: np.ndarray | None = None) -> np.ndarray:
        """Add up values of the pairs over blocks.

        Parameters
        ----------
        values : ndarray of float of shape (..., P), or (P,) with ``factor``
        factor : ndarray of float of shape (..., B), optional
            What each block's values are multiplied by; None: 1.

        Returns
        -------
        ndarray of float64 of shape (..., C)
        """
        if factor is not None:
            rows = sp.csr_array((values, self.block, self._bounds), shape=(self.concepts, len(self.units)))
            return np.asarray((rows @ factor.T).T)
        out = np.zeros((*values.shape[:-1], self.concepts))
        if values.shape[-1]:
            first = np.flatnonzero(np.diff(self.concept, prepend=-1))
            out[..., self.concept[first]] = np.add.reduceat(values, first, axis=-1)
        return out

    def of_block(self, values: np.ndarray) -> np.ndarray:
        """Give each pair the value of its block: from shape (..., B) to (..., P)."""
        return values.take(self.block, axis=-1)

    @cached_property
    def _bounds(self) -> np.ndarray:
        """Where each concept's pairs begin and end: shape (C + 1,)."""
        return np.searchsorted(self.concept, np.arange(self.concepts + 1))

    def of_pairs(self, chosen: np.ndarray) -> BlockSums:
        """Keep some pairs (bool or int); blocks and concepts keep their numbers."""
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        whole = ("concepts", "units", "outcome")
        return BlockSums(
            *(
                getattr(self, field.name) if field.name in whole else getattr(self, field.name).take(chosen, axis=-1)
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
        member = sp.csr_array((np.ones(len(group)), group, np.arange(len(group) + 1)), shape=(len(group), groups))

        def added(values: np.ndarray) -> np.ndarray:
            return np.add.reduceat(values, first, axis=-1) if len(first) else np.zeros((*values.shape[:-1], 0))

        # Laid out alike for any number of outcomes: sums along it must not round differently.
        flat = np.ascontiguousarray(self.outcome.reshape(math.prod(self.outcome.shape[:-1]), len(group)) @ member)
        return BlockSums(
            self.concepts,
            self.units @ member,
            flat.reshape(*self.outcome.shape[:-1], groups),
            self.concept[first],
            group[self.block[first]],
            *(added(getattr(self, name)) for name in PAIRED),
        )


PAIRED = tuple(field.name for field in fields(BlockSums))[5:]
"""Fields that hold sums of pairs."""


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of K units in B blocks, one or J of them, with what every concept's sums need of them."""

    block: np.ndarray
    """int of shape (K,): each unit's block."""
    values: np.ndarray
    """float64 of shape (K, J), C-contiguous."""
    row: np.ndarray
    """int32 of shape (K,): the unit's row in ``beyond``; -1 where all of its outcomes are 0 or 1, their own squares."""
    beyond: np.ndarray
    """float64 of shape (other units, J): ``o^2 - o``."""
    units: np.ndarray
    """float64 of shape (B,): number of units."""
    sums: np.ndarray
    """float64 of shape (4, ..., B): ``sum o``, ``sum o^2``, ``sum o^3``, ``sum o^4``."""

    @staticmethod
    def of(outcome: np.ndarray | Sequence[np.ndarray], block: np.ndarray, blocks: int) -> Outcomes:
        """Gather the outcomes of units by block.

        Parameters
        ----------
        outcome : ndarray of float of shape (K,), or J of them
            In [0, 1].
        block : ndarray of int of shape (K,)
            Below ``blocks``.
        """
        every = [outcome] if isinstance(outcome, np.ndarray) else outcome
        sums = np.array([[np.bincount(block, own**k, blocks) for own in every] for k in (1, 2, 3, 4)])
        values = np.empty((len(block), len(every)))
        graded = np.zeros(len(block), bool)
        for place, own in enumerate(every):
            values[:, place] = own
            graded |= (own != 0) & (own != 1)
        beyond = values[graded]
        return Outcomes(
            block.astype(np.int32 if blocks < 2**31 else np.int64),
            values,
            np.where(graded, np.cumsum(graded, dtype=np.int32) - 1, np.int32(-1)),
            beyond * beyond - beyond,
            np.bincount(block, minlength=blocks).astype(np.float64),
            sums[:, 0] if isinstance(outcome, np.ndarray) else sums,
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
    powers: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    """Four float64 arrays of shape (P,): ``sum w``, ``sum w^2``, ``sum w^3``, ``sum w^4``."""
    pair: np.ndarray
    """int of shape (nonzeros,): the pair that each weight belongs to."""
    unit: np.ndarray
    """int of shape (nonzeros,): its unit."""
    weights: np.ndarray
    """float64 of shape (nonzeros,): ``w`` > 0."""

    @staticmethod
    def of(weights: sp.csr_array, block: np.ndarray, blocks: int) -> PairWeights:
        """Sum weights, csr_array of shape (C, K) and >= 0, over the units of each block (int, shape (K,))."""
        concepts = weights.shape[0]
        if weights.data.min(initial=1.0) <= 0:
            weights = weights.copy()
            weights.eliminate_zeros()
        cells = concepts * blocks
        kind = np.int32 if max(cells, weights.nnz, weights.shape[1]) < 2**31 else np.int64
        unit = weights.indices.astype(kind, copy=False)
        cell = np.repeat(np.arange(concepts, dtype=kind) * kind(blocks), np.diff(weights.indptr))
        cell += block.astype(kind, copy=False).take(weights.indices)
        used = np.zeros(cells, bool)
        used[cell] = True
        pairs = np.flatnonzero(used)
        pair: np.ndarray = np.cumsum(used, dtype=kind).take(cell)
        pair -= 1
        w = np.asarray(weights.data, np.float64)
        w2 = w * w
        ones = np.ones((len(block), 1))

        def by_pair(values: np.ndarray) -> np.ndarray:
            # Products of sparse matrices release the GIL, which np.bincount does not.
            return (sp.coo_array((values, (pair, unit)), shape=(len(pairs), len(block))) @ ones)[:, 0]

        return PairWeights(
            concepts,
            pairs // max(1, blocks),
            pairs % max(1, blocks),
            by_pair(np.ones(len(w))),
            (by_pair(w), by_pair(w2), by_pair(w2 * w), by_pair(w2 * w2)),
            pair,
            unit,
            w,
        )

    def sums(self, outcomes: Outcomes) -> BlockSums:
        """Sum with outcomes of the units; a non-zero is read once for all of them."""
        w, shape, lead = self.weights, (len(self.block), len(outcomes.values)), outcomes.sums.shape[1:-1]
        row = outcomes.row.take(self.unit)
        some = np.flatnonzero(row >= 0)
        places = (self.pair.take(some), row.take(some).astype(self.pair.dtype))

        def with_outcomes(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """Sum weights times outcomes, and times their squares: each of shape (..., P)."""
            plain = sp.coo_array((weights, (self.pair, self.unit)), shape=shape) @ outcomes.values
            beyond = sp.coo_array((weights.take(some), places), shape=(shape[0], len(outcomes.beyond)))
            plain, squared = (np.ascontiguousarray(sums.T) for sums in (plain, plain + beyond @ outcomes.beyond))
            return plain.reshape(*lead, shape[0]), squared.reshape(*lead, shape[0])

        return BlockSums(
            self.concepts,
            outcomes.units,
            outcomes.sums,
            self.concept,
            self.block,
            self.support,
            *self.powers,
            *with_outcomes(w),
            *with_outcomes(w * w),
        )


def block_sums(weights: sp.csr_array, outcomes: Outcomes) -> BlockSums:
    """Sum over the units of each block.

    Parameters
    ----------
    weights : csr_array of shape (C, K)
        Each concept's weights, >= 0.
    """
    return PairWeights.of(weights, outcomes.block, len(outcomes.units)).sums(outcomes)


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
