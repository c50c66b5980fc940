"""95% intervals for chi_model [ours]: the ratio estimator's variance in a Wilson interval.

``chi = sum w s / sum w`` has the variance ``sum w^2 (s - chi)^2 / (sum w)^2``. That estimate is 0 when all items have
the same score and unstable when few items carry the weight, so it is shrunk towards the variance of a binomial with
``n_eff`` trials by ``CHI_MODEL_PRIOR`` pseudo-items. The interval is Wilson's, which stays inside [0, 1].
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

CHI_MODEL_PRIOR = 100.0
"""Pseudo-items by which chi_model's variance is shrunk towards the binomial one."""


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
    """``p (1 - p)`` at the centre of Wilson's interval: above 0 even if all scores are equal."""
    z2 = quantile(level) ** 2
    centre = (value * trials + z2 / 2) / (trials + z2)
    return centre * (1 - centre)


def gradedness(units: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Variance of outcomes as a share of that of 0/1 outcomes with the same mean.

    Parameters
    ----------
    units : ndarray of float of shape (B,)
        Number of units.
    outcome : ndarray of float of shape (2 or more, ..., B)
        ``sum o`` and ``sum o^2``.

    Returns
    -------
    ndarray of float64 of shape (..., B), in (0, 1]
        1 for outcomes of 0 and 1, less for graded ones; shrunk towards 1 by one pseudo-unit.
    """
    n = np.maximum(units, 1)
    mean = outcome[0] / n
    whole = mean * (1 - mean)
    part = np.divide(outcome[1] / n - mean**2, whole, out=np.ones(np.shape(whole)), where=whole > 1e-12)
    return np.asarray((units * np.clip(part, 0.0, 1.0) + 1) / (units + 1))


def ratio_variance(trials: np.ndarray, observed: np.ndarray, assumed: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Variance of a weighted mean of outcomes.

    Parameters
    ----------
    trials, observed : ndarray of float, of shapes that broadcast
        Effective sample size, > 0; ``sum e^2 / sum W^2`` of the residuals ``e = W (o - ratio)``.
    assumed
        Variance of a single outcome towards which the observed one is shrunk: the binomial's times
        :func:`gradedness`.
    unseen
        By how much ``assumed`` is larger than at the mean itself. It is added to the observed variance too: outcomes
        that are all 1 vary by nothing, however many they are, but the next may be 0.
    """
    seen = trials * (observed + unseen)
    return np.asarray((seen + CHI_MODEL_PRIOR * assumed) / (trials + CHI_MODEL_PRIOR) / trials)


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
    variance = ratio_variance(trials, observed, graded * whole, unseen_variance(whole, ratio, graded))
    return wilson(ratio, whole / variance, level)


def unseen_variance(whole: np.ndarray, mean: np.ndarray, graded: np.ndarray | float) -> np.ndarray:
    """What Wilson's centre adds to the binomial's variance at the mean, at least 0; towards 1/2 it adds nothing."""
    return np.asarray(graded * np.maximum(0.0, whole - mean * (1 - mean)))


def mean_interval(
    values: np.ndarray, variances: np.ndarray, trials: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of an unweighted mean of independent weighted means.

    Wilson's interval for the number of trials that gives the mean's variance. MOVER, which adds up the squared lengths
    of the single intervals, is too narrow for many small benchmarks, whose intervals end at 0 or 1.

    Parameters
    ----------
    values, variances : ndarray of float of shape (benchmarks, ..., concepts)
        The single means and their variances as :func:`ratio_variance` gives them; NaN where undefined.
    trials : ndarray of float of shape (benchmarks, concepts)
        Their effective samples; NaN where undefined.

    Returns
    -------
    low, high : ndarray of float64 of shape (..., concepts), in [0, 1]; NaN where all values are undefined.
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
