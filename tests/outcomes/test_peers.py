"""Scores against peers: closed forms, what they remove, and that nothing planted gives nothing."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit

from competency_gaps.evidence import measure_evidence
from competency_gaps.outcomes import Outcome, choose_peers, difference, distances, expected_scores

ONE = np.zeros(4000, np.int64)


def scores_of(rng, difficulty, abilities, steepness=1.0):
    chance = expit(np.asarray(abilities)[:, None] - steepness * difficulty)
    return (rng.random(chance.shape) < chance).astype(float)


def test_equal_models_expect_the_peers_mean():
    rng = np.random.default_rng(0)
    scores = scores_of(rng, rng.normal(0, 1.5, 4000), [0.0] * 6)
    expected = expected_scores(scores, 0, [1, 2, 3, 4, 5], ONE)
    mean = scores[1:].mean(axis=0)
    shifted = scores[0].mean() + expected.slopes[0] * (mean - mean.mean())
    assert np.allclose(expected.values, shifted)
    assert expected.slopes[0] == pytest.approx(1, abs=0.08)


def test_the_slope_is_that_on_the_true_mean_not_on_the_noisy_one():
    """With two peers least squares on their mean would give about half of the slope."""
    rng = np.random.default_rng(1)
    true = rng.uniform(0.2, 0.8, 40_000)
    peers = (rng.random((2, len(true))) < true).astype(float)
    own = (rng.random(len(true)) < 0.5 + 0.6 * (true - 0.5)).astype(float)
    scores = np.stack([own, *peers])
    slope = expected_scores(scores, 0, [1, 2], np.zeros(len(true), np.int64)).slopes[0]
    naive = np.cov(own, peers.mean(axis=0))[0, 1] / peers.mean(axis=0).var()
    assert slope == pytest.approx(0.6, abs=0.06)
    assert naive < 0.3


def test_the_own_score_of_an_item_does_not_enter_its_expectation():
    rng = np.random.default_rng(2)
    scores = scores_of(rng, rng.normal(size=4000), [0.2, 0.0, 0.4, 0.1])
    other = scores.copy()
    other[0, [7, 8]] = other[0, [8, 7]] = 1 - scores[0, [7, 8]]
    before, after = (expected_scores(s, 0, [1, 2, 3], ONE).values for s in (scores, other))
    assert np.abs(before - after).max() < 0.002  # only through the level and the slope of all items


def test_each_benchmark_has_its_own_level():
    rng = np.random.default_rng(3)
    group = np.repeat([0, 1], 2000)
    scores = scores_of(rng, rng.normal(size=4000), [0.0, 0.1, 0.2])
    scores[0, 2000:] = rng.random(2000) < 0.9
    outcome = scores[0] - expected_scores(scores, 0, [1, 2], group).values
    assert outcome[:2000].mean() == pytest.approx(0, abs=1e-9)
    assert outcome[2000:].mean() == pytest.approx(0, abs=1e-9)


def test_missing_scores_of_a_strong_peer_do_not_make_items_look_hard():
    rng = np.random.default_rng(4)
    scores = scores_of(rng, np.zeros(4000), [0.0, -1.0, 2.0])
    gone = np.arange(4000) < 2000
    scores[2, gone] = np.nan
    values = expected_scores(scores, 0, [1, 2], ONE).values
    assert values[gone].mean() == pytest.approx(values[~gone].mean(), abs=0.03)


def test_peers_that_are_scored_on_hard_items_alone_do_not_make_them_look_easy():
    rng = np.random.default_rng(8)
    difficulty = rng.normal(size=20_000)
    scores = scores_of(rng, difficulty, [0.0] * 5)
    hard = difficulty > 1
    scores[3:, ~hard] = np.nan
    outcome = scores[0] - expected_scores(scores, 0, [1, 2, 3, 4], np.zeros(20_000, np.int64)).values
    assert outcome[hard].mean() == pytest.approx(outcome[~hard].mean(), abs=0.03)


def test_unscored_items_and_benchmarks_stay_unscored():
    scores = np.array([[1.0, 0, np.nan, np.nan], [1, 1, 0, 1], [0, 1, np.nan, 0], [np.nan, 1, np.nan, 1]])
    expected = expected_scores(scores, 0, [1, 2, 3], np.array([0, 0, 0, 1]))
    assert np.isnan(expected.values[3]) and not np.isnan(expected.values[:3]).any()
    assert set(expected.slopes) == {0}


def test_peers_are_models_of_the_same_level():
    rng = np.random.default_rng(5)
    scores = scores_of(rng, np.zeros(4000), [0.0, 0.1, -0.1, 0.2, 3.0, -3.0])
    assert set(choose_peers(scores, 0).tolist()) == {1, 2, 3}
    assert len(choose_peers(scores, 4)) == 3  # none is near: the three nearest
    barely = scores.copy()
    barely[1, 40:] = np.nan
    assert set(choose_peers(barely, 0).tolist()) == {2, 3, 4}
    alone = np.full((3, 10), np.nan)
    alone[0] = 1
    assert not len(choose_peers(alone, 0))


@pytest.mark.parametrize("peers", [[1], [0, 1], []])
def test_too_few_peers_are_refused(peers):
    with pytest.raises(ValueError, match="at least 2 models other than model 0"):
        expected_scores(np.zeros((3, 5)), 0, peers, np.zeros(5, np.int64))


def test_difficulty_confounded_with_concepts_makes_scores_weak_but_not_scores_against_peers():
    """Concept 0 marks items that are hard for everybody, concept 1 a weakness of the model's own."""
    rng = np.random.default_rng(6)
    active = rng.random((4000, 30)) < 0.15
    scores = scores_of(rng, rng.normal(size=4000) + 1.5 * active[:, 0], [0.0, 0.3, -0.2, 0.1, 0.5])
    scores[0] *= ~(active[:, 1] & (rng.random(4000) < 0.4))
    outcome = Outcome("peers", "m", scores[0] - expected_scores(scores, 0, [1, 2, 3, 4], ONE).values)
    cas = sp.csr_array(active.astype(float))
    plain = measure_evidence(cas, scores[0], ONE)
    net = measure_evidence(cas, outcome.values, ONE, limits=outcome.limits)
    assert set(np.flatnonzero(plain.status == "weak")) == {0, 1}
    assert np.flatnonzero(net.status == "weak").tolist() == [1]
    assert net.gap[1] == pytest.approx(plain.gap[1], abs=0.05)


def test_identical_models_differ_in_nothing():
    scores = np.random.default_rng(7).integers(0, 2, 50).astype(float)
    same = difference(Outcome("score", "a", scores), Outcome("score", "b", scores))
    assert not same.values.any() and same.against == ("b",)
    assert same.limits == (-1.0, 1.0)


def test_distances_are_those_of_the_means_over_common_items():
    scores = np.array([[1.0, 1, 0, 0], [1, 0, 0, np.nan], [np.nan, 1, 1, 1], [np.nan, np.nan, np.nan, 1]])
    away = distances(scores, 0)
    assert away[1:3].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert np.isinf(away[[0, 3]]).all()  # the model itself, and one that shares a single item
