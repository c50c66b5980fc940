"""95% intervals for chi_model [ours]: the ratio estimator's variance in a Wilson interval.

``chi = sum w s / sum w`` has the variance ``sum w^2 (s - chi)^2 / (sum w)^2``. That estimate is 0 when all
items have one score and unsteady when few items carry the weight, so it is drawn towards a binomial's with
``n_eff`` trials, as if ``PRIOR`` items had shown that; the interval is then Wilson's, which stays inside [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from competency_gaps.evidence.sample import effective_sample
from competency_gaps.metrics.performance import chi_model
from competency_gaps.metrics.sums import Sums

PRIOR = 100.0
"""Items whose weight the binomial variance has against the observed one."""


def quantile(level: float) -> float:
    """Normal quantile of a two-sided interval, e.g. 1.96 for 0.95."""
    return float(ndtri(0.5 + level / 2))


def wilson(value: np.ndarray, trials: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of a proportion from ``trials`` > 0 (any real number; infinite: no width)."""
    z2 = quantile(level) ** 2 / trials
    centre = (value + z2 / 2) / (1 + z2)
    half = np.sqrt(z2 * value * (1 - value) + z2 * z2 / 4) / (1 + z2)
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def binomial_variance(value: np.ndarray, trials: np.ndarray, level: float) -> np.ndarray:
    """``p (1 - p)`` at Wilson's centre: never 0, however one-sided the scores."""
    z2 = quantile(level) ** 2
    centre = (value * trials + z2 / 2) / (trials + z2)
    return centre * (1 - centre)


def gradedness(sums: Sums) -> float:
    """Variance of a benchmark's scores as a part of that of right-or-wrong scores with its mean, in (0, 1].

    1 for scores of 0 and 1; below for graded ones. Drawn towards 1 as if by one more item.
    """
    mean = sums.mean_score
    whole = mean * (1 - mean)
    part = (sums.score_powers[1] / sums.scored - mean**2) / whole if whole > 1e-12 else 1.0
    return float((sums.scored * min(1.0, max(0.0, part)) + 1) / (sums.scored + 1))


def chi_model_interval(sums: Sums, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Interval of each concept's chi_model in one benchmark.

    Returns
    -------
    low, high : ndarray of float64 of shape (concepts,), in [0, 1]; NaN where chi_model is undefined.
    """
    chi, n = chi_model(sums), effective_sample(sums)
    low, high = np.full(len(chi), np.nan), np.full(len(chi), np.nan)
    known = n > 0
    if not known.any():
        return low, high
    c, n = chi[known], n[known]
    w2, w2s, w2s2 = sums.weight2[known], sums.weight2_score[known], sums.weight2_score2[known]
    observed = np.maximum(0.0, w2s2 - 2 * c * w2s + c * c * w2) / w2
    whole = binomial_variance(c, n, level)
    variance = (n * observed + PRIOR * gradedness(sums) * whole) / (n + PRIOR)
    low[known], high[known] = wilson(c, n * whole / variance, level)
    return low, high


def mean_interval(
    values: Sequence[np.ndarray] | np.ndarray, lows: Sequence[np.ndarray] | np.ndarray, highs: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of an unweighted mean of independent values from the values' own intervals (MOVER).

    The distances to the lower limits add in squares, as do those to the upper ones: Zou and Donner's method of
    variance estimates recovery, which keeps the intervals' lopsidedness.

    Parameters
    ----------
    values, lows, highs : arrays of shape (benchmarks, concepts)
        NaN where undefined.

    Returns
    -------
    low, high : ndarray of float64 of shape (concepts,); NaN where all values are undefined.
    """
    value, low, high = (np.asarray(part, dtype=np.float64) for part in (values, lows, highs))
    count = (~np.isnan(value)).sum(axis=0).astype(np.float64)
    count[count == 0] = np.nan
    mean = np.nansum(value, axis=0) / count
    below = np.sqrt(np.nansum((value - low) ** 2, axis=0)) / count
    above = np.sqrt(np.nansum((high - value) ** 2, axis=0)) / count
    return np.maximum(0.0, mean - below), np.minimum(1.0, mean + above)
