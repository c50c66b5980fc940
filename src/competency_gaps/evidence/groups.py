"""Groups of weak concepts [ours]: which concepts lead, and which only share a leader's items.

Concepts overlap. Where a concept is truly weak, all concepts active on the same items have a negative gap too, and a
correct list names them all. Forward selection sorts the list: the concept with the strongest gap leads; its part of the
scores is regressed out (least squares, within blocks); the strongest concept that still passes the list's threshold
leads the next group. The others follow the leader whose saliency over the clusters is most like theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtri

from competency_gaps.metrics.saliency import saliency

MOST_LEADERS = 300
"""Most groups; the remaining concepts follow."""
LARGEST = 4000
"""Most concepts of one verdict that can lead; the rest follow."""
HELD = 20_000_000
"""Most non-zeros of the concepts that can lead, which stay in memory [ours]; the rows of the rest are read in parts."""
AT_ONCE = 16
"""Leaders that a part's rows are compared with at once."""


def lead(
    weights: Callable[[np.ndarray], sp.csr_array],
    support: np.ndarray,
    outcomes: np.ndarray,
    block: np.ndarray,
    p_values: np.ndarray,
    sign: int,
    most: int = MOST_LEADERS,
) -> np.ndarray:
    """Find the leader of each of n concepts.

    Parameters
    ----------
    weights
        Gives the weights of some concepts, by their places among the n, in the K units.
    support : ndarray of int of shape (n,)
        Non-zeros of each concept's row, or more. At least one concept.
    outcomes : ndarray of float of shape (M, K)
        One row, or one per model: a concept leads by the model in which its gap is strongest. NaN = unscored.
    block : ndarray of int of shape (K,)
    p_values : ndarray of float64 of shape (n,)
        Of no gap, the smallest over the models; the largest of them is the cut.
    sign
        -1: gaps are below 0, 1: above, 0: either.
    most
        Most groups.

    Returns
    -------
    ndarray of int64 of shape (n,)
        Place of each concept's leader; leaders lead themselves.
    """
    scale = _Scale.of(outcomes, block)
    order = np.argsort(p_values, kind="stable")[:LARGEST]
    held = np.sort(order[: max(1, int(np.searchsorted(np.cumsum(support[order]), HELD, side="right")))])
    rows = scale.rows(weights(held))
    cut = float(-ndtri(np.clip(p_values.max() / 2, 1e-300, 0.5)))
    leaders, alike = _select(rows, scale, cut, sign, most)
    nearest = np.zeros(len(p_values), np.int64)
    nearest[held] = np.argmax(alike, axis=1)
    for part in _parts(np.setdiff1d(np.arange(len(p_values)), held), support):
        nearest[part] = _nearest(scale.rows(weights(part)), rows, leaders, scale)
    nearest[held[leaders]] = np.arange(len(leaders))
    return np.asarray(held[leaders][nearest], np.int64)


def _select(rows: sp.csr_array, scale: _Scale, cut: float, sign: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose leaders among rows, and compare each row with them.

    Each step regresses the outcomes on the new leader's part that earlier leaders do not explain: a pivoted Cholesky
    decomposition of the rows' products, which needs their products with each leader and no vector over the units.

    Returns
    -------
    leaders : ndarray of int64 of shape (leaders,)
    alike : ndarray of float64 of shape (n, leaders)
        Correlation of each row with each leader, within blocks.
    """
    spread = _scatter(rows, scale.block)
    first = np.maximum(spread, 1e-300)
    able = np.ones(rows.shape[0], bool)
    product = np.asarray(rows @ scale.residual.T)
    leaders: list[int] = []
    along = np.zeros((rows.shape[0], 0))  # of each row, along each leader's own part
    explained = np.zeros((len(scale.residual), 0))  # of each model's outcomes
    alike: list[np.ndarray] = []
    while able.any():
        strength = np.abs(product).max(axis=1) if sign == 0 else (sign * product).max(axis=1)
        # A concept that earlier leaders explain almost wholly has too little variance left to divide by.
        usable = able & (spread > 0.1 * first)
        z = np.where(usable, strength / np.sqrt(np.maximum(spread, 1e-300)), -np.inf)
        best = int(np.argmax(z))
        if leaders and (z[best] < cut or len(leaders) == most):
            break
        own = _centred(rows[[best]].toarray()[0], scale.block)
        with_own = np.asarray(rows @ own)
        length = max(float(np.sqrt(max(0.0, own @ own - along[best] @ along[best]))), 1e-300)
        axis = (with_own - along @ along[best]) / length
        of_outcomes = (scale.residual @ own - explained @ along[best]) / length
        # The leaders' own parts are orthogonal: outcomes lose the same whether regressed one by one or all at once.
        product = product - np.outer(axis, of_outcomes)
        spread = np.maximum(0.0, spread - axis**2)
        alike.append(with_own / np.sqrt(first * first[best]))
        along, explained = np.column_stack([along, axis]), np.column_stack([explained, of_outcomes])
        leaders.append(best)
        able[best] = False
    return np.array(leaders), np.stack(alike, axis=1)


def _nearest(part: sp.csr_array, rows: sp.csr_array, leaders: np.ndarray, scale: _Scale) -> np.ndarray:
    """Number of the leader that each row of a part is most like; the part's own scatter does not matter for that."""
    first = np.maximum(_scatter(rows[leaders], scale.block), 1e-300)
    alike = np.empty((part.shape[0], len(leaders)))
    for start in range(0, len(leaders), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        own = np.stack([_centred(row, scale.block) for row in rows[leaders[some]].toarray()], axis=1)
        alike[:, some] = (part @ own) / np.sqrt(first[some])
    return np.asarray(np.argmax(alike, axis=1))


def _parts(places: np.ndarray, support: np.ndarray) -> Iterator[np.ndarray]:
    """Cut concepts into parts of at most ``HELD`` non-zeros, unless a single concept has more."""
    number = np.cumsum(support[places]) // HELD
    yield from np.split(places, np.flatnonzero(np.diff(number)) + 1) if len(places) else ()


class _Scale(NamedTuple):
    """The units' outcomes, centred and scaled within their block."""

    residual: np.ndarray
    """float64 of shape (M, K); 0 = unscored, or of a block of constant outcome."""
    block: np.ndarray
    """int64 of shape (K,), numbered without gaps."""
    factor: np.ndarray
    """float64 of shape (K,): by which weighting a unit makes the outcomes' variance 1 everywhere."""

    @staticmethod
    def of(outcomes: np.ndarray, block: np.ndarray) -> _Scale:
        """Scale outcomes, of shape (M, K)."""
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
        return _Scale(np.array(residuals), block, np.sqrt(np.mean(np.square(deviations), axis=0))[block])

    def rows(self, weights: sp.csr_array) -> sp.csr_array:
        """Saliencies over the units, weighted."""
        rows = sp.csr_array(weights, dtype=np.float64)
        typical = np.asarray(rows.sum(axis=1)).ravel() / np.maximum(1, np.diff(rows.indptr))
        rows.data = saliency(rows.data, np.repeat(np.maximum(typical, 1e-300), np.diff(rows.indptr)))
        rows.data *= self.factor[rows.indices]
        return rows


def _centred(values: np.ndarray, block: np.ndarray) -> np.ndarray:
    return np.asarray(values - (np.bincount(block, values) / np.bincount(block))[block])


def _scatter(rows: sp.csr_array, block: np.ndarray) -> np.ndarray:
    """Sum of squares of each row about its blocks' means."""
    count = np.bincount(block)
    groups = sp.csr_array((np.ones(len(block)), (np.arange(len(block)), block)))
    sums = sp.csr_array(rows @ groups)
    squares = np.asarray(rows.power(2).sum(axis=1)).ravel()
    return np.maximum(0.0, squares - np.asarray(sums.power(2) @ (1.0 / count)))
