"""A family: the slices of one provenance."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class Family:
    """Slices of one provenance. K slices, N items of ``items.parquet``."""

    name: str
    """Of the provider: ``columns``, ``profiles``, ``clusters``, ``concepts``, ``features``, ``themes``, ``lists``,
    ``skills``, or a plug-in's."""
    weights: sp.csr_array
    """float32 of shape (K, N), in [0, 1]."""
    names: list[str]
    """Of shape (K,): what people read."""
    question: list[str | None]
    """Of shape (K,): slices that answer one question, as the categories of a column, are tested as a whole first; None:
    a slice by itself."""
    parent: np.ndarray
    """int64 of shape (K,): the node that contains a node of a tree; -1: none."""
    number: np.ndarray
    """int64 of shape (K,): of the slice in the run, as ``slices.parquet`` and ``--slice`` count; concepts, which are
    not stored, have ``CONCEPTS`` plus their number."""
    words: list[list[str]] = field(default_factory=list)
    """Of shape (K,): words that mark the slice's items; empty lists where none do."""
    typical: list[list[int]] = field(default_factory=list)
    """Of shape (K,): the rows of its two most typical items."""
