"""Intervals: coverage by simulation, their ends, and their combination over benchmarks."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from evidence_helpers import chi_model_ends, sums_of
from scipy import stats

from competency_gaps.evidence import adjusted_gap, gap_interval, mean_interval, measure_evidence
from competency_gaps.evidence.interval import binomial_variance, ratio_interval, ratio_variance, unseen_variance, wilson
from competency_gaps.metrics.suite import chi_model, suite_chi_model
from competency_gaps.metrics.sums import sums_by_benchmark


def test_wilson_against_scipy():
    for right, trials in ((0, 10), (3, 10), (10, 10), (40, 200)):
        other = stats.binomtest(right, trials).proportion_ci(method="wilson")
        low, high = wilson(np.array([right / trials]), np.array([float(trials)]), 0.95)
        assert (low[0], high[0]) == pytest.approx((other.low, other.high), abs=1e-9)


def test_equal_weights_give_almost_wilsons_interval():
    scores = np.repeat([1.0, 0.0], [30, 10])
    low, high = (end[:, 0] for end in chi_model_ends(sums_of((np.full((40, 1), 2.5), scores))))
    other = stats.binomtest(30, 40).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((other.low, other.high), abs=0.01)


def test_ends_and_what_is_undefined():
    cas = sp.csr_array(np.array([[1.0, 0.0], [2.0, 0.0], [0.5, 0.0]]))
    low, high = (end[:, 0] for end in chi_model_ends(sums_of((cas, np.ones(3)))))
    assert high[0] == pytest.approx(1.0) and 0.2 < low[0] < 0.6, "three items say little, though all are right"
    assert np.isnan(low[1]) and np.isnan(high[1])
    gap_low, gap_high = gap_interval(sums_of((cas, np.ones(3))))
    assert gap_low[0] <= 0 <= gap_high[0] and np.isnan(gap_low[1])


def test_a_concept_active_alike_everywhere_has_no_gap_and_no_doubt_of_it():
    scores = np.array([1.0, 0.0, 1.0, 1.0])
    sums = sums_of((np.full((4, 1), 0.7), scores))
    assert adjusted_gap(sums)[0] == pytest.approx(0, abs=1e-12)
    assert [end[0] for end in gap_interval(sums)] == pytest.approx([0, 0], abs=1e-6)


def test_gap_by_hand():
    easy = np.array([[1.0], [1.0], [0.0], [0.0]]), np.array([1.0, 0.0, 1.0, 1.0])
    hard = np.array([[3.0], [0.0]]), np.array([0.0, 1.0])
    # easy: mean .75, T = .25 - .75; hard: mean .5, T = 3 * -.5; weights 2 + 3.
    assert adjusted_gap(sums_of(easy, hard))[0] == pytest.approx((-0.5 - 1.5) / 5)


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


@pytest.mark.parametrize(("benchmarks", "items", "active"), [(3, 100, 0.1), (57, 100, 0.02), (57, 100, 0.2)])
def test_coverage_over_many_small_benchmarks(benchmarks, items, active):
    """Also where a concept is in one or two items of each: there single intervals end at 0 and 1."""
    rng, hits = np.random.default_rng(0), []
    benchmark = np.repeat(np.arange(benchmarks), items)
    for _ in range(12):
        weight = (rng.random((len(benchmark), 60)) < active) * rng.lognormal(0, 1, (len(benchmark), 60))
        right = rng.beta(2, 1, benchmarks)[benchmark]
        scores = (rng.random(len(right)) < right).astype(float)
        sums = sums_by_benchmark(sp.csr_array(weight), right, benchmark)
        truth = suite_chi_model(np.stack([chi_model(one) for one in sums.values()]))
        found = measure_evidence(sp.csr_array(weight), scores, benchmark)
        hits.append((found.low <= truth) & (truth <= found.high))
    assert 0.93 <= np.mean(hits) <= 0.985  # few worlds, whose scores the concepts share


def population(rng, size, base, lean, spread, benchmark_of):
    """Items with skewed weights; what is right depends on the benchmark and on how strong the concept is."""
    strength = rng.normal(size=size)
    weight = np.exp(spread * strength) * (rng.random(size) < np.array([0.15, 0.5])[benchmark_of])
    right = np.clip(base[benchmark_of] + lean * (stats.norm.cdf(strength) - 0.5), 0.01, 0.99)
    return weight, right


@pytest.mark.parametrize("items", [120, 600, 6000, pytest.param(40_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("spread", "lean"), [(0.3, 0.0), (1.0, 0.0), (0.8, -0.4)])
@pytest.mark.parametrize("graded", [False, True])
def test_coverage(items, spread, lean, graded):
    """95% intervals hold the truth of the population 93 to 97 times of 100 (the error of the simulation aside)."""
    rng = np.random.default_rng(items)
    base = np.array([0.8, 0.3])
    runs = {120: 600, 600: 600, 6000: 300, 40_000: 300}[items]
    many = np.repeat([0, 1], 400_000)
    weight, right = population(rng, len(many), base, lean, spread, many)
    truth = np.average(right[many == 0], weights=weight[many == 0])
    gap_truth = np.average(right - np.array([right[many == b].mean() for b in (0, 1)])[many], weights=weight)
    benchmark = np.repeat([0, 1], items // 2)
    columns = [population(rng, items, base, lean, spread, benchmark) for _ in range(runs)]
    hits = np.zeros(2)
    for weight, right in columns:
        scores = rng.binomial(4, right) / 4 if graded else (rng.random(items) < right).astype(float)
        sums = sums_of(*((weight[benchmark == b, None], scores[benchmark == b]) for b in (0, 1)))
        low, high = chi_model_ends(sums)
        hits[0] += np.isnan(low[0, 0]) or low[0, 0] <= truth <= high[0, 0]
        gap_low, gap_high = gap_interval(sums)
        hits[1] += gap_low[0] <= gap_truth <= gap_high[0]
    error = 2.5 * np.sqrt(0.05 * 0.95 / runs)
    for share in hits / runs:
        assert 0.93 - error <= share <= 0.97 + error


@pytest.mark.parametrize(("benchmarks", "items", "chance"), [(1, 1000, 0.998), (5, 1000, 0.9995), (1, 300, 0.01)])
def test_coverage_near_0_and_1(benchmarks, items, chance):
    """Where no or hardly any item is wrong the observed variance says nothing of what could have been."""
    rng, benchmark = np.random.default_rng(1), np.repeat(np.arange(benchmarks), items)
    hits, lows = [], []
    for _ in range(200):
        scores = (rng.random(len(benchmark)) < chance).astype(float)
        found = measure_evidence(sp.csr_array(np.ones((len(benchmark), 1))), scores, benchmark)
        hits.append(found.low[0] <= chance <= found.high[0])
        if scores.all():
            lows.append(found.low[0])
    assert np.mean(hits) >= 0.93
    if lows:
        other = stats.binomtest(len(benchmark), len(benchmark)).proportion_ci(method="wilson").low
        assert lows == pytest.approx([other] * len(lows), abs=3e-4 / benchmarks)


@pytest.mark.parametrize("chance", [0.95, 0.97])
def test_coverage_of_the_gap_where_hardly_an_item_is_wrong(chance):
    """Concepts of 50 items each, right far oftener than the 1,600 others: their scores often do not vary at all."""
    rng, hits = np.random.default_rng(0), []
    active = np.kron(np.eye(40), np.ones((50, 1)))
    truth = chance - (400 * chance + 1600 * 0.85) / 2000
    for _ in range(25):
        scores = (rng.random(2000) < np.where(np.arange(2000) < 400, chance, 0.85)).astype(float)
        found = measure_evidence(sp.csr_array(active), scores, np.repeat("b", 2000))
        hits.append((found.gap_low[:8] <= truth) & (truth <= found.gap_high[:8]))
    assert np.mean(hits) >= 0.88
