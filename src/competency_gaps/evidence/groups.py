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
    outcome: np.ndarray,
    block: np.ndarray,
    concepts: np.ndarray,
    gaps: np.ndarray,
    p_values: np.ndarray,
) -> np.ndarray:
    """Find each concept's leader among concepts of one verdict.

    Parameters
    ----------
    weights : csr_array of shape (n, K)
        The concepts' weights in the units.
    outcome : ndarray of float of shape (K,)
    block : ndarray of int of shape (K,)
    concepts : ndarray of int of shape (n,)
        At least one.
    gaps, p_values : ndarray of float64 of shape (n,)
        Gaps of one sign; p-values of no gap, the largest of which is the cut.

    Returns
    -------
    ndarray of int64 of shape (n,)
        A concept of ``concepts`` for each; leaders lead themselves.
    """
    rows, residual, block = _standardised(weights, outcome, block)
    sign = np.sign(gaps[0])
    cut = float(-ndtri(np.clip(p_values.max() / 2, 1e-300, 0.5)))
    spread = _scatter(rows, block)
    first = np.maximum(spread, 1e-300)
    able = np.zeros(len(concepts), bool)
    able[np.argsort(p_values, kind="stable")[:LARGEST]] = True
    leaders: list[int] = []
    axes: list[np.ndarray] = []
    likeness: list[np.ndarray] = []
    while able.any():
        # A concept that earlier leaders explain almost wholly has too little variance left to divide by.
        usable = able & (spread > 0.1 * first)
        z = np.where(usable, sign * (rows @ residual) / np.sqrt(np.maximum(spread, 1e-300)), -np.inf)
        best = int(np.argmax(z))
        if leaders and (z[best] < cut or len(leaders) == MOST_LEADERS):
            break
        own = _centred(rows[[best]].toarray()[0], block)
        likeness.append((rows @ own) / np.sqrt(first * first[best]))
        axis = own - sum(((own @ earlier) * earlier for earlier in axes), np.zeros(len(own)))
        axis /= max(float(np.linalg.norm(axis)), 1e-300)
        residual = residual - (residual @ axis) * axis
        spread = np.maximum(0.0, spread - (rows @ axis) ** 2)
        axes.append(axis)
        leaders.append(best)
        able[best] = False
    nearest = np.argmax(np.stack(likeness), axis=0)
    nearest[leaders] = np.arange(len(leaders))
    return np.asarray(concepts, np.int64)[np.asarray(leaders)[nearest]]


def _standardised(
    weights: sp.csr_array, outcome: np.ndarray, block: np.ndarray
) -> tuple[sp.csr_array, np.ndarray, np.ndarray]:
    """Saliencies over the units, outcomes centred and scaled within their block, and the blocks' numbers."""
    _, block = np.unique(block, return_inverse=True)
    count = np.bincount(block)
    residual = _centred(outcome, block)
    deviation = np.sqrt(np.bincount(block, residual**2) / np.maximum(1, count - 1))
    # A block of constant outcome carries no information: its units get weight 0.
    inverse = np.divide(1.0, deviation, out=np.zeros(len(deviation)), where=deviation > 1e-9)
    rows = sp.csr_array(weights, dtype=np.float64, copy=True)
    typical = np.asarray(rows.sum(axis=1)).ravel() / np.maximum(1, np.diff(rows.indptr))
    rows.data = saliency(rows.data, np.repeat(np.maximum(typical, 1e-300), np.diff(rows.indptr)))
    # Weighting a unit by its block's deviation makes the outcomes' variance 1 everywhere.
    rows.data *= deviation[block][rows.indices]
    return rows, residual * inverse[block], block


def _centred(values: np.ndarray, block: np.ndarray) -> np.ndarray:
    return np.asarray(values - (np.bincount(block, values) / np.bincount(block))[block])


def _scatter(rows: sp.csr_array, block: np.ndarray) -> np.ndarray:
    """Sum of squares of each row about its blocks' means."""
    count = np.bincount(block)
    groups = sp.csr_array((np.ones(len(block)), (np.arange(len(block)), block)))
    sums = sp.csr_array(rows @ groups)
    squares = np.asarray(rows.power(2).sum(axis=1)).ravel()
    return np.maximum(0.0, squares - np.asarray(sums.power(2) @ (1.0 / count)))
