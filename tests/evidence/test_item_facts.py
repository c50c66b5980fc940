"""Discrimination of items against NumPy, its p-values against all orders, and planted faulty keys."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import expit

from competency_gaps.evidence.outcomes import item_facts, wrong_alike


def test_discrimination_is_the_item_rest_correlation():
    rng = np.random.default_rng(0)
    scores = rng.random((12, 30))
    scores[rng.random(scores.shape) < 0.1] = np.nan
    facts = item_facts(scores, np.zeros(30, np.int64))
    for item in range(30):
        known = ~np.isnan(scores[:, item])
        rest = np.nanmean(np.delete(scores[known], item, axis=1), axis=1)
        assert facts.discrimination[item] == pytest.approx(np.corrcoef(scores[known, item], rest)[0, 1])


def test_p_values_are_the_share_of_orders():
    rng = np.random.default_rng(1)
    scores = rng.random((8, 6))
    facts = item_facts(scores, np.zeros(6, np.int64))
    for item in range(6):
        rest = np.delete(scores, item, axis=1).mean(axis=1)
        orders = np.array([rest[list(order)] @ scores[:, item] for order in itertools.permutations(range(8))])
        share = (orders <= rest @ scores[:, item] + 1e-12).mean()
        assert facts.p_value[item] == pytest.approx(share, abs=0.02)


def test_wrong_keys_are_noticed_and_shuffled_scores_are_not():
    rng = np.random.default_rng(2)
    ability = expit(np.linspace(-4, 4, 40))
    scores = (rng.random((40, 500)) < ability[:, None]).astype(float)
    scores[:, :5] = 1 - scores[:, :5]
    facts = item_facts(scores, np.zeros(500, np.int64))
    assert set(np.flatnonzero(facts.q_value < 0.05)) == {0, 1, 2, 3, 4}
    shuffled = np.stack([rng.permutation(column) for column in scores.T], axis=1)
    assert not (item_facts(shuffled, np.zeros(500, np.int64)).q_value < 0.05).any()


def test_models_that_agree_on_a_wrong_answer_are_noticed():
    rng = np.random.default_rng(3)
    answers = rng.integers(0, 4, (12, 400))
    answers[:, :3] = 2
    scores = (answers == rng.integers(0, 4, 400)).astype(float)
    scores[:, :3] = 0
    answers[0, 5] = -1
    found = wrong_alike(scores, answers)
    assert set(np.flatnonzero(found.q_value < 0.05)) == {0, 1, 2}
    assert (found.wrong[0], found.alike[0]) == (12, 12)
    for item in (4, 5, 6):
        own = answers[(scores[:, item] == 0) & (answers[:, item] >= 0), item]
        assert (found.wrong[item], found.alike[item]) == (len(own), np.bincount(own).max())
    rates = [np.nanmean(_null(np.random.default_rng(seed)).p_value < 0.05) for seed in range(10)]
    assert np.mean(rates) <= 0.05


def _null(rng):
    answers = rng.integers(1, 5, (12, 400))
    return wrong_alike(np.zeros((12, 400)), answers)
