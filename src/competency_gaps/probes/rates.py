"""A mean score with an interval that is honest for few items. NumPy and SciPy only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import chi_model_interval
from competency_gaps.metrics.performance import chi_model
from competency_gaps.metrics.sums import Sums


class Rate(NamedTuple):
    """A mean score."""

    value: float
    """In [0, 1]; NaN where nothing is scored."""
    low: float
    high: float
    scored: int
    unscored: int


def rate(scores: np.ndarray, level: float = 0.95) -> Rate:
    """Mean of scores in [0, 1] with its interval.

    Scores that are all 0 or 1: Clopper and Pearson's (1934) exact interval. Graded ones: the Wilson interval of
    :func:`~competency_gaps.evidence.chi_model_interval`.

    Parameters
    ----------
    scores : ndarray of float of shape (items,)
        NaN = unscored; takes no part.
    """
    values = np.asarray(scores, np.float64)
    known = values[~np.isnan(values)]
    missing = len(values) - len(known)
    if not len(known):
        return Rate(np.nan, np.nan, np.nan, 0, missing)
    if binary(known):
        from scipy.stats import binomtest

        found = binomtest(int(known.sum()), len(known)).proportion_ci(level, method="exact")
        return Rate(float(known.mean()), float(found.low), float(found.high), len(known), missing)
    value, low, high = weighted_mean(known, np.ones(len(known)), level)
    return Rate(value, low, high, len(known), missing)


def binary(scores: np.ndarray) -> bool:
    """Whether all scores are 0 or 1."""
    return bool(np.isin(scores, (0.0, 1.0)).all())


def weighted_mean(scores: np.ndarray, weights: np.ndarray, level: float) -> tuple[float, float, float]:
    """``sum w s / sum w`` with its interval, as of chi_model (:mod:`competency_gaps.evidence.interval`).

    Parameters
    ----------
    scores, weights : ndarray of float of shape (items,)
        All scored; some weight above 0.
    """
    sums = Sums.of(sp.csr_array(np.asarray(weights, np.float64)[:, None]), scores)
    low, high = chi_model_interval(sums, level)
    return float(chi_model(sums)[0]), float(low[0]), float(high[0])
