"""p-values of the adjusted gap [ours]: scores permuted within each benchmark, in closed form.

``T(c) = sum_b sum_x w (s - mean_b s)`` is linear in the permuted scores, so that its cumulants under permutation
follow from power sums: those of the weights and those of the scores. Of one benchmark with n items, weights and
scores taken about their means (zeros included), ``A_k = sum a^k`` and ``B_k = sum b^k``::

    variance         A_2 B_2 / (n - 1)
    third cumulant   A_3 B_3 n / ((n - 1)(n - 2))
    fourth moment    Kendall and Stuart, The Advanced Theory of Statistics, vol. 2, on permuted correlations

Benchmarks are permuted apart, so their cumulants add. A Pearson curve with these four moments gives the tails:
where it has bounds (type I, a beta) or else by its third moment (type III, a gamma). In the far tail a beta can end too
early, while a gamma is on the safe side; so below ``FAR`` the larger of both counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincc, gammainc, gammaincc, gammaln, ndtr

from competency_gaps.evidence.sample import effective_sample
from competency_gaps.metrics.sums import Sums, add_all

NORMAL = 1e-3
"""Skewness and excess below which the normal distribution serves."""
FAR = 1e-4
"""Tail below which a bounded curve is not trusted alone: it may end before the true distribution does."""
LATTICE = 0.25
"""Spread of the weights, in terms of the lattice of equal weights, below which half a step is taken off."""


@dataclass(frozen=True)
class PermutationTails:
    """Where each concept stands among permutations of the scores. Arrays of shape (concepts,)."""

    low: np.ndarray
    """float64: chance of a T as low or lower, in [0, 1]; NaN where scores or weights do not vary."""
    high: np.ndarray
    """float64: chance of a T as high or higher."""
    skewness: np.ndarray
    """float64: skewness of T under permutation; its sign says which tail is the long one."""
    z: np.ndarray
    """float64: T in standard deviations, half a step nearer to 0 where it moves in steps."""

    @property
    def two_sided(self) -> np.ndarray:
        """Twice the smaller tail, at most 1."""
        return np.minimum(1.0, 2 * np.fmin(self.low, self.high))


def permutation_cumulants(sums: Sums) -> np.ndarray:
    """Second, third and fourth cumulant of T in one benchmark: float64 of shape (3, concepts)."""
    n = sums.scored
    out = np.zeros((3, len(sums.weight)))
    if n < 2:
        return out
    weights = _central(np.stack([sums.weight, sums.weight2, sums.weight3, sums.weight4]), n)
    scores = _central(sums.score_powers[:, None], n)
    out[0] = weights[0] * scores[0] / (n - 1)
    if n < 4:
        return out
    out[1] = weights[1] * scores[1] * n / ((n - 1) * (n - 2))
    shape = _k4_over_k2_squared(weights, n) * _k4_over_k2_squared(scores, n)
    shape *= (n - 2) * (n - 3) / (3 * n * (n - 1) ** 2)
    fourth = 3 / (n * n - 1) * (1 + shape) * (weights[0] * scores[0]) ** 2
    out[2] = fourth - 3 * out[0] ** 2
    return out


def _central(powers: np.ndarray, n: int) -> np.ndarray:
    """Sums of squares, cubes and fourth powers about the mean, of shape (3, ...), from plain power sums (4, ...)."""
    p1, p2, p3, p4 = powers
    m = p1 / n
    second = p2 - n * m**2
    # What rounding leaves of a constant is no variance.
    second = np.where(second > 1e-12 * np.maximum(p2, 1e-300), second, 0.0)
    third = p3 - 3 * m * p2 + 2 * n * m**3
    fourth = p4 - 4 * m * p3 + 6 * m**2 * p2 - 3 * n * m**4
    return np.stack([second, np.where(second > 0, third, 0.0), np.where(second > 0, fourth, 0.0)])


def _k4_over_k2_squared(central: np.ndarray, n: int) -> np.ndarray:
    """Fisher's fourth k-statistic over the square of the second."""
    second, _, fourth = central
    k2 = second / (n - 1)
    k4 = (n * (n + 1) * fourth - 3 * (n - 1) * second**2) / ((n - 1) * (n - 2) * (n - 3))
    return np.divide(k4, k2**2, out=np.zeros_like(k2), where=k2 > 0)


def permutation_tails(parts: Sequence[Sums]) -> PermutationTails:
    """Both tails of T for every concept.

    A tail is never smaller than the chance that all of the concept's items have the lowest (highest) score, which is
    exact for scores of 0 and 1. Where the weights hardly differ, T moves in steps, and half a step is taken off.
    """
    second, third, fourth = np.sum([permutation_cumulants(s) for s in parts], axis=0)
    t = np.sum([s.weight_score - s.mean_score * s.weight for s in parts if s.scored], axis=0) + np.zeros(len(second))
    known = second > 0
    low, high, skewness, standing = (np.full(len(second), np.nan) for _ in range(4))
    scale = np.sqrt(second[known])
    z, half = t[known] / scale, _half_step(parts)[known] / scale
    skew, excess = third[known] / scale**3, fourth[known] / scale**4
    all_low, all_high = _extremes(parts)
    low[known] = np.maximum(pearson_tail(-z - half, -skew, excess), all_low[known])
    high[known] = np.maximum(pearson_tail(z - half, skew, excess), all_high[known])
    skewness[known] = skew
    standing[known] = np.sign(z) * np.maximum(0.0, np.abs(z) - half)
    return PermutationTails(low, high, skewness, standing)


def pearson_tail(z: np.ndarray, skew: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Upper tail of the Pearson curve of mean 0, variance 1, and the skewness and excess given.

    Returns
    -------
    ndarray of float64 of the shape of ``z``, in [0, 1]; accurate in the far tail, where ``1 - cdf`` would round to 0.
    """
    out = ndtr(-z)
    square = skew**2
    plain = (np.abs(skew) < NORMAL) & (np.abs(excess) < NORMAL)
    bounded = ~plain & (excess < 1.5 * square - NORMAL / 10) & (excess > square - 1.9)  # at -2 only two values are left
    gamma = ~plain & ~bounded & (np.abs(skew) >= NORMAL)
    if bounded.any():
        far = np.minimum(_tail_by_skewness(z[bounded], skew[bounded]), FAR)
        out[bounded] = np.maximum(_beta_tail(z[bounded], skew[bounded], excess[bounded]), far)
    if gamma.any():
        out[gamma] = _gamma_tail(z[gamma], skew[gamma])
    return out


def _tail_by_skewness(z: np.ndarray, skew: np.ndarray) -> np.ndarray:
    """Type III, and the normal where there is next to no skewness."""
    out = ndtr(-z)
    skewed = np.abs(skew) >= NORMAL
    if skewed.any():
        out[skewed] = _gamma_tail(z[skewed], skew[skewed])
    return out


def _beta_tail(z: np.ndarray, skew: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Type I: a beta on an interval, both from the four moments (Elderton and Johnson, Systems of Frequency Curves)."""
    square, kurtosis = skew**2, excess + 3
    r = 6 * (kurtosis - square - 1) / (6 + 3 * square - 2 * kurtosis)
    root = np.sqrt((r + 2) ** 2 * square + 16 * (r + 1))
    lean = (r + 2) * skew / root  # the longer tail lies on the side of the larger parameter's end
    a, b = r / 2 * (1 - lean), r / 2 * (1 + lean)
    length = root / 2
    return np.asarray(betaincc(a, b, np.clip((z + length * a / (a + b)) / length, 0.0, 1.0)))


def _gamma_tail(z: np.ndarray, skew: np.ndarray) -> np.ndarray:
    """Type III: a gamma with the skewness; mirrored where that is negative."""
    shape = 4 / skew**2
    x = np.maximum(0.0, shape + np.sqrt(shape) * z * np.sign(skew))
    return np.where(skew > 0, gammaincc(shape, x), gammainc(shape, x))


def _half_step(parts: Sequence[Sums]) -> np.ndarray:
    """Half of the mean weight where the weights differ too little to fill the gaps between T's steps; else 0."""
    total = add_all(parts)
    support = total.scored_support
    spread = np.maximum(0.0, support / np.maximum(effective_sample(total), 1e-300) - 1)
    right = np.sum([s.mean_score * s.scored_support for s in parts if s.scored], axis=0) + np.zeros(len(support))
    fewer = np.minimum(right, support - right)
    mean = np.divide(total.weight, support, out=np.zeros(len(support)), where=support > 0)
    return np.where(spread * fewer < LATTICE, mean / 2, 0.0)


def _extremes(parts: Sequence[Sums]) -> tuple[np.ndarray, np.ndarray]:
    """Chance that all items of a concept score 0, and that all score 1 (hypergeometric); 0 for graded scores."""
    low, high = (np.zeros(len(parts[0].weight)) for _ in range(2))
    for s in parts:
        if not s.scored:
            continue
        if abs(s.score_powers[0] - s.score_powers[1]) > 1e-9 * s.scored:
            return np.zeros_like(low), np.zeros_like(high)
        right = round(s.score_powers[0])
        low += _log_none(s.scored, right, s.scored_support)
        high += _log_none(s.scored, s.scored - right, s.scored_support)
    return np.exp(low), np.exp(high)


def _log_none(n: int, marked: int, drawn: np.ndarray) -> np.ndarray:
    """Logarithm of the chance that ``drawn`` of ``n`` items hold none of the ``marked``; -inf if they must."""
    left = n - marked - drawn
    possible = left >= 0
    value = gammaln(n - marked + 1) - gammaln(np.where(possible, left, 0) + 1)
    value += gammaln(n - drawn + 1) - gammaln(n + 1)
    return np.where(possible, value, -np.inf)
