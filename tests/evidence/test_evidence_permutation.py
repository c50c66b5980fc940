"""Permutation: closed moments by enumeration, tails against draws, p-values uniform under the null."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from evidence_helpers import sums_of
from scipy import stats

from competency_gaps.evidence import Thresholds, evidence, measure_evidence, sample_of
from competency_gaps.evidence.permutation import drawn_tails, pearson_tail, permutation_cumulants, permutation_tails


@pytest.mark.parametrize("binary", [True, False])
def test_cumulants_by_enumeration(binary):
    rng = np.random.default_rng(0)
    cas = rng.gamma(1, 1, (7, 4)) * (rng.random((7, 4)) < 0.6)
    scores = (rng.random(7) < 0.4).astype(float) if binary else rng.random(7)
    every = np.array([scores[list(order)] for order in itertools.permutations(range(7))])
    t = (every - scores.mean()) @ cas
    found = permutation_cumulants(sums_of((cas, scores)))
    variance = t.var(axis=0)
    assert found[0] == pytest.approx(variance)
    assert found[1] == pytest.approx((t**3).mean(axis=0))
    assert found[2] == pytest.approx((t**4).mean(axis=0) - 3 * variance**2)


def test_benchmarks_add_and_constants_tell_nothing():
    rng = np.random.default_rng(1)
    cas = sp.csr_array(rng.gamma(1, 1, (12, 3)) * np.array([1, 0, 1]))
    varied, constant = (cas, rng.random(12)), (cas, np.full(12, 0.3))
    tails = permutation_tails(sums_of(constant))
    assert np.isnan(tails.low).all() and np.isnan(tails.high).all()
    both, alone = permutation_tails(sums_of(varied, constant)), permutation_tails(sums_of(varied))
    assert both.low[[0, 2]] == pytest.approx(alone.low[[0, 2]])
    assert np.isnan(both.low[1]), "a concept that is silent has no T"


def test_pearson_tail_against_scipy():
    z = np.linspace(-3, 6, 40)
    for skew in (-1.2, -0.3, 0.4, 1.5):
        own = pearson_tail(z, np.full(40, skew), np.full(40, 1.5 * skew**2))
        assert own == pytest.approx(stats.pearson3.sf(z, skew), rel=1e-9, abs=1e-300)
    a, b = 2.0, 5.0
    mean, variance, skew, excess = (float(v) for v in stats.beta.stats(a, b, moments="mvsk"))
    x = mean + z * variance**0.5
    for sign in (1, -1):
        own = pearson_tail(z, np.full(40, sign * skew), np.full(40, excess))
        other = stats.beta.sf(x, a, b) if sign > 0 else stats.beta.cdf(mean - z * variance**0.5, a, b)
        near = other > 1e-4
        assert own[near] == pytest.approx(other[near], rel=1e-6)
        assert (own[~near] >= other[~near]).all(), "further out the curve may end too early"
        assert (np.diff(own) <= 0).all()
    assert pearson_tail(z, np.zeros(40), np.zeros(40)) == pytest.approx(stats.norm.sf(z))


@pytest.mark.parametrize(("items", "support", "right", "spread"), [(300, 60, 0.5, 0.8), (1000, 80, 0.2, 0.5)])
def test_closed_tails_against_drawn_ones(items, support, right, spread):
    """The long tail, or both where T is hardly skewed, down to a chance of 1 in 1,000."""
    rng = np.random.default_rng(2)
    weights = np.zeros(items)
    weights[:support] = np.exp(spread * rng.normal(size=support))
    base = np.zeros(items)
    base[: round(right * items)] = 1
    draws = np.array([rng.permutation(base) @ weights for _ in range(60_000)])
    for level in (0.1, 0.01, 0.001):
        target = np.quantile(draws, 1 - level)
        # A score vector whose T is just the target: start from a permutation that comes close.
        scores = min((rng.permutation(base) for _ in range(20_000)), key=lambda s: abs(s @ weights - target))
        found = permutation_tails(sums_of((weights[:, None], scores))).high[0]
        assert found == pytest.approx(np.mean(draws >= scores @ weights), rel=0.25)


@pytest.mark.parametrize(("items", "support", "right"), [(200, 25, 20), (400, 60, 120), (1000, 40, 700)])
def test_equal_weights_move_in_steps(items, support, right):
    """T is a count then: its tails are hypergeometric, and a curve through the steps' middle must not run below."""
    law = stats.hypergeom(items, right, support)
    weights = np.zeros((items, 1))
    weights[:support] = 1.7
    for count in range(int(law.ppf(1e-4)), int(law.ppf(1 - 1e-4)) + 1):
        scores = np.zeros(items)
        scores[:count] = 1
        scores[support : support + right - count] = 1
        tails = permutation_tails(sums_of((weights, scores)))
        assert 0.8 * law.cdf(count) <= tails.low[0] <= max(1.6 * law.cdf(count), 1e-3)
        assert 0.8 * law.sf(count - 1) <= tails.high[0] <= max(1.6 * law.sf(count - 1), 1e-3)


def test_drawn_tails_against_a_plain_loop():
    rng = np.random.default_rng(3)
    cas = sp.csr_array(rng.gamma(1, 1, (60, 5)) * (rng.random((60, 5)) < 0.4))
    scores = np.where(rng.random(60) < 0.1, np.nan, (rng.random(60) < 0.5).astype(float))
    benchmark = np.repeat([0, 1, 2], 20)
    kept = ~np.isnan(scores) & (benchmark != 1)
    low, high, draws = drawn_tails(sp.csr_array(cas[kept].T), scores[kept], benchmark[kept], seed=1)
    dense, counts = cas.toarray(), np.zeros((2, 5))
    groups = [np.flatnonzero((benchmark == b) & ~np.isnan(scores)) for b in (0, 2)]
    observed = sum(dense[g].T @ (scores[g] - scores[g].mean()) for g in groups)
    for _ in range(4000):
        t = sum(dense[g].T @ (rng.permutation(scores[g]) - scores[g].mean()) for g in groups)
        counts += np.stack([t <= observed + 1e-9, t >= observed - 1e-9])
    assert low == pytest.approx(counts[0] / 4000, abs=0.03)
    assert high == pytest.approx(counts[1] / 4000, abs=0.03)
    assert draws == 20_000 and (low > 0).all() and (high > 0).all()


def test_p_falls_below_the_resolution_of_draws():
    """One concept without any success among many: its p-value goes on below 1 in 20,000."""
    rng = np.random.default_rng(8)
    cas = rng.lognormal(0, 0.8, (6000, 8)) * (rng.random((6000, 8)) < 0.06)
    scores = (rng.random(6000) < 0.08).astype(float)
    scores[cas[:, 0] > 0] = 0
    found = measure_evidence(sp.csr_array(cas), scores, np.zeros(6000))
    assert found.p_value[0] < 2 / 20_001 and found.status[0] == "failure"
    assert found.p_value[0] >= 2 * stats.hypergeom(6000, int(scores.sum()), int((cas[:, 0] > 0).sum())).pmf(0)


@pytest.mark.parametrize("graded", [False, True])
def test_p_values_are_uniform_under_the_null(graded):
    """Difficulty confounded with the concepts, skewed weights, small samples: no more small p-values than there may."""
    rng = np.random.default_rng(4)
    sizes, levels = (150, 300, 80), (0.1, 0.5, 0.85)
    benchmark = np.repeat(np.arange(3), sizes)
    places = rng.random((3, 250)) ** 2  # a concept leans towards one benchmark or another
    cas = rng.lognormal(0, 0.8, (530, 250)) * (rng.random((530, 250)) < 0.5 * places[benchmark])
    scores = (rng.random((25, 530)) < np.asarray(levels)[benchmark]).astype(float)
    if graded:
        scores = np.clip(scores * 0.7 + 0.3 * rng.random(scores.shape), 0, 1)
    sample = sample_of(sp.csr_array(cas), scores[0], benchmark)
    every = [evidence(replace(sample, scores=own), Thresholds()) for own in scores]
    values = np.concatenate([own.p_value[~np.isnan(own.p_value)] for own in every])
    assert len(values) > 4000
    for level in (0.2, 0.05, 0.01, 0.002):
        # Concepts of one draw share its scores: half again of the binomial error is allowed for.
        error = 4.5 * np.sqrt(level / len(values))
        assert np.mean(values <= level) <= level + error
        assert np.mean(values <= level) >= 0.6 * level - error, "and hardly fewer"
