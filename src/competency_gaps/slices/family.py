"""Families: slices of one provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

MIN_ITEMS = 10
"""Minimum number of items of a slice."""
CONCEPTS = 1_000_000
"""The number of a concept's slice is this plus the concept's number in the SAE."""


@dataclass(frozen=True)
class Family:
    """Slices of one provenance. K slices, N items of ``items.parquet``."""

    name: str
    """Name of the provider: ``columns``, ``regions``, ``profiles``, ``clusters``, ``concepts``, ``features``,
    ``lists``, ``skills``, or a plug-in's."""
    weights: sp.csr_array
    """float32 of shape (K, N), in [0, 1]."""
    names: list[str]
    """Of shape (K,): names of the slices."""
    column: list[str | None]
    """Of shape (K,): the column of which the slice is a category; None: no column. A column is tested as a whole before
    its categories."""
    parent: np.ndarray
    """int64 of shape (K,): number of the parent slice in a tree, which contains most of its items; -1: none."""
    number: np.ndarray
    """int64 of shape (K,): number of the slice in the run, as in ``slices.parquet`` and ``--slice``. Slices of concepts
    are not stored; theirs is ``CONCEPTS`` plus the concept's number."""
    words: list[list[str]] = field(default_factory=list)
    """Of shape (K,): words that are distinctive of the slice's items; may be empty."""
    typical: list[list[int]] = field(default_factory=list)
    """Of shape (K,): rows of the slice's two most typical items; may be empty."""
    made_with: dict[str, Any] = field(default_factory=dict)
    """What the slices depend on beside the run's items, labels and activations, such as versions of packages."""

    @cached_property
    def member(self) -> sp.csr_array:
        """Membership of items in slices: float32 of shape (K, N), 1 where the weight is at least half of the slice's
        largest.
        """
        half = self.weights.max(axis=1).toarray().ravel() / 2
        belongs = self.weights.data >= np.repeat(half, np.diff(self.weights.indptr))
        places = (self.weights.indices, self.weights.indptr)
        return sp.csr_array((belongs.astype(np.float32), *places), shape=self.weights.shape)


def subset(family: Family, kept: np.ndarray) -> Family:
    """Return some slices of a family, in order, renumbered from 0; parents become the nearest ancestors that remain.

    Parameters
    ----------
    kept : ndarray of int of shape (k,)
        Positions in the family, ascending.
    """
    above = np.where(family.parent < 0, -1, family.parent - family.number[0])
    new = np.full(len(above) + 1, -1)  # new position of each slice, or of its nearest ancestor left; the last: none
    new[kept] = np.arange(len(kept))
    for index in np.setdiff1d(np.arange(len(above)), kept).tolist():  # parents stand before their children
        new[index] = new[above[index]]
    return replace(
        family,
        weights=family.weights[kept],
        names=[family.names[index] for index in kept],
        column=[family.column[index] for index in kept],
        parent=new[above[kept]],
        number=np.arange(len(kept)),
        words=[family.words[index] for index in kept],
        typical=[family.typical[index] for index in kept],
    )


def ones_at(places: Sequence[np.ndarray], items: int) -> sp.csr_array:
    """Return a sparse array with a 1 at the given places of each row: float32 of shape (rows, items)."""
    start = np.concatenate([[0], np.cumsum([len(ones) for ones in places])]).astype(np.int64)
    index = np.concatenate([np.zeros(0, np.int64), *places])
    return sp.csr_array((np.ones(len(index), np.float32), index, start), shape=(len(places), items))


def family_of(
    name: str,
    weights: sp.csr_array | Sequence[np.ndarray],
    names: Sequence[str],
    column: Sequence[str | None] | None = None,
    parent: np.ndarray | None = None,
) -> Family:
    """Return a family whose slices are numbered from 0; their numbers in the run are assigned when it is stored.

    Parameters
    ----------
    weights
        Of shape (K, N), in [0, 1]: sparse, or a row for each slice.
    column
        The column of which each slice is a category; None: none is.
    parent
        Positions of the parent slices, -1: none; None: no slice has one.
    """
    count = len(names)
    rows = weights if sp.issparse(weights) else np.array(weights, np.float32).reshape(count, -1)
    sparse = sp.csr_array(rows, dtype=np.float32)
    sparse.eliminate_zeros()
    sparse.sort_indices()
    none = np.full(count, -1, np.int64)
    return Family(
        name,
        sparse,
        list(names),
        [None] * count if column is None else list(column),
        none if parent is None else np.asarray(parent, np.int64),
        np.arange(count, dtype=np.int64),
        [[] for _ in range(count)],
        [[] for _ in range(count)],
    )
