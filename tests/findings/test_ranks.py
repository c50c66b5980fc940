"""Rank sums against SciPy and brute force; planted slices are found, and shuffled examples are told by nothing."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import ndtr
from scipy.stats import mannwhitneyu

from competency_gaps.evidence.ranks import MIN_EXAMPLES, Examples, dealt, halves, rank_sums, strata, tell


def made(rng, *, entries=20, each=14, slices=120, strata_count=3):
    """Sparse, tied values; each example is of one entry."""
    count = entries * each
    values = rng.poisson(0.4, (slices, count)) * rng.random((slices, count)).round(1)
    member = np.kron(np.eye(entries), np.ones(each))
    return Examples(sp.csr_array(values), sp.csr_array(member), rng.integers(0, strata_count, count), np.zeros(slices))


def test_areas_and_scores_are_those_of_scipy_in_one_stratum():
    rng = np.random.default_rng(0)
    examples = made(rng, strata_count=1)
    part = rng.random(examples.values.shape[1]) < 0.7
    auc, z = rank_sums(examples, part)
    values, member = examples.values.toarray()[:, part], examples.member.toarray()[:, part] > 0
    for k in range(0, 120, 17):
        for e in range(0, 20, 3):
            own, other = values[k, member[e]], values[k, ~member[e]]
            found = mannwhitneyu(own, other, method="asymptotic", use_continuity=False, alternative="greater")
            assert auc[k, e] == pytest.approx(found.statistic / len(own) / len(other))
            assert ndtr(-z[k, e]) == pytest.approx(found.pvalue, abs=1e-9)


def test_scores_within_strata_are_those_of_permuted_membership():
    rng = np.random.default_rng(1)
    examples = made(rng, entries=4, slices=6)
    every = np.ones(examples.values.shape[1], bool)
    auc, z = rank_sums(examples, every)
    draws = np.stack([rank_sums(dealt(examples, rng), every)[0] for _ in range(1_500)])
    brute = (auc - draws.mean(axis=0)) / draws.std(axis=0)
    assert np.abs(brute - z).max() < 0.25 and np.abs(draws.mean(axis=0) - 0.5).max() < 0.01


def test_halves_divide_each_entry():
    rng = np.random.default_rng(2)
    member = sp.csr_array((rng.random((30, 400)) < 0.05).astype(float))
    choosing = halves(member, 0)
    own, every = member @ choosing.astype(float), np.asarray(member.sum(axis=1)).ravel()
    assert np.all(np.abs(own - every / 2) <= np.maximum(3, every / 4)) and abs(choosing.mean() - 0.5) < 0.1


def test_a_planted_slice_is_found_and_others_are_not():
    rng = np.random.default_rng(3)
    examples = made(rng)
    values = examples.values.toarray()
    for entry in range(8):
        values[40 + entry, entry * 14 : entry * 14 + 12] += 0.7
    ties = tell(Examples(sp.csr_array(values), examples.member, examples.stratum, examples.family))
    best = {int(e): int(k) for e, k in zip(ties.entry[::-1], ties.slice[::-1], strict=True)}
    assert sum(best.get(entry) == 40 + entry for entry in range(8)) >= 7
    assert sum(k != 40 + e for e, k in zip(ties.entry, ties.slice, strict=True)) <= 2
    assert (ties.auc > 0.5).all()


def test_nothing_tells_examples_that_are_dealt_out():
    rng = np.random.default_rng(4)
    told = [len(tell(made(rng, slices=300), seed=seed).entry) > 0 for seed in range(12)]
    assert sum(told) <= 3


def test_few_examples_are_not_compared():
    assert not len(tell(made(np.random.default_rng(5), each=MIN_EXAMPLES - 1)).entry)


def test_strata_are_of_about_equal_size_within_a_domain():
    rng = np.random.default_rng(6)
    domain, length = np.repeat([0, 1], [40, 83]), rng.integers(1, 50, 123).astype(float)
    stratum = strata(domain, length)
    assert all(len(np.unique(domain[stratum == own])) == 1 for own in np.unique(stratum))
    assert np.ptp(np.bincount(stratum)[:4]) <= 1 and np.ptp(np.bincount(stratum)[4:]) <= 1
    assert length[:40][stratum[:40] == 0].max() <= length[:40][stratum[:40] == 3].min()
