"""Groups of weak concepts [ours]: which concepts lead, and which only share a leader's items.

Concepts overlap. Where a concept is truly weak, all concepts active on the same items have a negative gap too, and a
correct list names them all. Forward selection sorts the list: the concept with the strongest gap leads; its part of the
scores is regressed out (least squares, within blocks); the strongest concept that still passes the list's threshold
leads the next group. The others follow the leader whose saliency over the clusters is most like theirs.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtri

from competency_gaps.metrics.saliency import saliency

MOST_LEADERS = 300
"""Most groups; the remaining concepts follow."""
LARGEST = 4000
"""Most concepts of one verdict that can lead; the rest follow."""


def lead(
    weights: sp.csr_array,
    outcomes: np.ndarray,
    block: np.ndarray,
    concepts: np.ndarray,
    p_values: np.ndarray,
    sign: int,
    most: int = MOST_LEADERS,
) -> np.ndarray:
    """Find each concept's leader.

    Parameters
    ----------
    weights : csr_array of shape (n, K)
        The concepts' weights in the units.
    outcomes : ndarray of float of shape (M, K)
        One row, or one per model: a concept leads by the model in which its gap is strongest. NaN = unscored.
    block : ndarray of int of shape (K,)
    concepts : ndarray of int of shape (n,)
        At least one.
    p_values : ndarray of float64 of shape (n,)
        Of no gap, the smallest over the models; the largest of them is the cut.
    sign
        -1: gaps are below 0, 1: above, 0: either.
    most
        Most groups.

    Returns
    -------
    ndarray of int64 of shape (n,)
        A concept of ``concepts`` for each; leaders lead themselves.
    """
    rows, residual, block = _standardised(weights, outcomes, block)
    cut = float(-ndtri(np.clip(p_values.max() / 2, 1e-300, 0.5)))
    spread = _scatter(rows, block)
    first = np.maximum(spread, 1e-300)
    able = np.zeros(len(concepts), bool)
    able[np.argsort(p_values, kind="stable")[:LARGEST]] = True
    product = np.asarray(rows @ residual.T)
    leaders: list[int] = []
    axes: list[np.ndarray] = []
    likeness: list[np.ndarray] = []
    while able.any():
        strength = np.abs(product).max(axis=1) if sign == 0 else (sign * product).max(axis=1)
        # A concept that earlier leaders explain almost wholly has too little variance left to divide by.
        usable = able & (spread > 0.1 * first)
        z = np.where(usable, strength / np.sqrt(np.maximum(spread, 1e-300)), -np.inf)
        best = int(np.argmax(z))
        if leaders and (z[best] < cut or len(leaders) == most):
            break
        own = _centred(rows[[best]].toarray()[0], block)
        likeness.append((rows @ own) / np.sqrt(first * first[best]))
        axis = own - sum(((own @ earlier) * earlier for earlier in axes), np.zeros(len(own)))
        axis /= max(float(np.linalg.norm(axis)), 1e-300)
        along = rows @ axis
        # Axes are orthogonal, so outcomes lose the same parts whether regressed one by one or all at once.
        product = product - np.outer(along, residual @ axis)
        spread = np.maximum(0.0, spread - along**2)
        axes.append(axis)
        leaders.append(best)
        able[best] = False
    nearest = np.argmax(np.stack(likeness), axis=0)
    nearest[leaders] = np.arange(len(leaders))
    return np.asarray(concepts, np.int64)[np.asarray(leaders)[nearest]]


def _standardised(
    weights: sp.csr_array, outcomes: np.ndarray, block: np.ndarray
) -> tuple[sp.csr_array, np.ndarray, np.ndarray]:
    """Saliencies over the units, outcomes centred and scaled within their block, and the blocks' numbers."""
    _, block = np.unique(block, return_inverse=True)
    blocks = int(block.max(initial=-1)) + 1
    deviations, residuals = [], []
    for values in outcomes:
        known = np.flatnonzero(~np.isnan(values))
        count = np.maximum(1, np.bincount(block[known], minlength=blocks))
        centred = values[known] - (np.bincount(block[known], values[known], blocks) / count)[block[known]]
        deviation = np.sqrt(np.bincount(block[known], centred**2, blocks) / np.maximum(1, count - 1))
        # A block of constant outcome carries no information: its units get weight 0.
        inverse = np.divide(1.0, deviation, out=np.zeros(blocks), where=deviation > 1e-9)
        residual = np.zeros(len(block))
        residual[known] = centred * inverse[block[known]]
        deviations.append(deviation)
        residuals.append(residual)
    rows = sp.csr_array(weights, dtype=np.float64, copy=True)
    typical = np.asarray(rows.sum(axis=1)).ravel() / np.maximum(1, np.diff(rows.indptr))
    rows.data = saliency(rows.data, np.repeat(np.maximum(typical, 1e-300), np.diff(rows.indptr)))
    # Weighting a unit by its block's deviation makes the outcomes' variance 1 everywhere.
    rows.data *= np.sqrt(np.mean(np.square(deviations), axis=0))[block][rows.indices]
    return rows, np.array(residuals), block


def _centred(values: np.ndarray, block: np.ndarray) -> np.ndarray:
    return np.asarray(values - (np.bincount(block, values) / np.bincount(block))[block])


def _scatter(rows: sp.csr_array, block: np.ndarray) -> np.ndarray:
    """Sum of squares of each row about its blocks' means."""
    count = np.bincount(block)
    groups = sp.csr_array((np.ones(len(block)), (np.arange(len(block)), block)))
    sums = sp.csr_array(rows @ groups)
    squares = np.asarray(rows.power(2).sum(axis=1)).ravel()
    return np.maximum(0.0, squares - np.asarray(sums.power(2) @ (1.0 / count)))
