"""95% intervals of chi_model, of a weighted mean over items and of the association [ours].

``chi = sum w s / sum w`` has the variance ``sum w^2 (s - chi)^2 / (sum w)^2``. That estimate is 0 when all items have
the same score and unstable when few items carry the weight, so it is shrunk towards the variance of a binomial with
``n_eff`` trials by ``CHI_MODEL_PRIOR`` pseudo-items. The interval is Wilson's, which stays inside [0, 1].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from competency_gaps.evidence.permutation import statistic
from competency_gaps.evidence.sample import BlockSums

CHI_MODEL_PRIOR = 100.0
"""Pseudo-items by which chi_model's variance is shrunk towards the binomial one."""


def quantile(level: float) -> float:
    """Return the normal quantile of a two-sided interval, e.g. 1.96 for 0.95."""
    return float(ndtri(0.5 + level / 2))


def wilson(value: np.ndarray, trials: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of Wilson's interval of a proportion from ``trials`` > 0 (any real number; infinite: no
    width).
    """
    z2 = quantile(level) ** 2 / trials
    centre = (value + z2 / 2) / (1 + z2)
    half = np.sqrt(z2 * value * (1 - value) + z2 * z2 / 4) / (1 + z2)
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def binomial_variance(value: np.ndarray, trials: np.ndarray, level: float) -> np.ndarray:
    """Return ``p (1 - p)`` at the centre of Wilson's interval, which is above 0 even if all scores are equal."""
    z2 = quantile(level) ** 2
    centre = (value * trials + z2 / 2) / (trials + z2)
    return centre * (1 - centre)


def gradedness(units: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Return the variance of outcomes as a share of that of 0/1 outcomes with the same mean.

    Parameters
    ----------
    units : ndarray of float of shape (B,)
        Number of units.
    outcome : ndarray of float of shape (2 or more, B)
        ``sum o`` and ``sum o^2``.

    Returns
    -------
    ndarray of float64 of shape (B,), in (0, 1]
        1 for outcomes of 0 and 1, less for graded ones; shrunk towards 1 by one pseudo-unit.
    """
    n = np.maximum(units, 1)
    mean = outcome[0] / n
    whole = mean * (1 - mean)
    part = np.divide(outcome[1] / n - mean**2, whole, out=np.ones(np.shape(whole)), where=whole > 1e-12)
    return np.asarray((units * np.clip(part, 0.0, 1.0) + 1) / (units + 1))


def ratio_variance(trials: np.ndarray, observed: np.ndarray, assumed: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Return the variance of a weighted mean of outcomes.

    Parameters
    ----------
    trials, observed : ndarray of float, of shapes that broadcast
        Effective sample size, > 0; ``sum e^2 / sum W^2`` of the residuals ``e = W (o - ratio)``.
    assumed
        Variance of a single outcome towards which the observed one is shrunk: the binomial's times
        :func:`gradedness`.
    unseen
        Excess of ``assumed`` over the variance at the mean itself. It is added to the observed variance too: outcomes
        that are all 1 have no variance, however many they are, but the next may be 0.
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
    """Return the interval of a weighted mean of outcomes in [0, 1].

    Parameters
    ----------
    ratio
        The mean.
    trials, observed
        As in :func:`ratio_variance`.
    graded
        From :func:`gradedness`.

    Returns
    -------
    low, high : ndarray of float64, in [0, 1]
    """
    whole = binomial_variance(ratio, trials, level)
    variance = ratio_variance(trials, observed, graded * whole, unseen_variance(whole, ratio, graded))
    return wilson(ratio, whole / variance, level)


def unseen_variance(whole: np.ndarray, mean: np.ndarray, graded: np.ndarray | float) -> np.ndarray:
    """Return how much Wilson's centre raises the binomial variance above that at the mean; at least 0."""
    return np.asarray(graded * np.maximum(0.0, whole - mean * (1 - mean)))


def mean_interval(
    values: np.ndarray, variances: np.ndarray, trials: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of an unweighted mean of independent weighted means.

    Wilson's interval for the number of trials that gives the mean's variance. MOVER, which adds up the squared lengths
    of the single intervals, is too narrow for many small benchmarks, whose intervals end at 0 or 1.

    Parameters
    ----------
    values, variances : ndarray of float of shape (benchmarks, concepts)
        The single means, and their variances from :func:`ratio_variance`; NaN where undefined.
    trials : ndarray of float of shape (benchmarks, concepts)
        Their effective sample sizes; NaN where undefined.

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
    """Return the effective sample of an unweighted mean over benchmarks, ``B^2 / sum_b 1 / n_b``: shape (concepts,)."""
    count = (~np.isnan(trials)).sum(axis=0).astype(np.float64)
    return np.divide(count**2, np.nansum(1 / trials, axis=0), out=np.full(len(count), np.nan), where=count > 0)


class Estimate(NamedTuple):
    """A figure with its interval."""

    value: float
    low: float
    high: float


def mean(values: np.ndarray, weights: np.ndarray | None = None, *, level: float = 0.95) -> Estimate | None:
    """Return the weighted mean over items with its interval, computed as for ``chi_model``.

    0/1 values of equal weight have Wilson's interval. For others the ratio estimator's variance, shrunk towards the
    binomial one by ``CHI_MODEL_PRIOR`` pseudo-items, replaces ``p (1 - p) / n`` in it.

    Parameters
    ----------
    values : ndarray of float64 of shape (items,), in [0, 1]
    weights : ndarray of float64 of shape (items,), positive; None: equal

    Returns
    -------
    Estimate or None
        None without items.
    """
    if not len(values):
        return None
    weight = np.ones(len(values)) if weights is None else weights
    value = float(np.clip((weight * values).sum() / weight.sum(), 0.0, 1.0))
    trials = float(weight.sum() ** 2 / (weight**2).sum())
    if weights is not None or not np.isin(values, (0.0, 1.0)).all():
        whole = float(binomial_variance(np.asarray(value), np.asarray(trials), level))
        observed = float((weight**2 * (values - value) ** 2).sum() / (weight**2).sum())
        spread = value * (1 - value)
        part = min(1.0, observed / spread) if spread > 1e-12 else 1.0
        gradedness = (len(values) * part + 1) / (len(values) + 1)
        variance = (trials * observed + CHI_MODEL_PRIOR * gradedness * whole) / (trials + CHI_MODEL_PRIOR)
        trials *= whole / variance
    low, high = wilson(np.asarray(value), np.asarray(trials), level)
    return Estimate(value, float(low), float(high))


ASSOCIATION_PRIOR = 10.0
"""Pseudo-units by which the association's variance is shrunk towards the binomial one. The 100 of chi_model would make
intervals too wide where clusters of unequal size have correlated outcomes (coverage 0.99 of a nominal 0.95)."""


def net_association(sums: BlockSums) -> np.ndarray:
    """Return ``association(c) = sum_blocks sum_k W_k (o_k - mean_block o) / sum W_k`` over clusters k.

    With benchmarks as blocks this is the paper's association; with strata of benchmarks, what the strata hold constant
    cannot contribute to it.

    Returns
    -------
    ndarray of float64 of shape (concepts,)
        In [-1, 1]; negative = below the same blocks' average. NaN where no scored item has the concept.
    """
    weight, t = sums.total(sums.weight), statistic(sums)
    return np.divide(t, weight, out=np.full(t.shape, np.nan), where=weight > 0)


def association_interval(sums: BlockSums, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of the association.

    It is the units' weighted mean outcome less the mean expected from their blocks. Its variance is that of the
    linearised ratio, with ``e_k = W_k (o_k - mean_b - assoc) - (sum_b W / n_b) (o_k - mean_b)``: the second term
    accounts for the block's mean coming from the same units. As for chi_model, it is shrunk towards the binomial
    variance; the interval is Wilson's for the units' mean, shifted by the mean of their blocks.

    Returns
    -------
    low, high : ndarray of float64 of shape (concepts,), in [-1, 1]; NaN where the association is.
    """
    total, total2 = sums.total(sums.weight), sums.total(sums.weight2)
    weighted = sums.total(sums.weight_outcome)
    low, high, association = np.full(weighted.shape, np.nan), np.full(weighted.shape, np.nan), np.zeros(weighted.shape)
    known = total > 0
    if not known.any():
        return low, high
    weight = total[known]
    n = weight**2 / total2[known]
    chi = np.clip(weighted[known] / weight, 0.0, 1.0)
    expected = sums.total(sums.weight, sums.mean)[known] / weight
    association[known] = chi - expected
    whole = binomial_variance(chi, n, level)
    of_pair, spread = association[sums.concept], _spread(sums)
    observed = sums.total(_residual_squares(sums, of_pair))[known]
    assumed = sums.total(spread * _binomial(sums, of_pair, level))[known]
    unseen = unseen_variance(whole, chi, 1.0) * sums.total(spread)[known]
    variance = (n * (observed + unseen) + ASSOCIATION_PRIOR * assumed) / (n + ASSOCIATION_PRIOR) / weight**2
    with np.errstate(divide="ignore"):
        below, above = wilson(chi, whole / variance, level)
    low[known], high[known] = below - expected, above - expected
    return low, high


def _residual_squares(s: BlockSums, association: np.ndarray) -> np.ndarray:
    """Return ``sum e_k^2`` of each pair of concept and block, with the small-sample factor n / (n - 1)."""
    factor = np.where(s.units > 1, s.units / np.maximum(s.units - 1, 1), 0.0)
    mean, scatter = s.mean[s.block], (s.outcome[1] - s.units * s.mean**2)[s.block]
    level, share = mean + association, s.weight / s.units[s.block]
    variance_part = s.weight2_outcome2 + level * (level * s.weight2 - 2 * s.weight2_outcome)
    cross = s.weight_outcome2 - (level + mean) * s.weight_outcome + level * mean * s.weight
    squares = variance_part + share * (share * scatter - 2 * cross)
    return np.maximum(0.0, squares) * factor[s.block]


def _binomial(s: BlockSums, association: np.ndarray, level: float) -> np.ndarray:
    """Return the variance of a 0/1 outcome with the mean of the pair's block, shifted by the association."""
    trials = s.weight**2 / s.weight2
    return binomial_variance(np.clip(s.mean[s.block] + association, 0.0, 1.0), trials + 1, level)


def _spread(s: BlockSums) -> np.ndarray:
    """Return the factor of the outcome's variance for each pair; 0 where all units of the block weigh the same."""
    factor = gradedness(s.units, s.outcome) * s.units / np.maximum(s.units - 1, 1)
    squares = s.weight2 - s.weight**2 / s.units[s.block]
    return np.maximum(0.0, squares) * factor[s.block]
