"""Items as vectors over concepts (profiles), from which trees of items and the atlas are computed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from competency_gaps.reading.by_concept import ByConcept
from competency_gaps.util.errors import needed

SINGULAR_VECTORS = 100
"""Number of singular vectors to which profiles are reduced."""
MIN_ACTIVE_ITEMS = 20
"""Fewest items in which a concept must be active to be part of profiles."""


class Scale(NamedTuple):
    """Makes the activations of C concepts comparable with each other."""

    concepts: np.ndarray
    """int32 of shape (C,): the concepts that are part of profiles."""
    typical: np.ndarray
    """float32 of shape (C,): mean CAS over the items where it is not 0."""
    weight: np.ndarray
    """float32 of shape (C,): log(1 / share of the items with the concept), over the root mean square of its log CAS."""


def cas_of(by_concept: ByConcept, rows: np.ndarray, concepts: np.ndarray) -> sp.csr_array:
    """Return the CAS of some concepts on some items: csr_array of float32 of shape (concepts, n)."""
    count = max(by_concept.rows, int(rows.max()) + 1 if len(rows) else 0)
    return sp.csr_array(by_concept.cas(concepts, count)[:, rows])


def scale_of(cas: sp.csr_array, concepts: np.ndarray, weights: np.ndarray | None = None) -> Scale:
    """Return the scale of concepts over some items.

    Parameters
    ----------
    cas : csr_array of float32 of shape (C, n)
    concepts : ndarray of int of shape (C,)
    weights : ndarray of float of shape (n,)
        Weight of each item; None: all alike.
    """
    counts = np.ones(cas.shape[1], np.float32) if weights is None else weights
    total, support = counts.sum(), np.diff(cas.indptr)
    present = sp.csr_array((np.ones_like(cas.data), cas.indices, cas.indptr), shape=cas.shape) @ counts
    typical = (cas @ counts) / np.maximum(present, 1e-9)
    logs = np.log1p(cas.data / np.repeat(typical, support))
    square = sp.csr_array((logs**2, cas.indices, cas.indptr), shape=cas.shape) @ counts / max(1e-9, total)
    share = np.clip(present / max(1e-9, total), 1e-4, 1)
    weight = np.log(1 / share) / np.sqrt(np.maximum(square, 1e-18))
    return Scale(concepts.astype(np.int32), typical.astype(np.float32), weight.astype(np.float32))


def profiles_of(cas: sp.csr_array, scale: Scale) -> sp.csr_array:
    """Return the items' profiles, rows of length 1 over the scale's concepts: csr_array of float32 of shape (n, C).

    An entry is log(1 + CAS / its mean where it is not 0), times the concept's weight, before scaling to length 1
    [ours].
    """
    support = np.diff(cas.indptr)
    values = np.log1p(cas.data / np.repeat(scale.typical, support)) * np.repeat(scale.weight, support)
    profiles = sp.csr_array(
        sp.csr_array((values.astype(np.float32), cas.indices, cas.indptr), shape=cas.shape).T.tocsr()
    )
    length = np.sqrt(np.asarray(profiles.multiply(profiles).sum(axis=1)).ravel())
    profiles.data /= np.repeat(np.maximum(length, 1e-9), np.diff(profiles.indptr)).astype(np.float32)
    return profiles


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return the rows scaled to length 1; rows of zeros stay zeros."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def one_thread() -> AbstractContextManager[Any]:
    """Return a context in which linear algebra uses one thread: another order of sums would change clusters."""
    with needed("scikit-learn", "run", "Clustering items"):
        import sklearn  # noqa: F401
        from threadpoolctl import threadpool_limits
    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits
