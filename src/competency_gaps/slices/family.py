"""A family: the slices of one provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

MIN_ITEMS = 10
"""Fewest items of a slice."""
CONCEPTS = 1_000_000
"""A concept's number as a slice is this plus its number in the SAE."""


@dataclass(frozen=True)
class Family:
    """Slices of one provenance. K slices, N items of ``items.parquet``."""

    name: str
    """Of the provider: ``columns``, ``regions``, ``profiles``, ``clusters``, ``concepts``, ``features``, ``lists``,
    ``skills``, or a plug-in's."""
    weights: sp.csr_array
    """float32 of shape (K, N), in [0, 1]."""
    names: list[str]
    """Of shape (K,): what people read."""
    column: list[str | None]
    """Of shape (K,): the column of which a slice is a category; a column is tested as a whole first; None:
    a slice by itself."""
    parent: np.ndarray
    """int64 of shape (K,): number of the slice above it in a tree, which holds most of its items; -1: none."""
    number: np.ndarray
    """int64 of shape (K,): of the slice in the run, as ``slices.parquet`` and ``--slice`` count; concepts, which are
    not stored, have ``CONCEPTS`` plus their number."""
    words: list[list[str]] = field(default_factory=list)
    """Of shape (K,): words that mark the slice's items; empty lists where none do."""
    typical: list[list[int]] = field(default_factory=list)
    """Of shape (K,): the rows of its two most typical items."""
    made_with: dict[str, Any] = field(default_factory=dict)
    """What the slices depend on beside the run's items, labels and activations: versions of packages, a seed."""

    @cached_property
    def member(self) -> sp.csr_array:
        """float32 of shape (K, N): 1 for the items that belong to a slice, as their weight is half of the largest."""
        half = self.weights.max(axis=1).toarray().ravel() / 2
        belongs = self.weights.data >= np.repeat(half, np.diff(self.weights.indptr))
        places = (self.weights.indices, self.weights.indptr)
        return sp.csr_array((belongs.astype(np.float32), *places), shape=self.weights.shape)


def subset(family: Family, kept: np.ndarray) -> Family:
    """Return some slices of a family, in order, numbered from 0 and each below the nearest that is kept above it.

    Parameters
    ----------
    kept : ndarray of int of shape (k,)
        Ascending places in the family.
    """
    above = np.where(family.parent < 0, -1, family.parent - family.number[0])
    new = np.full(len(above) + 1, -1)  # place of each slice, or of the one above it; the last: none
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
    """An array of zeros with a 1 at the places of each row: float32 of shape (rows, items)."""
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
    """Make a family whose slices are numbered from 0: numbers in the run are given when it is stored.

    Parameters
    ----------
    weights
        Of shape (K, N), in [0, 1]: sparse, or a row for each slice.
    parent
        Places of the slices above; None: none has one.
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
