"""Outcomes other than scores, and sign flips of differences: closed forms, SciPy, brute force and a null."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import binomtest, permutation_test

from competency_gaps.evidence import Thresholds, measure_evidence, paired_differences
from competency_gaps.evidence.flips import flip_p_values


def test_evidence_moves_with_the_outcomes_unit():
    """Twice a score less one is the same thing in another unit."""
    rng = np.random.default_rng(0)
    cas = sp.csr_array(rng.random((500, 20)) * (rng.random((500, 20)) < 0.3))
    scores = rng.random(500)
    scores[::7] = np.nan
    names = np.arange(500) % 3
    plain = measure_evidence(cas, scores, names, thresholds=Thresholds(min_association=0.02))
    wider = Thresholds(min_association=0.04)
    moved = measure_evidence(cas, 2 * scores - 1, names, thresholds=wider, limits=(-1.0, 1.0))
    for name in ("association", "association_low", "association_high", "plain_association"):
        assert np.allclose(getattr(moved, name), 2 * getattr(plain, name), equal_nan=True)
    for name in ("low", "high"):
        assert np.allclose(getattr(moved, name), 2 * getattr(plain, name) - 1, equal_nan=True)
    assert np.array_equal(moved.p_value, plain.p_value, equal_nan=True)
    assert moved.status.tolist() == plain.status.tolist()


def test_flips_of_right_and_wrong_are_mcnemars_exact_test():
    for better, worse in ((7, 2), (0, 5), (4, 4), (30, 12)):
        outcome = np.array([1.0] * better + [-1.0] * worse + [0.0] * 20)
        paired = paired_differences(sp.csr_array(np.ones((1, len(outcome)))), outcome)
        assert paired.p_value[0] == pytest.approx(binomtest(better, better + worse).pvalue)
        assert (paired.better[0], paired.worse[0]) == (better, worse)
        assert paired.difference[0] == pytest.approx((better - worse) / len(outcome))


def test_flips_in_closed_form_agree_with_scipy():
    rng = np.random.default_rng(2)
    terms = rng.normal(0.12, 1, (4, 200)) * rng.lognormal(0, 0.5, 200)
    p_values = flip_p_values(sp.csr_array(terms))
    for row, p_value in zip(terms, p_values, strict=True):
        drawn = permutation_test((row,), np.sum, permutation_type="samples", n_resamples=20_000, rng=3)
        assert p_value == pytest.approx(drawn.pvalue, abs=0.01)


def test_flips_of_equal_models_are_rarely_significant():
    rng = np.random.default_rng(3)
    rates = np.exp(rng.uniform(np.log(0.01), np.log(0.3), 300))
    small = {level: [] for level in (0.05, 0.01, 0.001)}
    covered = []
    for _ in range(20):
        weights = (rng.random((300, 1500)) < rates[:, None]) * rng.lognormal(0, 0.7, (300, 1500))
        outcome = np.where(rng.random(1500) < 0.1, rng.choice([-1.0, 1.0], 1500), 0.0)
        paired = paired_differences(sp.csr_array(weights), outcome)
        for level, shares in small.items():
            shares.append((paired.p_value < level).mean())
        covered.append(((paired.low <= 0) & (paired.high >= 0)).mean())
    assert all(np.mean(shares) <= 1.15 * level for level, shares in small.items())
    assert np.mean(covered) >= 0.94


def test_groups_without_items_or_differences():
    weights = sp.csr_array(np.array([[0.0, 0, 0], [1, 1, 0]]))
    paired = paired_differences(weights, np.array([0.0, 0, 1]))
    assert np.isnan(paired.difference[0]) and np.isnan(paired.p_value[0])
    assert paired.p_value[1] == 1 and paired.difference[1] == 0 and paired.low[1] < 0 < paired.high[1]


def test_closed_form_flips_agree_with_the_exact_distribution():
    """Sums of 60 whole numbers with random signs, counted; the normal tail is 16% too large there."""
    sizes = np.random.default_rng(0).integers(20, 61, 60)
    chances = np.ones(1)
    for size in sizes:
        chances = (np.pad(chances, (0, 2 * size)) + np.pad(chances, (2 * size, 0))) / 2
    tails = 2 * np.cumsum(chances[::-1])[::-1]
    sums = np.arange(-sizes.sum(), sizes.sum() + 1)
    signs = np.ones(60)
    for place in np.argsort(-sizes):
        if 2 * sizes[place] <= signs @ sizes - 1000:
            signs[place] = -1
    total = int(signs @ sizes)
    exact = tails[np.searchsorted(sums, total)]
    p_value = flip_p_values(sp.csr_array((signs * sizes)[None]))[0]
    assert 1e-4 < exact < 5e-3
    assert p_value == pytest.approx(exact, rel=0.05)
