"""Test whether two models differ on groups of items, by flipping the signs of differences per cluster [ours].

If A and B are equally good, a cluster's difference ``o_k = s_A - s_B`` is as likely to have the opposite sign. With
``a_k = W_k o_k`` the statistic ``T = sum a_k`` then has, under independent flips of whole clusters, variance
``sum a_k^2``, no skewness, and fourth cumulant ``-2 sum a_k^4``; a Pearson curve gives the tails. Where all ``|a_k|``
are equal T is binomial, and the test is McNemar's exact one. Where few clusters carry T, its tails are simulated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.special import bdtr, ndtri

from competency_gaps.evidence.interval import gradedness, ratio_interval
from competency_gaps.evidence.permutation import pearson_tail
from competency_gaps.evidence.sample import effective_sample

MIN_CLUSTERS = 30.0
"""Effective number of differing clusters below which tails are simulated."""
SHUFFLES = 20_000
SIGNS_IN_MEMORY = 4_000_000
"""Maximum number of signs in memory at a time."""
POWER = 0.8


@dataclass(frozen=True)
class Paired:
    """Differences between two models in groups of items. Arrays of shape (groups,); NaN = no scored item."""

    difference: np.ndarray
    """float64 in [-1, 1]: weighted mean of the clusters' differences."""
    low: np.ndarray
    """float64: lower end of its 95% interval."""
    high: np.ndarray
    p_value: np.ndarray
    """float64 in (0, 1]: two-sided, by sign flips of whole clusters."""
    n_eff: np.ndarray
    """float64: effective number of clusters."""
    clusters: np.ndarray
    """int64: clusters with an item of the group that is scored for both."""
    better: np.ndarray
    """int64: clusters in which the first model did better (for 0/1 scores McNemar's count)."""
    worse: np.ndarray
    """int64: clusters in which it did worse."""
    deviation: np.ndarray
    """float64: standard deviation of ``difference`` under sign flips."""

    def detectable(self, threshold: float) -> np.ndarray:
        """Return the smallest difference detected with a power of 0.8 at a p-value of ``threshold``: shape (groups,).

        A group in which nothing differs has deviation 0; for it, one differing cluster is assumed.
        """
        least = np.where(self.n_eff > 0, 1 / np.maximum(self.n_eff, 1), np.nan)
        spread = np.where(self.deviation > 0, self.deviation, least)
        return np.asarray((ndtri(POWER) - ndtri(threshold / 2)) * spread)


def paired_differences(weights: sp.csr_array, outcome: np.ndarray, *, seed: int = 0) -> Paired:
    """Return the difference between two models in each group of items, with interval and test.

    Parameters
    ----------
    weights : csr_array of shape (groups, K)
        Weight of each cluster in each group, >= 0: a concept's, or 1 for the items of a benchmark.
    outcome : ndarray of float64 of shape (K,), in [-1, 1]
        Difference of the models' scores in each cluster.
    seed
        Seed of simulated signs.
    """
    rows = sp.csr_array(weights, dtype=np.float64)
    rows.eliminate_zeros()
    total, squares = _sum(rows), _sum(rows.power(2))
    known = total > 0
    n_eff = effective_sample(total, squares)
    terms = sp.csr_array(rows.multiply(outcome[None, :]))
    terms.eliminate_zeros()
    statistic, variance = _sum(terms), _sum(terms.power(2))
    mean = _ratio(statistic, total, known)
    low, high = _interval(rows, outcome, mean, squares, n_eff)
    signs = sp.csr_array((np.sign(terms.data), terms.indices, terms.indptr), shape=terms.shape)
    better, worse = _sum(signs.maximum(0)), _sum((-signs).maximum(0))
    return Paired(
        mean,
        low,
        high,
        np.where(known, flip_p_values(terms, seed=seed), np.nan),
        n_eff,
        np.diff(rows.indptr).astype(np.int64),
        better.astype(np.int64),
        worse.astype(np.int64),
        _ratio(np.sqrt(variance), total, known),
    )


def flip_p_values(terms: sp.csr_array, *, seed: int = 0) -> np.ndarray:
    """Return two-sided p-values of ``sum a_k`` under flips of its terms' signs.

    Parameters
    ----------
    terms : csr_array of shape (groups, K)
        ``a_k``, without stored zeros.

    Returns
    -------
    ndarray of float64 of shape (groups,), in (0, 1]; 1 where there are no terms.
    """
    count = np.diff(terms.indptr)
    statistic = np.abs(_sum(terms))
    second, fourth = _sum(terms.power(2)), _sum(terms.power(4))
    out = np.ones(terms.shape[0])
    some = count > 0
    equal = some & (count * fourth - second**2 <= 1e-9 * second**2)
    fewer = np.round((count[equal] - statistic[equal] / np.sqrt(second[equal] / count[equal])) / 2)
    out[equal] = np.minimum(1.0, 2 * bdtr(fewer, count[equal], 0.5))
    curve = some & ~equal
    scale = np.sqrt(second[curve])
    tail = pearson_tail(statistic[curve] / scale, np.zeros(len(scale)), -2 * fourth[curve] / second[curve] ** 2)
    out[curve] = np.minimum(1.0, 2 * np.maximum(tail, 0.5 ** count[curve]))
    drawn = np.flatnonzero(curve)[second[curve] ** 2 / fourth[curve] < MIN_CLUSTERS]
    if len(drawn):
        out[drawn] = _drawn(terms[drawn], seed)
    return out


def _drawn(terms: sp.csr_array, seed: int) -> np.ndarray:
    """Return simulated p-values, ``(1 + draws as extreme) / (1 + draws)``; all groups share the draws."""
    used = np.unique(terms.indices)
    terms = sp.csr_array(terms[:, used])
    observed = np.abs(_sum(terms)) - 1e-9 * _sum(abs(terms))
    rng = np.random.default_rng(seed)
    size = max(1, SIGNS_IN_MEMORY // max(1, len(used), terms.shape[0]))
    extreme = np.zeros(terms.shape[0])
    for start in range(0, SHUFFLES, size):
        signs = rng.integers(0, 2, (len(used), min(size, SHUFFLES - start)), np.int8) * 2.0 - 1
        extreme += (np.abs(terms @ signs) >= observed[:, None]).sum(axis=1)
    return np.asarray((1 + extreme) / (1 + SHUFFLES))


def _interval(
    rows: sp.csr_array, outcome: np.ndarray, mean: np.ndarray, squares: np.ndarray, n_eff: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95% interval of each mean difference.

    It is that of a mean score, with differences mapped from [-1, 1] to [0, 1] and back.
    """
    low, high, known = np.full(len(mean), np.nan), np.full(len(mean), np.nan), n_eff > 0
    if not known.any():
        return low, high
    unit = (outcome + 1) / 2
    chi = (mean[known] + 1) / 2
    w2o, w2o2 = (np.asarray(rows.power(2) @ unit**k)[known] for k in (1, 2))
    observed = np.maximum(0.0, w2o2 - 2 * chi * w2o + chi**2 * squares[known]) / squares[known]
    graded = float(gradedness(np.array([len(unit)]), np.array([[unit.sum()], [(unit**2).sum()]]))[0])
    ends = ratio_interval(chi, n_eff[known], observed, graded)
    low[known], high[known] = (2 * end - 1 for end in ends)
    return low, high


def _sum(rows: sp.csr_array) -> np.ndarray:
    """Return the sum of each row: float64 of shape (rows,)."""
    return np.asarray(rows.sum(axis=1), np.float64).ravel()


def _ratio(above: np.ndarray, below: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return ``above / below`` where known; NaN elsewhere."""
    return np.divide(above, below, out=np.full(len(above), np.nan), where=known)
