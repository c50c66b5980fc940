"""The graph of concepts' nearest neighbours, and layouts of it: in ten dimensions for grouping, in two as a map."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from competency_gaps.dictionary.themes.features import one_thread
from competency_gaps.errors import MissingExtraError

NEIGHBOURS = 15
"""Neighbours of a concept in the graph, not counting itself."""
STEPS = 2
"""Steps along the graph over which features are averaged to start the layouts."""
DIMENSIONS = 10
"""Dimensions of the layout in which concepts are grouped."""
EPOCHS = 200
"""Epochs of UMAP's optimisation."""
FEWEST_LAID_OUT = 16
"""Fewest concepts for UMAP; below, principal components are the layout."""


class Graph(NamedTuple):
    """Nearest neighbours of each concept, itself first."""

    indices: np.ndarray
    """int32 of shape (n, neighbours + 1)."""
    distances: np.ndarray
    """float32 of shape (n, neighbours + 1), >= 0, ascending."""


def neighbours(x: np.ndarray) -> Graph:
    """Exact nearest neighbours by Euclidean distance, in blocks: never n times n in memory."""
    count = min(NEIGHBOURS, len(x) - 1)
    own = np.arange(len(x), dtype=np.int32)[:, None]
    if count == 0:
        return Graph(own, np.zeros((1, 1), np.float32))
    with one_thread("Finding themes"):
        from sklearn.neighbors import NearestNeighbors

        # Without points as an argument, a concept is not its own neighbour, even among equal points.
        distances, indices = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(x).kneighbors()
    return Graph(
        np.concatenate([own, indices.astype(np.int32)], axis=1),
        np.concatenate([np.zeros((len(x), 1), np.float32), distances.astype(np.float32)], axis=1),
    )


def lay_out(x: np.ndarray, graph: Graph, dimensions: int, *, seed: int = 0) -> np.ndarray:
    """Lay concepts out so that neighbours are close together: float32 of shape (n, dimensions), centred on 0.

    UMAP of the given neighbours, started from principal components, with a seed and on one thread. In ten dimensions
    points may touch, so that groups are tight; on a map they keep apart, so that they can be seen.
    """
    with one_thread("Finding themes"):
        start = _components(_averaged(x, graph), dimensions)
        if len(x) < FEWEST_LAID_OUT:
            return start
        # Noise, as equal points would stay equal.
        start += np.random.default_rng(seed).normal(0, 1e-3, start.shape).astype(np.float32)
        layout = import_umap().UMAP(
            n_components=dimensions,
            n_neighbors=graph.indices.shape[1],
            min_dist=0.1 if dimensions == 2 else 0.0,
            n_epochs=EPOCHS,
            init=start,
            random_state=seed,
            n_jobs=1,
            precomputed_knn=(graph.indices.copy(), graph.distances.copy()),
        )
        with _quiet_numba():
            points = layout.fit_transform(x)
    return np.asarray(points - points.mean(axis=0, dtype=np.float64), np.float32)


def _averaged(x: np.ndarray, graph: Graph) -> np.ndarray:
    """Each concept's features averaged over its neighbourhood, some steps along the graph made symmetric."""
    n, count = graph.indices.shape
    links = sp.csr_array((np.ones(n * count, np.float32), graph.indices.ravel(), np.arange(n + 1) * count), (n, n))
    both = sp.csr_array(links + links.T)
    both = sp.csr_array(sp.diags_array(1 / np.asarray(both.sum(axis=1)).ravel()) @ both, dtype=np.float32)
    for _ in range(STEPS):
        x = both @ x
    return np.asarray(x)


def _components(x: np.ndarray, count: int) -> np.ndarray:
    """Principal components, scaled so that the largest value is 10, and padded with zeros to ``count`` columns."""
    centred = x - x.mean(axis=0, dtype=np.float64).astype(np.float32)
    values, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    axes = axes[:, np.argsort(-values, kind="stable")[:count]]
    axes *= np.where(axes[np.argmax(np.abs(axes), axis=0), np.arange(axes.shape[1])] < 0, -1, 1)
    components = np.zeros((len(x), count), np.float32)
    components[:, : axes.shape[1]] = centred @ axes
    largest = float(np.abs(components).max())
    return components * np.float32(10 / largest) if largest > 1e-9 else components * 0


def import_umap() -> Any:
    """The module ``umap``; raises MissingExtraError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tensorflow is missing
            import umap  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError("umap-learn", "dictionary", "Finding themes") from error
    return umap


@contextmanager
def _quiet_numba() -> Iterator[None]:
    """One thread, and no warnings about intended settings: neighbours without an index, one job under a seed."""
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        numba.set_num_threads(before)
