"""Items as profiles of their concepts: what trees of items and the atlas are made from."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from competency_gaps.reading.by_concept import ByConcept
from competency_gaps.util.errors import needed

SINGULAR_VECTORS = 100
"""Singular vectors of the space of concepts."""
MIN_ACTIVE_ITEMS = 20
"""Items in which a concept must be active, at least, to take part."""


class Scale(NamedTuple):
    """What makes the activations of concepts comparable. C concepts take part."""

    concepts: np.ndarray
    """int32 of shape (C,)."""
    typical: np.ndarray
    """float32 of shape (C,): mean CAS where it is not 0."""
    weight: np.ndarray
    """float32 of shape (C,): log(1 / share of the items that have it), over the root mean square of its log CAS."""


def cas_of(by_concept: ByConcept, rows: np.ndarray, concepts: np.ndarray) -> sp.csr_array:
    """CAS of some concepts on some items: csr_array of float32 of shape (concepts, n)."""
    count = max(by_concept.rows, int(rows.max()) + 1 if len(rows) else 0)
    return sp.csr_array(by_concept.cas(concepts, count)[:, rows])


def scale_of(cas: sp.csr_array, concepts: np.ndarray, weights: np.ndarray | None = None) -> Scale:
    """Scale of the concepts over some items.

    Parameters
    ----------
    cas : csr_array of float32 of shape (C, n)
    concepts : ndarray of int of shape (C,)
    weights : ndarray of float of shape (n,)
        How much an item counts; None: all alike.
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
    """Unit vectors of items over the concepts that take part: csr_array of float32 of shape (n, C).

    log(1 + CAS / its mean where it is not 0), times the concept's weight, to unit length [ours].
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
    """Rows of length 1; rows of zeros stay."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def one_thread() -> AbstractContextManager[Any]:
    """Keep linear algebra to one thread: another order of summation would change rounding, and so clusters."""
    with needed("scikit-learn", "run", "Clustering items"):
        import sklearn  # noqa: F401
        from threadpoolctl import threadpool_limits
    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits
