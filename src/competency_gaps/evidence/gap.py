"""The gap [ours]: a concept's clusters against the mean of the blocks that they lie in."""

from __future__ import annotations

import numpy as np

from competency_gaps.evidence.interval import PRIOR, binomial_variance, gradedness, wilson
from competency_gaps.evidence.permutation import statistic
from competency_gaps.evidence.sums import BlockSums


def adjusted_gap(sums: BlockSums) -> np.ndarray:
    """``gap(c) = sum_blocks sum_k W_k (o_k - mean_block o) / sum W_k`` over clusters k.

    Where the blocks are benchmarks this is the gap of the method; where they are strata of benchmarks it is net of what
    the strata hold equal.

    Returns
    -------
    ndarray of float64 of shape (concepts,)
        In [-1, 1]; negative = weaker than the same blocks' average. NaN where no scored item has the concept.
    """
    weight = sums.weight.sum(axis=1)
    return np.divide(statistic(sums), weight, out=np.full(len(weight), np.nan), where=weight > 0)


def gap_interval(sums: BlockSums, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the gap.

    The gap is the units' weighted mean outcome less the mean that their blocks would give. Its variance is that of the
    linearised ratio, with ``e_k = W_k (o_k - mean_b - gap) - (sum_b W / n_b) (o_k - mean_b)``: the second part says
    that the block's mean comes from the same units. As in :mod:`~competency_gaps.evidence.interval` it is drawn towards
    the binomial's, and the interval is Wilson's for the units' mean, moved by what their blocks give.

    Returns
    -------
    low, high : ndarray of float64 of shape (concepts,), in [-1, 1]; NaN where the gap is.
    """
    total, total2 = sums.weight.sum(axis=1), sums.weight2.sum(axis=1)
    low, high = np.full(len(total), np.nan), np.full(len(total), np.nan)
    known = total > 0
    if not known.any():
        return low, high
    weight = total[known]
    n = weight**2 / total2[known]
    chi = np.clip(sums.weight_outcome.sum(axis=1)[known] / weight, 0.0, 1.0)
    expected = (sums.weight @ sums.mean)[known] / weight
    gap = (chi - expected)[:, None]
    whole = binomial_variance(chi, n, level)
    observed = _residual_squares(sums, known, gap).sum(axis=1)
    assumed = _binomial_squares(sums, known, gap, level).sum(axis=1)
    variance = (n * observed + PRIOR * assumed) / (n + PRIOR) / weight**2
    with np.errstate(divide="ignore"):
        below, above = wilson(chi, whole / variance, level)
    low[known], high[known] = below - expected, above - expected
    return low, high


def _residual_squares(s: BlockSums, known: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """``sum e_k^2`` of each block, with the small-sample factor n / (n - 1)."""
    n, mean = np.maximum(s.units, 1), s.mean
    level = mean + gap
    w, w2 = s.weight[known], s.weight2[known]
    own = s.weight2_outcome2[known] - 2 * level * s.weight2_outcome[known] + level**2 * w2
    cross = s.weight_outcome2[known] - (level + mean) * s.weight_outcome[known] + level * mean * w
    scatter = s.outcome[1] - n * mean**2
    squares = np.maximum(0.0, own - 2 * (w / n) * cross + (w / n) ** 2 * scatter)
    return squares * np.where(s.units > 1, n / np.maximum(n - 1, 1), 0.0)


def _binomial_squares(s: BlockSums, known: np.ndarray, gap: np.ndarray, level: float) -> np.ndarray:
    """The same if the concept's units were trials with the block's mean outcome, moved by the gap."""
    n, w, w2 = np.maximum(s.units, 1), s.weight[known], s.weight2[known]
    trials = np.divide(w**2, w2, out=np.zeros_like(w), where=w2 > 0)
    variance = binomial_variance(np.clip(s.mean + gap, 0.0, 1.0), trials + 1, level) * gradedness(s.units, s.outcome)
    spread = np.maximum(0.0, w2 - w**2 / n)
    return spread * variance * n / np.maximum(n - 1, 1)
