"""Intervals: coverage by simulation, their ends, and their combination over benchmarks."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from evidence_helpers import intervals, side_by_side, sums_of
from scipy import stats

from competency_gaps.evidence.chi import Sums, chi_model, suite_chi_model
from competency_gaps.evidence.interval import (
    association_interval,
    binomial_variance,
    mean_interval,
    net_association,
    ratio_interval,
    ratio_variance,
    unseen_variance,
    wilson,
)
from competency_gaps.evidence.sample import block_sums


def test_wilson_against_scipy():
    for right, trials in ((0, 10), (3, 10), (10, 10), (40, 200)):
        other = stats.binomtest(right, trials).proportion_ci(method="wilson")
        low, high = wilson(np.array([right / trials]), np.array([float(trials)]), 0.95)
        assert (low[0], high[0]) == pytest.approx((other.low, other.high), abs=1e-9)


def test_association_by_hand():
    easy = np.array([[1.0], [1.0], [0.0], [0.0]]), np.array([1.0, 0.0, 1.0, 1.0])
    hard = np.array([[3.0], [0.0]]), np.array([0.0, 1.0])
    # easy: mean .75, T = .25 - .75; hard: mean .5, T = 3 * -.5; weights 2 + 3.
    assert net_association(sums_of(easy, hard))[0] == pytest.approx((-0.5 - 1.5) / 5)


def test_the_mean_of_intervals():
    """Of one benchmark its own interval; of two equal ones that of twice the trials."""
    trials, values = np.array([[20.0, 12.0], [20.0, np.nan]]), np.array([[0.7, 0.2], [0.7, np.nan]])
    observed = np.array([[0.2, 0.1], [0.2, np.nan]])
    whole = binomial_variance(values, trials, 0.95)
    variances = ratio_variance(trials, observed, whole, unseen_variance(whole, values, 1.0))
    low, high = mean_interval(values, variances, trials)
    twice = wilson(values[0, :1], binomial_variance(values[0, :1], 40, 0.95) / (variances[0, :1] / 2), 0.95)
    single = ratio_interval(values[0, 1:], trials[0, 1:], np.array([0.1]), 1.0)
    for end, equal, alone in zip((low, high), twice, single, strict=True):
        assert end == pytest.approx([equal[0], alone[0]])


@pytest.mark.parametrize(("benchmarks", "active"), [(3, 0.1), (57, 0.02)])
def test_coverage_over_many_small_benchmarks(benchmarks, active):
    """Also where a concept is in one or two items of each: there single intervals end at 0 and 1."""
    rng, hits = np.random.default_rng(0), []
    benchmark = np.repeat(np.arange(benchmarks), 100)
    for _ in range(12):
        weight = (rng.random((len(benchmark), 60)) < active) * rng.lognormal(0, 1, (len(benchmark), 60))
        right = rng.beta(2, 1, benchmarks)[benchmark]
        scores = (rng.random(len(right)) < right).astype(float)
        parts = [sp.csr_array(weight[benchmark == b]) for b in range(benchmarks)]
        sums = [Sums.of(part, right[benchmark == b]) for b, part in enumerate(parts)]
        truth = suite_chi_model(np.stack([chi_model(one) for one in sums]))
        found = intervals(weight, scores, benchmark)
        hits.append((found.low <= truth) & (truth <= found.high))
    assert 0.93 <= np.mean(hits) <= 0.985  # few worlds, whose scores the concepts share


def population(rng, shape, lean, spread, benchmark):
    """Items with skewed weights; what is right depends on the benchmark and on how strong the concept is."""
    strength = rng.normal(size=shape)
    weight = np.exp(spread * strength) * (rng.random(shape) < np.array([0.15, 0.5])[benchmark])
    right = np.array([0.8, 0.3])[benchmark] + lean * (stats.norm.cdf(strength) - 0.5)
    return weight, np.clip(right, 0.01, 0.99)


@pytest.mark.parametrize("items", [120, 600])
@pytest.mark.parametrize(("spread", "lean", "graded"), [(0.3, 0.0, False), (1.0, 0.0, True), (0.8, -0.4, False)])
def test_coverage(items, spread, lean, graded):
    """95% intervals hold the truth of the population 93 to 97 times of 100 (the error of the simulation aside)."""
    rng = np.random.default_rng(items)
    worlds = 600
    many = np.repeat([0, 1], 200_000)
    weight, right = population(rng, len(many), lean, spread, many)
    truth = np.average(right[many == 0], weights=weight[many == 0])
    association_truth = np.average(right - np.array([right[many == b].mean() for b in (0, 1)])[many], weights=weight)
    benchmark = np.repeat([0, 1], items // 2)
    weight, right = population(rng, (worlds, items), lean, spread, benchmark)
    scores = rng.binomial(4, right) / 4 if graded else (rng.random(right.shape) < right).astype(float)
    block = (2 * np.arange(worlds)[:, None] + benchmark).ravel()
    association_low, association_high = association_interval(
        block_sums(sp.csr_array(side_by_side(weight).T), scores.ravel(), block, 2 * worlds)
    )
    first = benchmark == 0
    alone = intervals(
        side_by_side(weight[:, first]), scores[:, first].ravel(), np.repeat(np.arange(worlds), first.sum())
    )
    low, high = alone.low, alone.high
    error = 2.5 * np.sqrt(0.05 * 0.95 / worlds)
    held = (association_low <= association_truth) & (association_truth <= association_high)
    for hits in (np.isnan(low) | ((low <= truth) & (truth <= high)), held):
        assert 0.93 - error <= hits.mean() <= 0.97 + error


@pytest.mark.parametrize(("benchmarks", "items", "chance"), [(1, 1000, 0.998), (5, 1000, 0.9995), (1, 300, 0.01)])
def test_coverage_near_0_and_1(benchmarks, items, chance):
    """Where no or hardly any item is wrong the observed variance says nothing of what could have been."""
    worlds, of_world = 100, benchmarks * items
    scores = (np.random.default_rng(1).random((worlds, of_world)) < chance).astype(float)
    found = intervals(side_by_side(np.ones(scores.shape)), scores.ravel(), np.arange(scores.size) // items)
    assert np.mean((found.low <= chance) & (chance <= found.high)) >= 0.93
    lows = found.low[scores.all(axis=1)]
    if len(lows):
        other = stats.binomtest(of_world, of_world).proportion_ci(method="wilson").low
        assert lows == pytest.approx(np.full(len(lows), other), abs=3e-4 / benchmarks)


def test_coverage_of_the_association_where_hardly_an_item_is_wrong():
    """Concepts of 50 items each, right far oftener than the 1,600 others: their scores often do not vary at all."""
    rng, hits, chance = np.random.default_rng(0), [], 0.97
    active = np.kron(np.eye(40), np.ones((50, 1)))
    truth = chance - (400 * chance + 1600 * 0.85) / 2000
    for _ in range(12):
        scores = (rng.random(2000) < np.where(np.arange(2000) < 400, chance, 0.85)).astype(float)
        found = intervals(active, scores, np.zeros(2000, int))
        hits.append((found.association_low[:8] <= truth) & (truth <= found.association_high[:8]))
    assert np.mean(hits) >= 0.88


def test_coverage_with_clusters():
    """Items of a cluster share their luck: intervals must hold the truth 93 to 97 times of 100 all the same."""
    worlds, level = 400, 0.1
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(150 * worlds), rng.integers(1, 9, 150 * worlds))
    world, on = cluster // 150, rng.random(150 * worlds) < 0.5
    luck = (rng.random(150 * worlds) < level + 0.2 * on).astype(float)
    scores = np.where(rng.random(len(cluster)) < 0.85, luck[cluster], rng.random(len(cluster)) < level)
    weight = np.where(on[cluster], rng.lognormal(0, 0.3, len(cluster)), 0.0)
    cas = sp.csr_array((weight, (np.arange(len(cluster)), world)))
    cas.eliminate_zeros()
    found = intervals(cas, scores, world, cluster=cluster)
    truth = 0.85 * (level + 0.2) + 0.15 * level, 0.5 * 0.85 * 0.2
    error = 2.5 * np.sqrt(0.05 * 0.95 / worlds)
    ends = found.association_low, found.association_high
    for low, high, value in ((found.low, found.high, truth[0]), (*ends, truth[1])):
        assert 0.93 - error <= np.mean((low <= value) & (value <= high)) <= 0.97 + error
