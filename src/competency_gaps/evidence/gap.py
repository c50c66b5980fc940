"""The gap [ours]: a concept's clusters against the mean of the blocks that they lie in."""

from __future__ import annotations

import numpy as np

from competency_gaps.evidence.interval import binomial_variance, gradedness, unseen_variance, wilson
from competency_gaps.evidence.permutation import statistic
from competency_gaps.evidence.sums import BlockSums

GAP_PRIOR = 10.0
"""Pseudo-units by which the variance is shrunk towards the binomial one. The 100 of chi_model would make intervals too
wide where clusters of unequal size have correlated outcomes (coverage 0.99 of a nominal 0.95)."""


def adjusted_gap(sums: BlockSums) -> np.ndarray:
    """``gap(c) = sum_blocks sum_k W_k (o_k - mean_block o) / sum W_k`` over clusters k.

    With benchmarks as blocks this is the gap of the method; with strata of benchmarks it is net of what the strata hold
    equal.

    Returns
    -------
    ndarray of float64 of shape (..., concepts)
        In [-1, 1]; negative = weaker than the same blocks' average. NaN where no scored item has the concept.
    """
    weight, t = sums.total(sums.weight), statistic(sums)
    return np.divide(t, weight, out=np.full(t.shape, np.nan), where=weight > 0)


def gap_interval(sums: BlockSums, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the gap.

    The gap is the units' weighted mean outcome less the mean that their blocks would give. Its variance is that of the
    linearised ratio, with ``e_k = W_k (o_k - mean_b - gap) - (sum_b W / n_b) (o_k - mean_b)``: the second term accounts
    for the block's mean coming from the same units. As in :mod:`~competency_gaps.evidence.interval` it is shrunk
    towards the binomial variance; the interval is Wilson's for the units' mean, shifted by the mean of their blocks.

    Returns
    -------
    low, high : ndarray of float64 of shape (..., concepts), in [-1, 1]; NaN where the gap is.
    """
    total, total2 = sums.total(sums.weight), sums.total(sums.weight2)
    weighted = sums.total(sums.weight_outcome)
    low, high, gap = np.full(weighted.shape, np.nan), np.full(weighted.shape, np.nan), np.zeros(weighted.shape)
    known = total > 0
    if not known.any():
        return low, high
    weight = total[known]
    n = weight**2 / total2[known]
    chi = np.clip(weighted[..., known] / weight, 0.0, 1.0)
    expected = sums.total(sums.weight, sums.mean)[..., known] / weight
    gap[..., known] = chi - expected
    whole = binomial_variance(chi, n, level)
    of_pair, spread = gap.take(sums.concept, axis=-1), _spread(sums)
    observed = sums.total(_residual_squares(sums, of_pair))[..., known]
    assumed = sums.total(spread * _binomial(sums, of_pair, level))[..., known]
    unseen = unseen_variance(whole, chi, 1.0) * sums.total(spread)[..., known]
    variance = (n * (observed + unseen) + GAP_PRIOR * assumed) / (n + GAP_PRIOR) / weight**2
    with np.errstate(divide="ignore"):
        below, above = wilson(chi, whole / variance, level)
    low[..., known], high[..., known] = below - expected, above - expected
    return low, high


def _residual_squares(s: BlockSums, gap: np.ndarray) -> np.ndarray:
    """``sum e_k^2`` of each pair, with the small-sample factor n / (n - 1)."""
    factor = np.where(s.units > 1, s.units / np.maximum(s.units - 1, 1), 0.0)
    mean, scatter = s.of_block(s.mean), s.of_block(s.outcome[1] - s.units * s.mean**2)
    level, share = mean + gap, s.weight / s.of_block(s.units)
    own = s.weight2_outcome2 + level * (level * s.weight2 - 2 * s.weight2_outcome)
    cross = s.weight_outcome2 - (level + mean) * s.weight_outcome + level * mean * s.weight
    squares = own + share * (share * scatter - 2 * cross)
    return np.maximum(0.0, squares) * s.of_block(factor)


def _binomial(s: BlockSums, gap: np.ndarray, level: float) -> np.ndarray:
    """Variance of a right-or-wrong outcome with the mean of the pair's block, shifted by the gap."""
    trials = s.weight**2 / s.weight2
    return binomial_variance(np.clip(s.of_block(s.mean) + gap, 0.0, 1.0), trials + 1, level)


def _spread(s: BlockSums) -> np.ndarray:
    """What each pair multiplies the variance of a right-or-wrong outcome by: 0 where all units weigh the same."""
    factor = gradedness(s.units, s.outcome) * s.units / np.maximum(s.units - 1, 1)
    squares = s.weight2 - s.weight**2 / s.of_block(s.units)
    return np.maximum(0.0, squares) * s.of_block(factor)
