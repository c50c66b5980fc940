"""Rank sums over sparse columns: against SciPy on dense ones, and against shuffling."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import mannwhitneyu, norm, rankdata

from competency_gaps.matching import ranks


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def values_of(rng, rows=60, columns=9):
    """Columns from empty to full, with ties."""
    share = np.linspace(0, 1, columns)
    values = np.where(rng.random((rows, columns)) < share, rng.exponential(size=(rows, columns)), 0)
    return np.where(rng.random((rows, columns)) < 0.3, np.round(values), values)


def groups(rng, rows, sizes):
    member = np.zeros((len(sizes), rows))
    for group, size in enumerate(sizes):
        member[group, rng.choice(rows, size, replace=False)] = 1
    return member


def test_ranks_are_those_of_dense_columns(rng):
    values = values_of(rng)
    made = ranks.ranks_of(sp.csr_array(values))
    assert made.above.toarray() + made.zero == pytest.approx(rankdata(values, axis=0))
    empty = ranks.ranks_of(sp.csr_array((5, 3)))
    assert empty.above.nnz == 0 and empty.zero.tolist() == [3, 3, 3]


@pytest.mark.parametrize("chunk", [2, 4096])
def test_a_group_is_told_from_the_rest_as_by_mann_and_whitney(rng, monkeypatch, chunk):
    monkeypatch.setattr(ranks, "COLUMNS", chunk)
    values, member = values_of(rng), groups(rng, 60, [1, 7, 30])
    made = ranks.ShuffledRanks(sp.csr_array(values), np.zeros(60, np.int64)).sums(sp.csr_array(member))
    for group, own in enumerate(member.astype(bool)):
        for column in range(values.shape[1]):
            other = values[~own, column]
            test = mannwhitneyu(
                values[own, column], other, alternative="greater", method="asymptotic", use_continuity=False
            )
            assert made.auroc[group, column] == pytest.approx(test.statistic / (own.sum() * len(other)))
            if len(set(values[:, column])) > 1:
                # Its variance is that of drawing without replacement, ties counted.
                normal = 1 if made.excess[group, column] == 0 else test.pvalue
                assert norm.sf(made.excess[group, column]) == pytest.approx(
                    normal if made.excess[group, column] else 0.5, abs=1e-9
                )


def test_moments_and_tails_are_those_of_shuffling_within_strata(rng):
    """Long rows are active more often; 40,000 shuffles."""
    stratum = np.sort(rng.integers(0, 3, 60))
    values = np.where(rng.random((60, 6)) < (0.1 + 0.3 * stratum)[:, None], rng.exponential(size=(60, 6)), 0)
    member = groups(rng, 60, [4, 12])
    made = ranks.ranks_of(sp.csr_array(values))
    sums = ranks.ShuffledRanks(sp.csr_array(values), stratum).sums(sp.csr_array(member))
    dense = made.above.toarray()
    draws = 40_000
    order = np.argsort(stratum + rng.random((draws, 60)), axis=1)
    for group in range(2):
        shuffled = np.array([dense[order[:, i]] for i in np.flatnonzero(member[group])]).sum(axis=0)
        own = member[group] @ dense
        mean, spread = shuffled.mean(axis=0), shuffled.std(axis=0)
        assert (own - mean) / spread == pytest.approx(sums.excess[group], abs=0.03)
        skewness = ((shuffled - mean) ** 3).mean(axis=0) / spread**3
        assert skewness == pytest.approx(sums.skewness[group], abs=0.08)
        # Tails where they matter: the value that 1% of shuffles exceed has a p-value of about 1%.
        for column in range(6):
            limit = np.quantile(shuffled[:, column], 0.99)
            true = np.mean(shuffled[:, column] >= limit)
            z = (limit - mean[column]) / spread[column]
            at = ranks.RankSums(sums.auroc[group], np.full(6, z), sums.skewness[group]).p_value[column]
            assert 0.3 * true < at < 3 * true


def test_without_spread_nothing_is_told(rng):
    made = ranks.ShuffledRanks(sp.csr_array(np.ones((8, 2))), np.zeros(8, np.int64))
    sums = made.sums(sp.csr_array(groups(rng, 8, [3, 8])))
    assert (sums.excess == 0).all() and (sums.p_value == 1).all() and (sums.auroc == 0.5).all()
