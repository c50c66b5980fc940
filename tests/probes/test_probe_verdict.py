"""The statistics of fresh items against brute force, planted truths and their own promises."""

from __future__ import annotations

import numpy as np
import pytest

from competency_gaps.probes import verdict
from competency_gaps.probes.verdict import ProbeResult, decide, examine


def made(rng, *, effect, dense=False, items=120):
    """Two families of different ease; the concept is as common in the hard one as its weight makes it look weak."""
    family = np.repeat([0, 1], items // 2)
    share = np.where(family == 0, 0.2, 0.6)
    cas = rng.gamma(2.0, 1.0, items) + 0.4 if dense else rng.gamma(2.0, 1.0, items) * (rng.random(items) < share)
    exciting = cas > 0.3
    ease = np.where(family == 0, 0.8, 0.4) - effect * (np.minimum(cas / 4, 1) if dense else exciting)
    return cas, exciting, (rng.random(items) < ease).astype(float), family


@pytest.mark.parametrize("dense", [False, True])
def test_null_holds_at_the_level_although_families_differ(dense):
    rng = np.random.default_rng(1)
    p = np.array([examine(*made(rng, effect=0.0, dense=dense), "weak", seed=i).p_value for i in range(25)])
    assert (p <= 0.05).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(p))
    assert (p <= 0.5).mean() > 0.3  # and it is no test that never speaks


@pytest.mark.parametrize(("dense", "kind"), [(False, "contrast"), (True, "graded")])
def test_planted_weakness_holds(dense, kind):
    items = made(np.random.default_rng(2), effect=0.4, dense=dense, items=600)
    result = examine(*items, "weak")
    assert result.kind == kind
    assert result.difference_low < result.difference < result.difference_high < 0
    assert decide([result])[0].verdict == "holds"
    assert decide([examine(*items, "strong")])[0].verdict == "reversed"


def test_a_contrast_is_mantel_and_haenszels_mean_of_differences():
    cas, exciting, scores, family = made(np.random.default_rng(5), effect=0.2)
    total = weight = expected = 0.0
    for name in (0, 1):
        with_it, without = scores[(family == name) & exciting], scores[(family == name) & ~exciting]
        share = len(with_it) * len(without) / (len(with_it) + len(without))
        total, weight = total + share * (with_it.mean() - without.mean()), weight + share
        expected += share * without.mean()
    result = examine(cas, exciting, scores, family, "weak")
    assert result.difference == pytest.approx(total / weight)
    assert result.expected == pytest.approx(expected / weight)


def test_a_rare_concept_is_no_graded_one():
    """Six items that excite it among hundreds in which it is faintly active are too few, not a test by strength."""
    rng = np.random.default_rng(6)
    exciting = np.arange(300) < 6
    result = examine(np.where(exciting, 2.0, 0.1), exciting, (rng.random(300) < 0.5) * 1.0, np.zeros(300), "weak")
    assert decide([result])[0].verdict == "too few items"


def test_intervals_cover_a_known_difference(monkeypatch):
    monkeypatch.setattr(verdict, "drawn_tails", lambda *given: (np.ones(1), np.ones(1), 0))
    rng = np.random.default_rng(3)
    inside, trials = 0, 200
    for _ in range(trials):
        result = examine(*made(rng, effect=0.3, items=80), "weak")
        inside += result.difference_low <= -0.3 <= result.difference_high
    assert inside / trials >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / trials)


def test_difference_is_within_families():
    # All of the difference lies between families: within each, exciting items score as the others.
    family = np.repeat([0, 1], 40)
    exciting = np.r_[np.arange(40) < 10, np.arange(40) < 30]
    result = examine(exciting.astype(float), exciting, np.where(family == 0, 1.0, 0.0), family, "weak")
    assert result.difference == pytest.approx(0.0)
    assert result.p_value == pytest.approx(1.0)


def test_few_items_give_no_verdict_and_unscored_items_are_ignored():
    scores = np.r_[np.zeros(5), np.ones(5), np.full(30, np.nan)]
    exciting = np.arange(40) % 2 == 0
    result = decide([examine(exciting.astype(float), exciting, scores, np.zeros(40), "weak")])[0]
    assert (result.verdict, result.unscored, result.q_value) == ("too few items", 30, None)
    assert examine(np.zeros(4), np.zeros(4, bool), np.ones(4), np.zeros(4), "weak").mean is None
    assert examine(np.zeros(0), np.zeros(0, bool), np.zeros(0), np.zeros(0), "weak").exciting == 0


def test_verdicts_hold_back_false_discoveries():
    """Benjamini and Hochberg by hand: the largest i with p(i) <= q i / n, in either direction."""
    pairs = [(0.01, 0.99), (0.03, 0.97), (0.04, 0.96), (0.5, 0.5), (0.999, 0.001)]
    results = [
        ProbeResult("weak", "contrast", 20, 20, 0, 0, 1, p_value=ahead, p_opposite=back) for ahead, back in pairs
    ]
    assert [result.verdict for result in decide(results, 0.05)] == ["holds"] + ["not shown"] * 3 + ["reversed"]
    assert [result.verdict for result in decide(results, 0.07)] == ["holds"] * 3 + ["not shown", "reversed"]
