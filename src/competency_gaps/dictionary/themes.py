"""Group concepts into themes and subthemes, and lay them out on a map."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
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


MOST_SUBTHEMES = 400
"""Subthemes, at most."""
PER_SUBTHEME = 3
"""Approximate number of small groups per subtheme."""
SAMPLED = 4000
"""Concepts on which the number of themes is chosen."""
EQUAL = 0.01
"""Silhouettes within this of the best count as equal; among these, the smallest number of themes is chosen."""


class ThemeTree(NamedTuple):
    """A hierarchy of two levels and a map. Every concept is in exactly one theme and one subtheme of it."""

    theme: np.ndarray
    """int32 of shape (n,): 0 is the largest; of the same size, the one with the smallest concept comes first."""
    subtheme: np.ndarray
    """int32 of shape (n,): numbered in the same way over all themes."""
    xy: np.ndarray
    """float32 of shape (n, 2): place on the map; neither its unit nor its orientation means anything."""


def find_themes(features: np.ndarray, *, seed: int = 0, fewest: int = 20, most: int = 60) -> ThemeTree:
    """Group concepts into themes and subthemes, and lay them out on a map.

    The same features and seed give the same themes and, on one kind of machine with the same library versions, the
    same map, whatever the number of threads: everything here runs on one. A map is made once, kept with the dictionary
    and never computed by a run; other features, even of one more concept, give another map.

    Parameters
    ----------
    features : ndarray of float32 of shape (n, k), n >= 1
        From :func:`~competency_gaps.dictionary.themes.theme_features`.
    seed
        Seed of k-means' start and of the map.
    fewest, most
        Limits of the number of themes; below about 200 concepts both are lowered to a tenth and a quarter of them.

    Raises
    ------
    UserError
        If there is no concept, or the limits are impossible.
    MissingExtraError
        If scikit-learn or (from 16 concepts on) umap-learn is missing.
    """
    x = np.ascontiguousarray(features, np.float32)
    if not len(x):
        raise UserError("themes need at least one concept.")
    if not 1 <= fewest <= most:
        raise UserError(f"the number of themes needs limits 1 <= fewest <= most, not {fewest} and {most}.")
    if len(x) >= FEWEST_LAID_OUT:
        import_umap()  # fail now rather than after minutes
    graph = neighbours(x)
    theme, subtheme = group(lay_out(x, graph, DIMENSIONS, seed=seed), seed=seed, fewest=fewest, most=most)
    return ThemeTree(theme, subtheme, lay_out(x, graph, 2, seed=seed))


def group(x: np.ndarray, *, seed: int = 0, fewest: int = 20, most: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Themes and subthemes of points laid out: two arrays of int32 of shape (n,), numbered by size.

    The number of themes is the smallest between the limits whose silhouette (Rousseeuw 1987; of at most 4,000 concepts)
    is within 0.01 of the best. Subthemes are ``2.5 sqrt(n)``, at most 400 and at most a
    third of the concepts [ours]; they come from the same tree, so each lies in one theme.
    """
    n = len(x)
    low, high = min(fewest, max(1, n // 10)), min(most, max(1, n // 4))
    subthemes = max(high, min(MOST_SUBTHEMES, round(2.5 * np.sqrt(n)), n // 3))
    with one_thread("Finding themes"):
        small = _small_groups(x, min(n, PER_SUBTHEME * subthemes), seed)
        weights = np.bincount(small).astype(np.float64)
        sums = sp.csr_array((np.ones(n), (small, np.arange(n))), shape=(len(weights), n)) @ x
        merges = ward(sums / weights[:, None], weights)
        count = _number_of_themes(x, small, merges, low, min(high, len(weights)), seed)
    fine = cut(merges, min(max(subthemes, count), len(weights)))
    return _by_size(cut(merges, count)[small]), _by_size(fine[small])


def ward(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Merge the two groups whose union raises the weighted sum of squares least, until one is left.

    The rise is ``w_a w_b / (w_a + w_b) |a - b|^2`` (Ward 1963), updated by the Lance-Williams recurrence. With weights
    of 1 the merges are SciPy's; a weight makes a point stand for that many concepts. Ties go to the smallest numbers.

    Parameters
    ----------
    points : ndarray of float of shape (m, k)
    weights : ndarray of float of shape (m,), > 0

    Returns
    -------
    ndarray of int64 of shape (m - 1, 2)
        The groups that are merged, each named by its smallest point; the smaller name comes first and stays.
    """
    x, w = np.asarray(points, np.float64), np.asarray(weights, np.float64).copy()
    m = len(x)
    norms = np.einsum("ij,ij->i", x, x)
    cost = np.maximum(0.0, norms[:, None] + norms[None, :] - 2 * x @ x.T)
    cost *= w[:, None] * w[None, :] / (w[:, None] + w[None, :])
    np.fill_diagonal(cost, np.inf)
    nearest = np.argmin(cost, axis=1) if m > 1 else np.zeros(m, np.int64)
    least = cost[np.arange(m), nearest]
    merges = np.zeros((max(0, m - 1), 2), np.int64)
    for step in range(m - 1):
        a = int(np.argmin(least))
        a, b = sorted((a, int(nearest[a])))
        merges[step] = a, b
        apart = cost[a, b]
        row = ((w[a] + w) * cost[a] + (w[b] + w) * cost[b] - w * apart) / (w[a] + w[b] + w)
        row[[a, b]] = np.inf
        row[~np.isfinite(cost[a]) | ~np.isfinite(cost[b])] = np.inf
        cost[a], cost[:, a] = row, row
        cost[b], cost[:, b] = np.inf, np.inf
        w[a] += w[b]
        least[b] = np.inf
        stale = np.flatnonzero((nearest == a) | (nearest == b))
        stale = np.union1d(stale[np.isfinite(least[stale])], [a])
        nearest[stale] = np.argmin(cost[stale], axis=1)
        least[stale] = cost[stale, nearest[stale]]
        closer = row < least
        nearest[closer], least[closer] = a, row[closer]
    return merges


def cut(merges: np.ndarray, groups: int) -> np.ndarray:
    """Undo the last merges until there are ``groups`` groups.

    Returns
    -------
    ndarray of int64 of shape (m,)
        Group of each point, 0 to ``groups - 1``, numbered by their smallest point.
    """
    m = len(merges) + 1
    parent = np.arange(m)
    for a, b in merges[: m - groups]:
        parent[parent == b] = a
    return np.unique(parent, return_inverse=True)[1]


def _small_groups(x: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Group of each concept, none empty: int of shape (n,)."""
    if count >= len(x):
        return np.arange(len(x))
    from sklearn.cluster import KMeans

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct points than groups: empty groups are dropped below
        groups = KMeans(count, n_init=1, max_iter=30, random_state=seed).fit(x).labels_
    return np.unique(groups, return_inverse=True)[1]


def _number_of_themes(x: np.ndarray, small: np.ndarray, merges: np.ndarray, low: int, high: int, seed: int) -> int:
    from sklearn.metrics import pairwise_distances, silhouette_score

    if high <= low or high < 2:
        return min(low, len(merges) + 1)
    some = np.arange(len(x))
    if len(x) > SAMPLED:
        some = np.sort(np.random.default_rng(seed).choice(len(x), SAMPLED, replace=False))
    apart = pairwise_distances(x[some])
    np.fill_diagonal(apart, 0)
    counts = np.arange(max(2, low), high + 1)
    worth = np.full(len(counts), -1.0)
    for i, count in enumerate(counts.tolist()):
        labels = cut(merges, count)[small[some]]
        if 1 < len(np.unique(labels)) < len(some):
            worth[i] = silhouette_score(apart, labels, metric="precomputed")
    return int(counts[np.flatnonzero(worth >= worth.max() - EQUAL)[0]])


def _by_size(groups: np.ndarray) -> np.ndarray:
    """The same groups numbered from the largest; of the same size, the one with the smallest concept first."""
    _, first, number, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    place = np.empty(len(sizes), np.int32)
    place[np.lexsort((first, -sizes))] = np.arange(len(sizes), dtype=np.int32)
    return place[number]
