"""Rank sums over sparse columns: against SciPy on dense ones, and against shuffling."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import hypergeom, mannwhitneyu, norm, rankdata

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


def ranked_within(values, stratum):
    """Ranks of dense columns within strata."""
    made = np.zeros(values.shape)
    for own in np.unique(stratum):
        made[stratum == own] = rankdata(values[stratum == own], axis=0)
    return made


def test_ranks_are_those_of_dense_columns_within_strata(rng):
    values, stratum = values_of(rng), rng.integers(0, 3, 60)
    made = ranks.ranks_of(sp.csr_array(values), stratum)
    active = np.array([(values[stratum == own] > 0).sum(axis=0) for own in range(3)])
    zero = (made.sizes[:, None] - active + 1) / 2
    assert made.above.toarray() + zero[stratum] == pytest.approx(
        np.where(values > 0, ranked_within(values, stratum), zero[stratum])
    )
    assert made.cell.tolist() == np.flatnonzero(active).tolist() and made.active.tolist() == active[active > 0].tolist()
    empty = ranks.ranks_of(sp.csr_array((5, 3)), np.zeros(5, np.int64))
    assert empty.above.nnz == 0 and not len(empty.cell)


def every_pair(made, member, columns):
    row, column = (part.ravel() for part in np.indices((len(member), columns)))
    sums = made.sums(sp.csr_array(member), row, column)
    fields = {name: np.asarray(value).reshape(len(member), columns) for name, value in vars(sums).items()}
    return fields, sums.p_value.reshape(len(member), columns)


def test_ranks_agree_with_mann_and_whitney(rng):
    values, member = values_of(rng), groups(rng, 60, [1, 7, 30])
    sums, _ = every_pair(ranks.ShuffledRanks(sp.csr_array(values), np.zeros(60, np.int64)), member, 9)
    for group, own in enumerate(member.astype(bool)):
        for column in range(values.shape[1]):
            other = values[~own, column]
            test = mannwhitneyu(
                values[own, column], other, alternative="greater", method="asymptotic", use_continuity=False
            )
            assert sums["auroc"][group, column] == pytest.approx(test.statistic / (own.sum() * len(other)))
            assert sums["active"][group, column] == (values[own, column] > 0).sum()
            if len(set(values[:, column])) > 1:
                # Its variance is that of drawing without replacement, ties counted.
                assert norm.sf(sums["excess"][group, column]) == pytest.approx(test.pvalue, abs=1e-9)


@pytest.mark.parametrize("chunk", [2, 2**21])
def test_the_strongest_columns_are_those_of_the_largest_auroc(rng, monkeypatch, chunk):
    monkeypatch.setattr(ranks, "PAIRS", chunk)
    values, member = values_of(rng), groups(rng, 60, [5, 20])
    stratum = np.sort(rng.integers(0, 3, 60))
    made = ranks.ShuffledRanks(sp.csr_array(values), stratum)
    sums, _ = every_pair(made, member, 9)
    able = np.arange(9) != 4
    chosen, auroc = made.strongest(sp.csr_array(member), able, 3, 2)
    for group in range(2):
        gain = np.where(able & (sums["active"][group] >= 2), sums["auroc"][group], 0)
        expected = [column for column in np.argsort(-gain, kind="stable")[:3] if gain[column] > 0.5]
        assert chosen[group].tolist() == expected + [-1] * (3 - len(expected))
        assert auroc[group] == pytest.approx([*gain[expected], *[0.5] * (3 - len(expected))])


def test_moments_and_tails_are_those_of_shuffling_within_strata(rng):
    """Long rows are active more often; 40,000 shuffles."""
    stratum = np.sort(rng.integers(0, 3, 60))
    values = np.where(rng.random((60, 6)) < (0.1 + 0.3 * stratum)[:, None], rng.exponential(size=(60, 6)), 0)
    member = groups(rng, 60, [4, 12])
    made = ranks.ShuffledRanks(sp.csr_array(values), stratum)
    sums, _ = every_pair(made, member, 6)
    dense = ranked_within(values, stratum)
    draws = 40_000
    order = np.argsort(stratum + rng.random((draws, 60)), axis=1)
    for group in range(2):
        shuffled = np.array([dense[order[:, i]] for i in np.flatnonzero(member[group])]).sum(axis=0)
        own = member[group] @ dense
        mean, spread = shuffled.mean(axis=0), shuffled.std(axis=0)
        assert (own - mean) / spread == pytest.approx(sums["excess"][group], abs=0.03)
        pairs = wins = 0
        for here in (stratum == number for number in range(3)):
            mine, others = values[here & (member[group] > 0)], values[here & (member[group] == 0)]
            pairs += len(mine) * len(others)
            wins += (mine[:, None] > others).sum(axis=(0, 1)) + 0.5 * (mine[:, None] == others).sum(axis=(0, 1))
        assert sums["auroc"][group] == pytest.approx(wins / pairs)
        skewness = ((shuffled - mean) ** 3).mean(axis=0) / spread**3
        assert skewness == pytest.approx(sums["skewness"][group], abs=0.08)
        # The value that 1% of shuffles exceed has a p-value of about 1%.
        for column in range(6):
            limit = np.quantile(shuffled[:, column], 0.99)
            true = np.mean(shuffled[:, column] >= limit)
            at = {name: value[[group]][:, column] for name, value in sums.items()}
            at |= {"excess": np.array([(limit - mean[column]) / spread[column]]), "expected_active": np.array([9.0])}
            assert 0.4 * true < ranks.RankSums(**at).p_value[0] < 2.5 * true


@pytest.mark.parametrize(("rows", "count", "there"), [(225, 7, 1), (225, 7, 3), (1000, 7, 2)])
def test_rare_columns_have_the_exact_chance(rows, count, there):
    values = np.zeros((rows, 1))
    values[:there] = 1 + np.arange(there)[:, None]
    member = np.zeros((1, rows))
    member[0, 0] = member[0, -count + 1 :] = 1  # one of the active rows is of the group
    made = ranks.ShuffledRanks(sp.csr_array(values), np.zeros(rows, np.int64))
    sums, p_value = every_pair(made, member, 1)
    exact = hypergeom.sf(0, rows, there, count)
    assert sums["chance_active"][0, 0] == pytest.approx(exact) and p_value[0, 0] >= exact * (1 - 1e-9)


def test_chances_equal_shuffling_within_strata(rng):
    stratum = np.repeat([0, 1, 2], [10, 20, 30])
    values = np.zeros((60, 3))
    values[[3, 12, 40], 0] = values[[45, 55], 1] = values[[1, 20, 50], 2] = 1
    member = groups(rng, 60, [9])
    member[0, [3, 12, 45, 1, 20]] = 1
    sums, _ = every_pair(ranks.ShuffledRanks(sp.csr_array(values), stratum), member, 3)
    order = np.argsort(stratum + rng.random((40_000, 60)), axis=1)
    shuffled = np.array([values[order[:, i]] for i in np.flatnonzero(member[0])]).sum(axis=0)
    assert sums["chance_active"][0] == pytest.approx((shuffled >= member[0] @ values).mean(axis=0), abs=0.01)


@pytest.mark.parametrize(("rows", "count"), [(40, 7), (200, 8)])
def test_small_tails_are_those_of_the_exact_distribution(rows, count):
    """Corrected over many entries, tails of 1e-5 and less decide: never too small, and small enough to be seen."""
    values = np.arange(1.0, rows + 1)
    made = ranks.ShuffledRanks(sp.csr_array(values[:, None]), np.zeros(rows, np.int64))
    seen = []
    for shift in range(rows // 4):
        own = np.arange(rows - count, rows) - shift
        member = np.zeros((1, rows))
        member[0, own] = 1
        _, p_value = every_pair(made, member, 1)
        exact = mannwhitneyu(values[own], np.delete(values, own), alternative="greater", method="exact").pvalue
        assert p_value[0, 0] >= 0.9 * exact
        assert p_value[0, 0] < (30 * exact if exact > 1e-6 else 3e-5)
        seen.append(exact)
    assert min(seen) < 1e-6 and max(seen) > 1e-3


def test_tails_of_rare_columns_are_never_too_small():
    """Of 400 rows 7 are active: the chance that as many of a group of 7 are among them is hypergeometric."""
    values = np.zeros((400, 1))
    values[:7, 0] = 1 + np.arange(7)
    made = ranks.ShuffledRanks(sp.csr_array(values), np.zeros(400, np.int64))
    for hits in (2, 3, 5, 7):
        member = np.zeros((1, 400))
        member[0, 7 - hits : 14 - hits] = 1
        _, p_value = every_pair(made, member, 1)
        exact = hypergeom.sf(hits - 1, 400, 7, 7)
        assert exact * (1 - 1e-9) <= p_value[0, 0] < max(3 * exact, 1e-5)
