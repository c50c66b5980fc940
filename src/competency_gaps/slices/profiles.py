"""A tree of the items in the space of their concepts."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.errors import MissingExtraError

SIZE = 100
"""Singular vectors of the space."""
FEWEST = 20
"""Items in which a concept must be active, at least, to take part."""


def concept_space(by_concept: ByConcept, rows: np.ndarray, seed: int = 0) -> np.ndarray:
    """Unit vectors of items in concept space.

    The square root of the CAS, each concept divided by its root mean square and weighted by log(1 / share of the items
    that have it), to unit length, reduced by a truncated singular value decomposition, to unit length again [ours].

    Parameters
    ----------
    rows : ndarray of int of shape (n,)
        Rows of ``items.parquet``.

    Returns
    -------
    ndarray of float32 of shape (n, d)
        A zero row where no concept that takes part is active.

    Raises
    ------
    MissingExtraError
        If scikit-learn is missing.
    """
    try:
        from sklearn.decomposition import TruncatedSVD
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "run", "Clustering items") from error
    profiles = concept_profiles(by_concept, rows)
    size = min(SIZE, min(profiles.shape) - 1)
    if size < 1:
        return np.zeros((len(rows), 1), np.float32)
    with threadpool_limits(1):  # another order of summation would change the clusters
        return unit(TruncatedSVD(size, random_state=seed).fit_transform(profiles)).astype(np.float32)


def concept_profiles(by_concept: ByConcept, rows: np.ndarray) -> sp.csr_array:
    """The items' profiles before they are reduced: csr_array of float32 of shape (n, concepts that take part)."""
    concepts = np.flatnonzero(by_concept.support >= FEWEST)
    count = max(by_concept.rows, int(rows.max(initial=-1)) + 1)
    scores = by_concept.cas(concepts, count)[:, rows]
    np.sqrt(scores.data, out=scores.data)
    share = np.diff(scores.indptr) / max(1, len(rows))
    square = np.asarray(scores.multiply(scores).sum(axis=1)).ravel() / max(1, len(rows))
    weight = np.log(1 / np.clip(share, 1e-4, 1)) / np.sqrt(np.maximum(square, 1e-18))
    scores.data *= np.repeat(weight, np.diff(scores.indptr)).astype(np.float32)
    profiles = sp.csr_array(scores.T.tocsr())
    length = np.sqrt(np.asarray(profiles.multiply(profiles).sum(axis=1)).ravel())
    profiles.data /= np.repeat(np.maximum(length, 1e-9), np.diff(profiles.indptr)).astype(np.float32)
    return profiles


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; rows of zeros stay."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
