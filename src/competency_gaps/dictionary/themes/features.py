"""Features of concepts from three views: decoder direction, co-activation and label.

Each view is reduced to its main directions, centred and scaled to a total variance of 1. A concept that is unknown in a
view (it has no label, for example) gets the values of one of the five concepts that are most similar to it in the other
views. At the view's mean, unknown concepts would be nearer to each other than known ones are, and would form groups of
their own. All of this is our own choice [ours].
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from competency_gaps.errors import MissingExtraError, UserError

COMPONENTS = 50
"""Directions kept of each view."""
MOST_POWERS = 4
"""Power iterations of the randomised decompositions."""
DONORS = 5
"""Number of most similar concepts from which the stand-in for an unknown concept is drawn."""


def theme_features(
    decoder: np.ndarray,
    firing: sp.csr_array | None,
    label_embeddings: np.ndarray | None,
    *,
    use: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Features of every concept, in which a small distance means similarity.

    Besides the input, memory is about twice the largest view or its reduced form, never concepts times concepts.

    Parameters
    ----------
    decoder : ndarray of float32 of shape (n, d_in)
        One direction for each concept, of any length. A concept whose row is zero is unknown.
    firing : csr_array of shape (windows or items, n), optional
        Activations, >= 0. Each concept's column is taken as ``log(1 + z / mean of its non-zero z)`` and set to unit
        length. A concept that fires nowhere is unknown.
    label_embeddings : ndarray of float32 of shape (n, e), optional
        Of any length. A concept whose row has NaN has no label and is unknown.
    use : ndarray of bool of shape (n,), optional
        Concepts to describe; None: all. Dead concepts should be left out.
    seed
        Seed of the randomised decompositions and of the choice of stand-ins.

    Returns
    -------
    ndarray of float32 of shape (concepts used, k), k at most 150

    Raises
    ------
    UserError
        If a value is not finite (NaN in labels excepted), or an activation is negative.
    MissingExtraError
        If scikit-learn is missing.
    """
    used = np.ones(len(decoder), bool) if use is None else use
    with one_thread("Finding themes"):
        views = [_standardised(_dense_view(decoder, used, "decoder", seed))]
        if firing is not None:
            views.append(_standardised(_firing_view(firing, used, seed)))
        if label_embeddings is not None:
            views.append(_standardised(_dense_view(label_embeddings, used, "label embeddings", seed)))
        return np.concatenate([_filled(views, i, seed) for i in range(len(views))], axis=1)


class _View(NamedTuple):
    values: np.ndarray
    """float32 of shape (concepts used, directions)."""
    known: np.ndarray
    """bool of shape (concepts used,)."""


def one_thread(purpose: str) -> AbstractContextManager[Any]:
    """Keep linear algebra to one thread: another order of summation would change rounding, and so groups."""
    try:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "dictionary", purpose) from error
    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits


def _dense_view(values: np.ndarray, used: np.ndarray, name: str, seed: int) -> _View:
    """Unit rows, then principal components."""
    rows = np.asarray(values, np.float32)[used] if not used.all() else np.array(values, np.float32)
    missing = np.isnan(rows).any(axis=1) if name != "decoder" else np.zeros(len(rows), bool)
    rows[missing] = 0
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64)).astype(np.float32)
    if not np.isfinite(length).all():
        raise UserError(f"the {name} of concept {np.flatnonzero(used)[~np.isfinite(length)][0]} is not finite.")
    known = length > 0
    if not known.any():
        return _View(np.zeros((len(rows), 1), np.float32), known)
    rows /= np.where(known, length, 1)[:, None]
    rows[~known] = rows.sum(axis=0, dtype=np.float64) / known.sum()
    from sklearn.decomposition import PCA

    solver = "randomized" if min(rows.shape) > 4 * COMPONENTS else "full"
    if solver == "full" and len(rows) > 10 * rows.shape[1]:
        solver = "covariance_eigh"
    count = min(COMPONENTS, *rows.shape)
    pca = PCA(count, svd_solver=solver, copy=False, iterated_power=MOST_POWERS, random_state=seed)
    return _View(np.asarray(pca.fit_transform(rows), np.float32), known)


def _firing_view(firing: sp.csr_array, used: np.ndarray, seed: int) -> _View:
    """Log-scaled unit columns, then a randomised singular value decomposition."""
    if firing.nnz and not (firing.data.min() >= 0 and np.isfinite(firing.data.max())):
        raise UserError("activations must be finite and at least 0.")
    rows = sp.csr_array(sp.csr_array(firing).T.tocsr()[used], dtype=np.float32)
    rows.eliminate_zeros()
    counts = np.diff(rows.indptr)
    owner = np.repeat(np.arange(rows.shape[0]), counts)
    typical = np.bincount(owner, rows.data, rows.shape[0]) / np.maximum(1, counts)
    rows.data = np.log1p(rows.data / np.repeat(typical, counts)).astype(np.float32)
    length = np.sqrt(np.bincount(owner, rows.data.astype(np.float64) ** 2, rows.shape[0]))
    rows.data /= np.repeat(length, counts).astype(np.float32)
    known = counts > 0
    if not known.any():
        return _View(np.zeros((rows.shape[0], 1), np.float32), known)
    if min(rows.shape) <= COMPONENTS:
        left, values, _ = np.linalg.svd(rows.toarray(), full_matrices=False)
    else:
        from sklearn.utils.extmath import randomized_svd

        left, values, _ = randomized_svd(
            sp.csr_matrix(rows), COMPONENTS, n_oversamples=20, n_iter=MOST_POWERS, random_state=seed
        )
    return _View(np.asarray(left * values, np.float32), known)


def _standardised(view: _View) -> _View:
    """Centred, and with a total variance of 1 over the known concepts; the others are 0."""
    values, known = view
    if not known.any():
        return view
    centred = values - values[known].mean(axis=0, dtype=np.float64).astype(np.float32)
    centred[~known] = 0
    variance = float(np.square(centred, dtype=np.float64).sum() / known.sum())
    return _View(np.asarray(centred * (1 / np.sqrt(variance) if variance > 1e-12 else 0.0), np.float32), known)


def _filled(views: list[_View], number: int, seed: int) -> np.ndarray:
    """A view with stand-ins for unknown concepts; if it is the only view, or knows none, they stay at its mean."""
    values, known = views[number]
    others = [view.values for i, view in enumerate(views) if i != number]
    if known.all() or not known.any() or not others:
        return values
    from sklearn.neighbors import NearestNeighbors

    elsewhere = np.concatenate(others, axis=1)
    count = min(DONORS, int(known.sum()))
    near = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(elsewhere[known])
    donors = near.kneighbors(elsewhere[~known], return_distance=False)
    drawn = np.random.default_rng((seed, number)).integers(0, count, len(donors))
    filled = values.copy()
    filled[~known] = values[known][donors[np.arange(len(donors)), drawn]]
    return filled
