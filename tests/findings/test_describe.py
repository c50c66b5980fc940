"""The choice of a feature on one half and its test on the other."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from findings_helpers import described, drawn_items, halves_of, negative, noisy

from competency_gaps.findings.describe import (
    CHOSEN,
    Candidate,
    _p_values,
    describe,
    scopes_of,
    shortlist,
)
from competency_gaps.findings.features import Candidates


def test_a_planted_feature_describes_and_nothing_else_does():
    right, silent = 0, 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        items = drawn_items(rng)
        hard = negative(items)
        weights = noisy(rng, hard)
        found = described(rng, items, weights, (rng.random(300) < np.where(hard, 0.17, 0.57)).astype(float))
        right += found is not None and found.candidate.code == "answer.negative"
        silent += described(rng, items, weights, (rng.random(300) < 0.5).astype(float)) is None
    assert right >= 9
    assert silent >= 9


def test_p_values_on_a_half_against_permutations_that_are_drawn():
    rng = np.random.default_rng(1)
    block = np.repeat(np.arange(4), 20)
    outcome = (rng.random(80) < np.repeat([0.2, 0.5, 0.6, 0.8], 20)).astype(float)
    features = (rng.random((3, 80)) < 0.4).astype(float)
    outcome = np.where(features[0] > 0, outcome * (rng.random(80) < 0.6), outcome)
    half = rng.permutation(80) < 40
    lower = np.array([True, True, False])
    found = _p_values(sp.csr_array(features), lower, outcome, block, half)
    own, blocks, draws = outcome[half], block[half], 4000
    reached = np.zeros(3)
    for _ in range(draws):
        shuffled = own.copy()
        for b in range(4):
            shuffled[blocks == b] = rng.permutation(own[blocks == b])
        below = features[:, half] @ shuffled - features[:, half] @ own
        reached += np.where(lower, below <= 1e-9, below >= -1e-9)
    drawn = reached / draws
    assert found == pytest.approx(drawn, abs=0.02)
    assert 0.01 < found.min() < found.max() < 0.6


def test_a_p_value_is_twice_the_median_over_splits():
    rng = np.random.default_rng(5)
    block = np.zeros(200, np.int64)
    values = (rng.random((200, 4)) < 0.4).astype(float)
    outcome = (rng.random(200) < np.where(values[:, 2] > 0, 0.2, 0.6)).astype(float)
    found = [Candidate(f"answer.value:{i}", (0,), np.arange(200), values[:, i]) for i in range(4)]
    halves = halves_of(rng, 200, 7)
    rows, lower = sp.csr_array(values.T), np.ones(4, bool)
    expected = []
    for half in halves:
        first = _p_values(rows, lower, outcome, block, half)
        chosen = 2 in np.argsort(first)[:CHOSEN]
        second = _p_values(rows, lower, outcome, block, ~half)
        expected.append(min(1.0, CHOSEN * second[2]) if chosen else 1.0)
    description = describe([found], [True], outcome, np.zeros(len(outcome), np.int64), block, halves)[0]
    assert description is not None and description.candidate is found[2]
    assert description.p_value == pytest.approx(2 * np.median(expected))


@pytest.mark.parametrize(("second", "shown"), [(0.012, True), (0.018, False)])
def test_a_median_near_the_threshold_describes_nothing(monkeypatch, second, shown):
    monkeypatch.setattr("competency_gaps.findings.describe._p_values", lambda *_: np.array([second]))
    outcome, values = np.repeat([0.0, 1.0], 50), np.repeat([1.0, 0.0], 50)
    block, one = np.zeros(100, np.int64), Candidate("answer.even", (0,), np.arange(100), values)
    halves = halves_of(np.random.default_rng(0), 100, 5)
    (found,) = describe([[one]], [True], outcome, block, block, halves)
    assert (found is not None) == shown


def test_what_is_shown_never_contradicts_what_was_tested():
    # Within each block the feature lowers the score, over both it raises it (Simpson's paradox).
    block = np.repeat([0, 1], 200)
    rng = np.random.default_rng(2)
    has = rng.random(400) < np.where(block == 0, 0.85, 0.15)
    outcome = (rng.random(400) < np.where(block == 0, 0.98, 0.35) - 0.3 * has).astype(float)
    assert outcome[has].mean() > outcome[~has].mean()
    one = Candidate("answer.even", (0,), np.arange(400), has.astype(float))
    halves = halves_of(rng, 400)
    assert (
        np.median([_p_values(sp.csr_array(has[None, :] * 1.0), np.array([True]), outcome, block, h)[0] for h in halves])
        < 0.01
    )
    assert describe([[one]], [True], outcome, np.zeros(len(outcome), np.int64), block, halves) == [None]


def test_scopes_are_the_benchmarks_that_hold_much_of_a_finding():
    benchmark = np.repeat([0, 1, 2], [10, 10, 10])
    weights = np.concatenate([np.full(10, 0.1), np.full(10, 2.0), np.full(10, 3.0)])
    assert scopes_of(weights, benchmark) == [(2, 1), (2,)]  # benchmark 1 holds less than half
    # Spread over fifty benchmarks it is described over forty of them together, and in none by itself.
    assert [len(one) for one in scopes_of(np.ones(500), np.repeat(np.arange(50), 10))] == [40]
    assert scopes_of(np.where(benchmark == 2, 1.0, 0.0), benchmark) == [(2,)]


def test_findings_of_one_benchmark_are_described_within_it():
    """A word that names the benchmark tells nothing, however much the finding lies in it."""
    rng = np.random.default_rng(0)
    benchmark = np.repeat([0, 1], 100)
    weights = np.where(benchmark == 0, (rng.random(200) < 0.9) * 1.0, (rng.random(200) < 0.1) * 1.0)
    names_it, telling = (benchmark == 0) * 1.0, weights
    both = Candidates(["prompt.word:a", "prompt.word:b"], np.stack([names_it, telling], axis=1))
    features = {(0, 1): both}
    assert [one.code for one in shortlist(weights, benchmark, features, lambda code, scope: 1.0)] == ["prompt.word:b"]
    assert shortlist(weights, benchmark, features, lambda code, scope: 0.49) == []
    assert describe([[]], [True], np.zeros(200), benchmark, benchmark, halves_of(rng, 200)) == [None]
