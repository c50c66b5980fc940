"""Families of slices over the units of an outcome, and outcomes centred within comparable units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import Units
from competency_gaps.slices import Family

MIN_UNITS = 20
"""Minimum effective number of units of a slice; half as many for a category, which is tested with its column."""
MIN_SCORED_SHARE = 0.5
"""Minimum share of a slice's items that must be scored: scores are seldom missing at random."""
FAMILIES_BY_READABILITY = ("columns", "regions", "profiles", "lists", "skills", "concepts", "clusters", "features")
"""Families, the easiest to check for people first; families not named here rank with ``features``."""


@dataclass(frozen=True)
class FamilyOnUnits:
    """A family of K slices, with its weights summed over the U units of an outcome in B blocks."""

    family: Family
    weights: sp.csr_array
    """float32 of shape (K, U)."""
    size: np.ndarray
    """float64 of shape (K,): sum of each slice's weights."""
    by_block: np.ndarray
    """float64 of shape (K, B): in each block, the sum of squares of the weights about the block's mean."""
    items: np.ndarray
    """int64 of shape (K,): scored items in each slice; ``of_items``: all its items, scored or not."""
    of_items: np.ndarray
    reason: list[str | None]
    """Why a slice gets no gap: ``few items``, ``nearly all`` items, or mostly ``unscored`` items; None: it gets one."""

    @cached_property
    def usable(self) -> np.ndarray:
        """Slices that get a gap: bool of shape (K,)."""
        return np.array([reason is None for reason in self.reason], bool)

    @cached_property
    def by_column(self) -> list[np.ndarray]:
        """Indices of the usable slices of each column, one int64 array per column."""
        names = [name for name in dict.fromkeys(self.family.column) if name is not None]
        column = np.array(self.family.column, object)
        categories = [np.flatnonzero((column == name) & self.usable) for name in names]
        return [slices for slices in categories if len(slices)]

    def belongs(self, number: int) -> np.ndarray:
        """Return which items are in a slice: bool of shape (N,)."""
        return self.family.member[[number]].toarray().ravel() > 0

    @cached_property
    def squares(self) -> np.ndarray:
        """Sum of squares of the weights about their blocks' means: float64 of shape (K,)."""
        return self.by_block.sum(axis=1, dtype=np.float64)

    def z_scores(self, residual: np.ndarray, variances: np.ndarray) -> np.ndarray:
        """Return the z-score of each slice in each subset: float of shape (K, H).

        Parameters
        ----------
        residual : ndarray of float32 of shape (U, H)
            Outcomes of H subsets of the units, less their block's mean.
        variances : ndarray of float32 of shape (B, H)
            Of these, from :func:`variances`.
        """
        return (self.weights @ residual) / np.sqrt(np.maximum(self.by_block @ variances, 1e-9))

    @cached_property
    def outside_columns(self) -> np.ndarray:
        """Usable slices that are no category of a column: bool of shape (K,)."""
        return self.usable & np.array([column is None for column in self.family.column])

    @property
    def rank(self) -> int:
        """Position in :data:`FAMILIES_BY_READABILITY`."""
        return FAMILIES_BY_READABILITY.index(
            self.family.name if self.family.name in FAMILIES_BY_READABILITY else "features"
        )


def aggregate(family: Family, units: Units, kept: np.ndarray) -> FamilyOnUnits:
    """Return a family with its weights summed over the units of an outcome.

    Parameters
    ----------
    kept : ndarray of bool of shape (N,)
        Items that the run did not exclude.
    """
    weights = sp.csr_array(units.rows(family.weights), dtype=np.float32)
    size = np.asarray(weights.sum(axis=1), np.float64).ravel()
    squares, sums = weights.power(2), sums_by_block(weights, units.block)
    square = np.asarray(squares.sum(axis=1), np.float64).ravel()
    by_block = np.maximum(sums_by_block(squares, units.block) - sums**2 / np.bincount(units.block), 0.0)
    scored = units.unit >= 0
    items, of_items = (
        np.asarray(family.member @ mask.astype(np.float32)).round().astype(int) for mask in (scored, kept)
    )
    n_eff = np.divide(size**2, square, out=np.zeros(len(size)), where=square > 0)
    distinct = np.divide(by_block.sum(axis=1), square, out=np.zeros(len(size)), where=square > 0)
    # A slice of nearly all items differs from its blocks' means in few units.
    min_units = np.where([column is None for column in family.column], MIN_UNITS, MIN_UNITS / 2)
    unscored, too_small = items < MIN_SCORED_SHARE * np.maximum(of_items, 1), n_eff < min_units
    nearly_all = (n_eff * distinct < min_units / 2) | (distinct <= 0.1)
    reason = np.where(unscored, "unscored", np.where(too_small, "few items", np.where(nearly_all, "nearly all", "")))
    return FamilyOnUnits(family, weights, size, by_block, items, of_items, [text or None for text in reason.tolist()])


def block_matrix(block: np.ndarray) -> sp.csr_array:
    """Return the indicator matrix of the units' blocks: float32 of shape (U, B)."""
    shape = len(block), int(block.max(initial=-1)) + 1
    return sp.csr_array((np.ones(len(block), np.float32), block, np.arange(len(block) + 1)), shape=shape)


def sums_by_block(weights: sp.csr_array, block: np.ndarray) -> np.ndarray:
    """Return weights of shape (K, U) summed over the units of each block: float64 of shape (K, B)."""
    return np.asarray((sp.csr_array(weights, dtype=np.float64) @ block_matrix(block)).toarray())


def centred(values: np.ndarray, taken: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Return values less their block's mean within each subset, and 0 outside the subset.

    Parameters
    ----------
    values : ndarray of float of shape (U,) or (U, H)
    taken : ndarray of bool of shape (U, H)

    Returns
    -------
    ndarray of float32 of shape (U, H)
    """
    of_block = block_matrix(block)
    inside = taken.astype(np.float32)
    kept = np.asarray(values if values.ndim == 2 else values[:, None], np.float32) * inside
    mean = (of_block.T @ kept) / np.maximum(of_block.T @ inside, 1)
    kept -= mean[block] * inside
    return kept


def variances(residual: np.ndarray, taken: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Return the variance of centred outcomes in each block, times the share of its units in the subset: shape (B, H).

    When outcomes are permuted within blocks, their product with weights has the variance ``sum_b SS_w(b) s^2(b)``.
    """
    of_block = block_matrix(block).T
    count = of_block @ taken.astype(np.float32)
    share = count / np.bincount(block)[:, None].astype(np.float32)
    return (of_block @ residual**2) / np.maximum(count - 1, 1) * share
