"""Scores against peers: closed forms, what they remove, and that nothing planted gives nothing."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit

from competency_gaps.evidence import measure_evidence
from competency_gaps.evidence.outcomes import Outcome, choose_peers, expected_scores

ONE = np.zeros(4000, np.int64)


def scores_of(rng, difficulty, abilities, steepness=1.0):
    chance = expit(np.asarray(abilities)[:, None] - steepness * difficulty)
    return (rng.random(chance.shape) < chance).astype(float)


def test_the_slope_is_that_on_the_true_mean():
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


def test_an_items_own_score_stays_out_of_its_expectation():
    rng = np.random.default_rng(2)
    scores = scores_of(rng, rng.normal(size=4000), [0.2, 0.0, 0.4, 0.1])
    other = scores.copy()
    other[0, [7, 8]] = other[0, [8, 7]] = 1 - scores[0, [7, 8]]
    before, after = (expected_scores(s, 0, [1, 2, 3], ONE).values for s in (scores, other))
    assert np.abs(before - after).max() < 0.002  # only through the level and the slope of all items


def test_missing_scores_of_strong_peers_mislead_nothing():
    rng = np.random.default_rng(4)
    scores = scores_of(rng, np.zeros(4000), [0.0, -1.0, 2.0])
    gone = np.arange(4000) < 2000
    scores[2, gone] = np.nan
    values = expected_scores(scores, 0, [1, 2], ONE).values
    assert values[gone].mean() == pytest.approx(values[~gone].mean(), abs=0.03)


def test_peers_scored_on_hard_items_alone_mislead_nothing():
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


def test_confounded_difficulty_does_not_mislead_scores_against_peers():
    """Concept 0 marks items that are hard for everybody, concept 1 a weakness of the model's own."""
    rng = np.random.default_rng(6)
    active = rng.random((4000, 30)) < 0.15
    scores = scores_of(rng, rng.normal(size=4000) + 1.5 * active[:, 0], [0.0, 0.3, -0.2, 0.1, 0.5])
    scores[0] *= ~(active[:, 1] & (rng.random(4000) < 0.4))
    outcome = Outcome("peers", "m", scores[0] - expected_scores(scores, 0, [1, 2, 3, 4], ONE).values)
    cas = sp.csr_array(active.astype(float))
    plain = measure_evidence(cas, scores[0], ONE)
    net = measure_evidence(cas, outcome.values, ONE, limits=outcome.limits)
    assert set(np.flatnonzero(plain.status == "failure")) == {0, 1}
    assert np.flatnonzero(net.status == "failure").tolist() == [1]
    assert net.association[1] == pytest.approx(plain.association[1], abs=0.05)
