"""The statistics of fresh items against brute force, planted truths and their own promises."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from competency_gaps.probes.rates import rate
from competency_gaps.probes.verdict import decide, exact_tails, examine


def test_exact_tails_against_every_assignment():
    exciting = np.array([1, 1, 0, 0, 0, 1, 0, 0, 1], bool)
    scores = np.array([0, 1, 1, 1, 0, 0, 1, 0, 0], float)
    family = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1])
    own = [np.flatnonzero(family == f) for f in (0, 1)]
    counts = [
        int(scores[list(a)].sum() + scores[list(b)].sum())
        for a in itertools.combinations(own[0], 2)
        for b in itertools.combinations(own[1], 2)
    ]
    right = int(scores[exciting].sum())
    low, high = exact_tails(exciting, scores, family)
    assert low == pytest.approx(np.mean(np.array(counts) <= right))
    assert high == pytest.approx(np.mean(np.array(counts) >= right))


def test_rates_of_one_sided_scores_are_not_certain():
    all_right = rate(np.ones(20))
    assert (all_right.value, all_right.high) == (1.0, 1.0)
    assert all_right.low == pytest.approx(0.025 ** (1 / 20))  # Clopper-Pearson in closed form
    nothing = rate(np.array([np.nan, np.nan]))
    assert np.isnan(nothing.value)
    assert (nothing.scored, nothing.unscored) == (0, 2)


def made(rng, *, effect, graded=False, dense=False, items=120):
    """Two families of different ease; the concept is as common in the hard one as its weight makes it look weak."""
    family = np.repeat([0, 1], items // 2)
    share = np.where(family == 0, 0.2, 0.6)
    cas = rng.gamma(2.0, 1.0, items) + 0.4 if dense else rng.gamma(2.0, 1.0, items) * (rng.random(items) < share)
    exciting = cas > 0.3
    ease = np.where(family == 0, 0.8, 0.4) - effect * (np.minimum(cas / 4, 1) if dense else exciting)
    scores = np.clip(ease + rng.normal(0, 0.2, items), 0, 1) if graded else (rng.random(items) < ease).astype(float)
    return cas, exciting, scores, family


@pytest.mark.parametrize(("graded", "dense"), [(False, False), (True, False), (False, True)])
def test_null_holds_at_the_level_although_families_differ(graded, dense):
    rng = np.random.default_rng(1)
    p = np.array(
        [
            examine(*made(rng, effect=0.0, graded=graded, dense=dense), "weak", seed=i).p_value
            for i in range(100 if graded or dense else 600)
        ]
    )
    assert (p <= 0.05).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(p))
    assert (p <= 0.5).mean() > 0.3  # and it is no test that never speaks


@pytest.mark.parametrize(
    ("graded", "dense", "kind"), [(False, False, "contrast"), (True, False, "contrast"), (False, True, "graded")]
)
def test_planted_weakness_holds(graded, dense, kind):
    rng = np.random.default_rng(2)
    found = examine(*made(rng, effect=0.4, graded=graded, dense=dense, items=600), "weak")
    assert found.kind == kind
    assert found.difference_low < found.difference < found.difference_high < 0
    assert decide([found])[0].verdict == "holds"
    wrong = examine(*made(np.random.default_rng(2), effect=0.4, graded=graded, dense=dense, items=600), "strong")
    assert decide([wrong])[0].verdict == "reversed"


def test_a_rare_concept_is_no_graded_one():
    """Six items that excite it among hundreds in which it is faintly active are too few, not a test by strength."""
    rng = np.random.default_rng(6)
    exciting = np.arange(300) < 6
    found = examine(np.where(exciting, 2.0, 0.1), exciting, (rng.random(300) < 0.5) * 1.0, np.zeros(300), "weak")
    assert decide([found])[0].verdict == "too few items"


def test_families_of_different_ease_do_not_widen_the_interval():
    """As many right answers in each family; only the ease of the families differs."""
    half = np.tile([True, False], 40)
    family = np.repeat([0, 1], 40)
    near = np.where(np.arange(80) % 4 < 2, 1.0, 0.0)
    apart = np.where(family == 0, (np.arange(80) % 20 < 2) * 1.0, (np.arange(80) % 20 >= 2) * 1.0)
    one, other = (examine(half.astype(float), half, scores, family, "weak") for scores in (near, apart))
    width = {name: found.difference_high - found.difference_low for name, found in (("near", one), ("apart", other))}
    # The variance within families is 0.25 and 0.09.
    assert width["apart"] < 0.85 * width["near"]


def test_intervals_cover_a_known_difference():
    rng = np.random.default_rng(3)
    inside, trials = 0, 400
    for _ in range(trials):
        found = examine(*made(rng, effect=0.3, items=80), "weak")
        inside += found.difference_low <= -0.3 <= found.difference_high
    assert inside / trials >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / trials)


def test_difference_is_within_families():
    # All of the difference lies between families: within each, exciting items score as the others.
    family = np.repeat([0, 1], 40)
    exciting = np.r_[np.arange(40) < 10, np.arange(40) < 30]
    scores = np.where(family == 0, 1.0, 0.0)
    found = examine(exciting.astype(float), exciting, scores, family, "weak")
    assert found.difference == pytest.approx(0.0)
    assert found.p_value == pytest.approx(1.0)


def test_few_items_give_no_verdict_and_unscored_items_are_ignored():
    scores = np.r_[np.zeros(5), np.ones(5), np.full(30, np.nan)]
    exciting = np.arange(40) % 2 == 0
    found = decide([examine(exciting.astype(float), exciting, scores, np.zeros(40), "weak")])[0]
    assert found.verdict == "too few items"
    assert found.unscored == 30
    assert np.isnan(found.q_value)
    none = examine(np.zeros(4), np.zeros(4, bool), np.ones(4), np.zeros(4), "weak")
    assert np.isnan(none.mean)
    assert examine(np.zeros(0), np.zeros(0, bool), np.zeros(0), np.zeros(0), "weak").exciting == 0


def test_many_null_concepts_are_held_back():
    rng = np.random.default_rng(4)
    held = sum(
        any(one.verdict == "holds" for one in decide([examine(*made(rng, effect=0.0), "weak") for _ in range(20)]))
        for _ in range(20)
    )
    assert held <= 5  # Benjamini-Hochberg: a false family in at most 5%, so 5 of 20 has a chance below 0.003
