"""95% intervals for chi_model [ours]: the ratio estimator's variance in a Wilson interval.

``chi = sum w s / sum w`` has the variance ``sum w^2 (s - chi)^2 / (sum w)^2``. That estimate is 0 when all
items have one score and unsteady when few items carry the weight, so it is drawn towards a binomial's with
``n_eff`` trials, as if ``PRIOR`` items had shown that; the interval is then Wilson's, which stays inside [0, 1].
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

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


def gradedness(units: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Variance of outcomes as a part of that of right-or-wrong ones with their mean.

    Parameters
    ----------
    units : ndarray of float of shape (B,)
        How many there are.
    outcome : ndarray of float of shape (2 or more, B)
        ``sum o`` and ``sum o^2``.

    Returns
    -------
    ndarray of float64 of shape (B,), in (0, 1]
        1 for outcomes of 0 and 1; below for graded ones. Drawn towards 1 as if by one more unit.
    """
    n = np.maximum(units, 1)
    mean = outcome[0] / n
    whole = mean * (1 - mean)
    part = np.divide(outcome[1] / n - mean**2, whole, out=np.ones(np.shape(whole)), where=whole > 1e-12)
    return np.asarray((units * np.clip(part, 0.0, 1.0) + 1) / (units + 1))


def ratio_variance(trials: np.ndarray, observed: np.ndarray, assumed: np.ndarray) -> np.ndarray:
    """Variance of a weighted mean of outcomes.

    Parameters
    ----------
    trials, observed : ndarray of float of one shape
        Its effective sample, > 0; ``sum e^2 / sum W^2`` of its residuals ``e = W (o - ratio)``.
    assumed
        Variance of a single outcome that the observed one is drawn towards: the binomial's, by :func:`gradedness`.
    """
    return np.asarray((trials * observed + PRIOR * assumed) / (trials + PRIOR) / trials)


def ratio_interval(
    ratio: np.ndarray,
    trials: np.ndarray,
    observed: np.ndarray,
    graded: np.ndarray | float,
    level: float = 0.95,
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of a weighted mean of outcomes in [0, 1].

    Parameters
    ----------
    ratio
        The mean.
    trials, observed
        As of :func:`ratio_variance`.
    graded
        As :func:`gradedness` gives it.

    Returns
    -------
    low, high : ndarray of float64, in [0, 1]
    """
    whole = binomial_variance(ratio, trials, level)
    return wilson(ratio, whole / ratio_variance(trials, observed, graded * whole), level)


def mean_interval(
    values: np.ndarray, variances: np.ndarray, trials: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of an unweighted mean of independent weighted means.

    Wilson's, for as many trials as give the mean's variance. Adding up the single intervals' own lengths in squares
    (MOVER) makes it too narrow where benchmarks are many and small: an interval of a few items ends at 0 or 1.

    Parameters
    ----------
    values, variances, trials : ndarray of float of shape (benchmarks, concepts)
        The single means, their variances as :func:`ratio_variance` gives them, and their effective samples; NaN where
        undefined.

    Returns
    -------
    low, high : ndarray of float64 of shape (concepts,), in [0, 1]; NaN where all values are undefined.
    """
    count = (~np.isnan(values)).sum(axis=0).astype(np.float64)
    count[count == 0] = np.nan
    mean = np.nansum(values, axis=0) / count
    variance = np.nansum(variances, axis=0) / count**2
    return wilson(mean, binomial_variance(mean, together(trials), level) / variance, level)


def together(trials: np.ndarray) -> np.ndarray:
    """Effective sample of an unweighted mean over benchmarks: ``B^2 / sum_b 1 / n_b``, of shape (concepts,)."""
    count = (~np.isnan(trials)).sum(axis=0).astype(np.float64)
    return np.divide(count**2, np.nansum(1 / trials, axis=0), out=np.full(len(count), np.nan), where=count > 0)
