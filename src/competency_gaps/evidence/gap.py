"""The adjusted gap [ours]: a concept's items against the average of the benchmarks they come from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from competency_gaps.evidence.interval import PRIOR, binomial_variance, gradedness, wilson
from competency_gaps.metrics.sums import Sums, add_all


def adjusted_gap(parts: Sequence[Sums]) -> np.ndarray:
    """``gap(c) = sum_b sum_x w (s(x) - mean_b s) / sum_b sum_x w`` over scored items.

    Parameters
    ----------
    parts
        Sums of each benchmark.

    Returns
    -------
    ndarray of float64 of shape (concepts,)
        In [-1, 1]; negative = weaker than the same benchmarks' average. NaN where no scored item has the concept.
    """
    total = add_all(parts)
    excess = np.sum([s.weight_score - s.mean_score * s.weight for s in parts if s.scored], axis=0)
    return np.divide(excess, total.weight, out=np.full(len(total.weight), np.nan), where=total.weight > 0)


def gap_interval(parts: Sequence[Sums], level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the adjusted gap.

    The gap is the items' weighted mean score less the mean that their benchmarks would give. Its variance is that of
    the linearised ratio, with ``e(x) = w (s - mean_b - gap) - (sum_b w / n_b) (s - mean_b)``: the second part says
    that the benchmark's mean comes from the same items. As in :mod:`~competency_gaps.evidence.interval` it is drawn
    towards the binomial's, and the interval is Wilson's for the items' mean, moved by what their benchmarks give.

    Returns
    -------
    low, high : ndarray of float64 of shape (concepts,), in [-1, 1]; NaN where the gap is.
    """
    scored = [s for s in parts if s.scored]
    total = add_all(parts)
    low, high = np.full(len(total.weight), np.nan), np.full(len(total.weight), np.nan)
    known = total.weight > 0
    if not known.any():
        return low, high
    weight = total.weight[known]
    n = weight**2 / total.weight2[known]
    chi = np.clip(total.weight_score[known] / weight, 0.0, 1.0)
    expected = np.sum([s.mean_score * s.weight[known] for s in scored], axis=0) / weight
    whole = binomial_variance(chi, n, level)
    observed = np.zeros(len(weight))
    assumed = np.zeros(len(weight))
    for s in scored:
        observed += _residual_squares(s, known, chi - expected)
        assumed += _binomial_squares(s, known, chi - expected, level)
    variance = (n * observed + PRIOR * assumed) / (n + PRIOR) / weight**2
    with np.errstate(divide="ignore"):
        below, above = wilson(chi, whole / variance, level)
    low[known], high[known] = below - expected, above - expected
    return low, high


def _residual_squares(s: Sums, known: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """``sum e(x)^2`` of one benchmark, with the small-sample factor n / (n - 1)."""
    n, mean = s.scored, s.mean_score
    if n < 2:
        return np.zeros(len(gap))
    level = mean + gap
    w, w2 = s.weight[known], s.weight2[known]
    own = s.weight2_score2[known] - 2 * level * s.weight2_score[known] + level**2 * w2
    cross = s.weight_score2[known] - (level + mean) * s.weight_score[known] + level * mean * w
    scatter = s.score_powers[1] - n * mean**2
    return np.maximum(0.0, own - 2 * (w / n) * cross + (w / n) ** 2 * scatter) * n / (n - 1)


def _binomial_squares(s: Sums, known: np.ndarray, gap: np.ndarray, level: float) -> np.ndarray:
    """The same if the concept's items were trials with the benchmark's mean score, moved by the gap."""
    n, w, w2 = s.scored, s.weight[known], s.weight2[known]
    trials = np.divide(w**2, w2, out=np.zeros(len(w)), where=w2 > 0)
    variance = binomial_variance(np.clip(s.mean_score + gap, 0.0, 1.0), trials + 1, level) * gradedness(s)
    spread = np.maximum(0.0, w2 - w**2 / n)
    return spread * variance * (n / (n - 1) if n > 1 else 1.0)
