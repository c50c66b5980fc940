"""p-values of the association [ours]: outcomes permuted within each block, in closed form.

``T(c) = sum_blocks sum_k W_k (o_k - mean_block o)`` is linear in the permuted outcomes, so that its cumulants under
permutation follow from power sums of the weights and of the outcomes. For a block of n units, with weights a and
outcomes b centred on their means (zeros included), ``A_j = sum a^j`` and ``B_j = sum b^j``::

    variance         A_2 B_2 / (n - 1)
    third cumulant   A_3 B_3 n / ((n - 1)(n - 2))
    fourth moment    Kendall and Stuart, The Advanced Theory of Statistics, vol. 2, on permuted correlations

Blocks are permuted independently, so their cumulants add. A Pearson curve with these four moments gives the tails: a
beta (type I) where the curve is bounded, else a gamma (type III) from the third moment. In the far tail a beta can end
too early, while a gamma is conservative; so below ``MIN_CURVE_TAIL`` the larger of the two counts.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import betaincc, gammainc, gammaincc, gammaln, ndtr

from competency_gaps.evidence.sample import BlockSums, effective_sample

MIN_SKEWNESS = 1e-3
"""If |skewness| and |excess kurtosis| are below this, the normal distribution is used."""
MIN_CURVE_TAIL = 1e-4
"""Below this tail, a bounded curve is not used alone: it may end before the true distribution does."""
MAX_LATTICE_SPREAD = 0.25
"""If the weights' spread, relative to the steps of T, is below this, T gets a continuity correction."""


MIN_CURVE_Z = -0.5
"""Below this z the normal tail is used: it exceeds 0.69 there, and only the other tail matters."""
MAX_BOUNDED_TAIL = 0.05
"""Tails above this are not compared with the chance of all-equal outcomes, which they exceed anyway."""


class PermutationTails(NamedTuple):
    """Tail probabilities of each concept's T under permuted outcomes. Arrays of shape (concepts,)."""

    low: np.ndarray
    """float64 in [0, 1]: chance of a T as low or lower; NaN where outcomes or weights do not vary."""
    high: np.ndarray
    """float64 in [0, 1]: chance of a T as high or higher; NaN likewise."""
    skewness: np.ndarray
    """float64: skewness of T under permutation; if positive, the upper tail is the longer one."""
    z: np.ndarray
    """float64: T in standard deviations, with a continuity correction where T is discrete."""


def corrected(p_value: np.ndarray) -> np.ndarray:
    """Return Benjamini and Hochberg's q-values over all p-values of an array of any shape; NaN = not tested."""
    order = np.argsort(p_value, axis=None)
    raised = p_value.ravel()[order] * np.count_nonzero(~np.isnan(p_value)) / np.arange(1, len(order) + 1)
    q_value = np.empty(p_value.shape)
    q_value.flat[order] = np.fmin.accumulate(raised[::-1])[::-1]
    return q_value


def statistic(sums: BlockSums) -> np.ndarray:
    """Return ``T`` of each concept: float64 of shape (concepts,)."""
    return sums.total(sums.weight_outcome) - sums.total(sums.weight, sums.mean)


def permutation_cumulants(sums: BlockSums) -> np.ndarray:
    """Return the second, third and fourth cumulant of T under permutation: float64 of shape (3, concepts)."""
    inverse = 1 / np.maximum(sums.units, 1)
    second, third, fourth = _central((sums.weight, sums.weight2, sums.weight3, sums.weight4), inverse[sums.block])
    of_second, of_third, of_squares, of_fourth = moment_factors(sums.units, _central(tuple(sums.outcome), inverse))
    return np.stack(
        [
            sums.total(second, of_second),
            sums.total(third, of_third),
            sums.total(second * second, of_squares) + sums.total(fourth, of_fourth),
        ]
    )


def moment_factors(n: np.ndarray, outcomes: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Return factors of the weights' ``A_2``, ``A_3``, ``A_2^2`` and ``A_4`` in each block: four arrays of shape (B,).

    The first gives the second cumulant, the next the third, and the last two together the fourth. Blocks of fewer than
    four units contribute to the second only.

    Parameters
    ----------
    n : ndarray of float of shape (B,)
        Units of each block.
    outcomes
        ``B_2``, ``B_3`` and ``B_4`` of each block.
    """
    b2, b3, b4 = outcomes
    large = n >= 4
    few = np.where(large, n, 4.0)  # keeps the formulas below defined; those blocks are dropped
    variance = b2 / np.maximum(n - 1, 1)
    # The fourth moment is 3 (A_2 B_2)^2 / (n^2 - 1) (1 + shape), where the shape is a product of Fisher's
    # k_4 / k_2^2 of the weights and of the outcomes; k_4 is linear in A_4 and in A_2^2.
    whole, part = few * (few + 1), 3 * (few - 1)
    k = (few - 1) * (few - 2) * (few - 3)
    k4 = (whole * b4 - part * b2**2) / k
    shape = (few - 2) * (few - 3) / (few * (few * few - 1)) * (few - 1) ** 2 * k4 / k
    of_squares = 3 * b2**2 / (few * few - 1) - part * shape - 3 * variance**2
    cubes = b3 * few / ((few - 1) * (few - 2))
    return variance, np.where(large, cubes, 0.0), np.where(large, of_squares, 0.0), np.where(large, whole * shape, 0.0)


def _central(powers: tuple[np.ndarray, ...], inverse: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return sums of squares, cubes and fourth powers about the mean, from four plain power sums and ``1 / n``."""
    p1, p2, p3, p4 = powers
    m = p1 * inverse
    square = m * m
    second = p2 - p1 * m
    # A constant's rounding error is no variance.
    varies = second > 1e-12 * np.maximum(p2, 1e-300)
    third = p3 - 3 * m * p2 + 2 * p1 * square
    fourth = p4 - 4 * m * p3 + square * (6 * p2 - 3 * p1 * m)
    return second * varies, third * varies, fourth * varies


def permutation_tails(sums: BlockSums) -> PermutationTails:
    """Return both tails of T for every concept.

    A tail is never smaller than the chance that all of the concept's units have the lowest (highest) outcome, which is
    exact for outcomes of 0 and 1. Where the weights hardly differ, T is discrete and is corrected by half a step.
    """
    second, third, fourth = permutation_cumulants(sums)
    t = statistic(sums)
    known = second > 0
    low, high, skewness, standing = (np.full(second.shape, np.nan) for _ in range(4))
    scale = np.sqrt(second[known])
    z, half = t[known] / scale, _half_step(sums)[known] / scale
    skew, excess = third[known] / scale**3, fourth[known] / scale**4
    low[known] = _useful_tail(-z - half, -skew, excess)
    high[known] = _useful_tail(z - half, skew, excess)
    with np.errstate(invalid="ignore"):
        near = np.fmin(low, high) < MAX_BOUNDED_TAIL
    all_low, all_high = _extremes(sums, near)
    low[near], high[near] = np.maximum(low[near], all_low), np.maximum(high[near], all_high)
    skewness[known] = skew
    standing[known] = np.sign(z) * np.maximum(0.0, np.abs(z) - half)
    return PermutationTails(low, high, skewness, standing)


def _useful_tail(z: np.ndarray, skew: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Return the Pearson tail; the normal one where the tail is so large that no verdict depends on it."""
    out = ndtr(-z)
    small = np.flatnonzero(z > MIN_CURVE_Z)
    out[small] = pearson_tail(z[small], skew[small], excess[small])
    return out


def pearson_tail(z: np.ndarray, skew: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Return the upper tail of the Pearson curve with mean 0, variance 1, and the given skewness and excess kurtosis.

    Returns
    -------
    ndarray of float64 of the shape of ``z``, in [0, 1]; accurate in the far tail, where ``1 - cdf`` would round to 0.
    """
    out, square, skewed = ndtr(-z), skew**2, np.abs(skew) >= MIN_SKEWNESS
    if skewed.any():
        out[skewed] = _gamma_tail(z[skewed], skew[skewed])
    bounded = (skewed | (np.abs(excess) >= MIN_SKEWNESS)) & (excess < 1.5 * square - MIN_SKEWNESS / 10)
    bounded &= excess > square - 1.9  # at -2 only two values are left
    if bounded.any():
        beta = _beta_tail(z[bounded], skew[bounded], excess[bounded])
        out[bounded] = np.maximum(beta, np.minimum(out[bounded], MIN_CURVE_TAIL))
    return out


def _beta_tail(z: np.ndarray, skew: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Return the tail of type I: a beta on an interval (Elderton and Johnson, Systems of Frequency Curves)."""
    square, kurtosis = skew**2, excess + 3
    r = 6 * (kurtosis - square - 1) / (6 + 3 * square - 2 * kurtosis)
    root = np.sqrt((r + 2) ** 2 * square + 16 * (r + 1))
    lean = (r + 2) * skew / root  # the longer tail lies on the side of the larger parameter's end
    a, b = r / 2 * (1 - lean), r / 2 * (1 + lean)
    length = root / 2
    return np.asarray(betaincc(a, b, np.clip((z + length * a / (a + b)) / length, 0.0, 1.0)))


def _gamma_tail(z: np.ndarray, skew: np.ndarray) -> np.ndarray:
    """Return the tail of type III: a gamma with the given skewness, mirrored if that is negative."""
    shape = 4 / skew**2
    x = np.maximum(0.0, shape + np.sqrt(shape) * z * np.sign(skew))
    return np.where(skew > 0, gammaincc(shape, x), gammainc(shape, x))


def _half_step(sums: BlockSums) -> np.ndarray:
    """Return half a step of T, which is half the mean weight, where the weights hardly differ; else 0."""
    support, weight = sums.total(sums.support), sums.total(sums.weight)
    spread = np.maximum(0.0, support / np.maximum(effective_sample(weight, sums.total(sums.weight2)), 1e-300) - 1)
    right = sums.total(sums.support, sums.mean)
    fewer = np.minimum(right, support - right)
    mean = np.divide(weight, support, out=np.zeros(len(support)), where=support > 0)
    return np.where(spread * fewer < MAX_LATTICE_SPREAD, mean / 2, 0.0)


def _extremes(sums: BlockSums, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the chance that all units of a concept have outcome 0, and that all have 1 (hypergeometric).

    Both are 0 for concepts with a unit in a block of graded outcomes.

    Parameters
    ----------
    near : ndarray of bool of shape (concepts,)
        Concepts to compute it for.

    Returns
    -------
    none, every : ndarray of float64 of shape (number of True in ``near``,)
    """
    if not near.any():
        return np.zeros(0), np.zeros(0)
    pair = np.flatnonzero(near[sums.concept])
    block, index = sums.block[pair], (np.cumsum(near) - 1)[sums.concept[pair]]
    graded = np.abs(sums.outcome[0] - sums.outcome[1]) > 1e-9 * np.maximum(sums.units, 1)
    right, drawn = np.clip(np.round(sums.outcome[0]), 0, sums.units)[block], sums.support[pair]
    count = sums.units[block]
    impossible = np.where(graded, -np.inf, 0.0)[block]
    of_none, of_every = (_log_none(count, marked, drawn) + impossible for marked in (right, count - right))
    places = int(near.sum())
    return np.exp(np.bincount(index, of_none, places)), np.exp(np.bincount(index, of_every, places))


def _log_none(n: np.ndarray, marked: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return the log of the chance that ``drawn`` of n units include none of the ``marked``; -inf if impossible."""
    left = n - marked - drawn
    log = gammaln(n - marked + 1) - gammaln(n + 1) - gammaln(np.maximum(left, 0) + 1) + gammaln(n - drawn + 1)
    return np.where(left >= 0, log, -np.inf)


MAX_PERMUTATIONS = 20_000
"""Maximum number of permutations."""
MIN_PERMUTATIONS = 2_000
"""Minimum number of permutations."""
MAX_PERMUTED_OUTCOMES = 100_000_000
"""Approximate total of permuted outcomes: a suite of more than 5,000 clusters gets fewer permutations."""
OUTCOMES_PER_BATCH = 2_000_000
"""Permuted outcomes in memory per thread."""
WORKERS = 4


def drawn_tails(
    weights: sp.csr_array, outcome: np.ndarray, block: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the tails of T by random permutation of the outcomes within each block.

    Parameters
    ----------
    weights : csr_array of shape (asked, K)
        The concepts' weights in the units.
    outcome : ndarray of float of shape (K,)
    block : ndarray of int of shape (K,)
    seed
        Seed of the permutations.

    Returns
    -------
    low, high : ndarray of float64 of shape (asked,)
        ``(1 + draws as extreme) / (1 + draws)``: valid p-values, never 0.
    draws : int
        Number of permutations.
    """
    order = np.argsort(block, kind="stable")
    places = [p for p in np.split(order, np.flatnonzero(np.diff(block[order])) + 1) if len(p) > 1]
    used = np.concatenate(places) if places else np.zeros(0, np.int64)
    parts = np.split(np.arange(len(used)), np.cumsum([len(rows_) for rows_ in places])[:-1]) if places else []
    rows = sp.csr_array(weights[:, used], dtype=np.float64)
    values = (outcome - (np.bincount(block, outcome) / np.maximum(1, np.bincount(block)))[block])[used]
    observed = rows @ values
    # Sums in another order differ by rounding; equal values of T must count as equal.
    slack = 1e-9 * np.asarray(rows.sum(axis=1)).ravel()
    draws = int(np.clip(MAX_PERMUTED_OUTCOMES // max(1, len(used)), MIN_PERMUTATIONS, MAX_PERMUTATIONS))
    size = max(1, OUTCOMES_PER_BATCH // max(1, len(used), len(observed)))

    def extreme(start: int) -> tuple[np.ndarray, np.ndarray]:
        """Return how many draws of a batch are as low, and how many as high."""
        drawn = min(size, draws - start)
        rng = np.random.Generator(np.random.SFC64((seed, start)))  # a quarter faster than the default
        moved = [rng.permuted(np.broadcast_to(part, (drawn, len(part))), axis=1).T for part in parts]
        rows_ = np.concatenate(moved) if moved else np.zeros((0, drawn), np.int64)
        t = rows @ values[rows_]
        return (t <= (observed + slack)[:, None]).sum(axis=1), (t >= (observed - slack)[:, None]).sum(axis=1)

    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        counts = list(pool.map(extreme, range(0, draws, size)))
    lower, higher = (np.sum(side, axis=0) for side in zip(*counts, strict=True))
    return (1 + lower) / (1 + draws), (1 + higher) / (1 + draws), draws
