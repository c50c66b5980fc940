"""Group concepts into themes and subthemes, and lay them out on a map.

One graph of nearest neighbours serves both. UMAP (McInnes et al. 2018) lays it out in ten dimensions, where groups
stand apart; small groups (k-means) are merged there by Ward's rule, and the tree is cut twice. The map is UMAP's in two
dimensions, of the same graph. [ours]
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from competency_gaps.dictionary.themes.features import one_thread
from competency_gaps.dictionary.themes.layout import DIMENSIONS, FEWEST_LAID_OUT, import_umap, lay_out, neighbours
from competency_gaps.errors import UserError

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
