"""Ward's hierarchy of weighted points: the tree from which themes and subthemes are cut."""

from __future__ import annotations

import numpy as np


def ward(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Merge the two groups whose union raises the weighted sum of squares least, until one is left.

    The rise is ``w_a w_b / (w_a + w_b) |a - b|^2`` (Ward 1963), kept up by the Lance-Williams recurrence. With weights
    of 1 the merges are SciPy's; weights make a point stand for as many concepts. Ties go to the smallest numbers.

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
    """Undo the last merges until there are so many groups.

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
