"""Strengths, style, position bias: against closed forms and planted truths."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binomtest

from competency_gaps.evidence.interval import mean
from competency_gaps.items.item import Reason
from competency_gaps.judging.arena_figures import (
    Match,
    Style,
    arena_figures,
    bradley_terry,
    logistic,
    style_features,
    style_of,
)


def test_intervals_of_means_against_known_ones() -> None:
    # Wilson's of 3 of 3 and of 7 of 10, from SciPy.
    for right, of in ((3, 3), (7, 10), (0, 1)):
        found = mean(np.repeat([1.0, 0.0], [right, of - right]))
        known = binomtest(right, of).proportion_ci(method="wilson")
        assert found is not None and tuple(found) == pytest.approx((right / of, known.low, known.high), abs=1e-9)
    values = np.random.default_rng(0).beta(2, 2, 5000)
    found = mean(values)
    assert found is not None and (found.high - found.low) / 2 == pytest.approx(
        1.96 * values.std() / 5000**0.5, rel=0.03
    )
    assert mean(np.zeros(0)) is None


def test_one_column_gives_the_log_odds_of_the_weighted_mean() -> None:
    rng = np.random.default_rng(1)
    results, weights = rng.choice([0.0, 0.5, 1.0], 300), rng.choice([1.0, 3.0], 300)
    rate = (results * weights).sum() / weights.sum()
    found = logistic(np.ones((300, 1)), results, weights)
    assert found[0] == pytest.approx(np.log(rate / (1 - rate)), abs=1e-4)


def test_the_gradient_leads_where_a_search_without_it_leads() -> None:
    rng = np.random.default_rng(2)
    design, results, weights = rng.normal(size=(200, 3)), rng.choice([0.0, 0.5, 1.0], 200), rng.choice([1.0, 3.0], 200)

    def loss(c: np.ndarray) -> float:
        p = expit(design @ c)
        return float(-(weights * (results * np.log(p) + (1 - results) * np.log(1 - p))).sum() + 5e-4 * (c @ c))

    assert logistic(design, results, weights) == pytest.approx(minimize(loss, np.zeros(3), tol=1e-10).x, abs=1e-5)


def test_planted_strengths_of_four_models_come_back() -> None:
    truth = np.array([0.0, 0.5, -0.7, 1.2])
    rng = np.random.default_rng(3)
    rows, results, items = [], [], []
    for item, (i, j) in enumerate(itertools.islice(itertools.cycle(itertools.combinations(range(4), 2)), 12_000)):
        row = np.zeros(4)
        row[i], row[j] = 1, -1
        rows.append(row[1:])  # the first is the baseline of strength 0
        results.append(float(rng.random() < expit(truth[i] - truth[j])))
        items.append(item)
    fit = bradley_terry(np.asarray(rows), np.asarray(results), np.ones(12_000), np.asarray(items), draws=50)
    assert [strength.value for strength in fit] == pytest.approx(truth[1:], abs=0.08)
    for value, interval in zip(truth[1:], fit, strict=True):
        assert interval.low - 0.05 < value < interval.high + 0.05


def test_few_or_unanimous_games_claim_no_certainty() -> None:
    found = arena_figures([Match(("B>>A", "A>>B"))] * 30)
    assert found["strength"] is None and found["win_rate"] is None and found["summary"][0].code == "arena_score"
    assert found["score"]["value"] == 1.0 and 0.85 < found["score"]["low"] < 0.9
    alone = arena_figures([Match(("A=B", "A=B"))])
    assert alone["win_rate"] is None and alone["score"]["low"] < 0.25 and alone["score"]["high"] > 0.75
    assert alone["position_bias"]["low"] < -0.2 and alone["position_bias"]["high"] > 0.2
    few = arena_figures([Match(("A>B", "A>B"))] * 2)
    assert few["win_rate"]["low"] < 0.3 and few["win_rate"]["high"] > 0.7 and few["strength"]["low"] < -0.8


def test_items_with_one_order_are_left_out_or_reported() -> None:
    matches = [Match(("B>A", None)), Match(("A>B", "B>A")), Match((None, "A>B"))]
    found = arena_figures(matches)
    assert (found["items"], found["one_order"], found["failed"], found["score"]["value"]) == (1, 2, 2, 0.0)
    assert Reason("arena_one_order", "2 items with a verdict in one order alone, left out", (2,)) in found["summary"]
    kept = arena_figures(matches, one_game="keep")
    assert (kept["items"], kept["score"]["value"]) == (3, pytest.approx(2 / 3))
    assert (
        Reason(
            "arena_one_order_kept",
            "2 items with a verdict in one order alone: a favoured place is not balanced there",
            (2,),
        )
        in kept["summary"]
    )


def test_a_game_that_was_not_asked_is_no_failure() -> None:
    matches = [Match(("B>A", None), asked=(True, False)), Match(("A>B", "B>A"))]
    for one_game in ("leave_out", "keep"):
        found = arena_figures(matches, one_game=one_game)
        assert (found["items"], found["failed"], found["unasked"], found["failure_rate"]) == (1, 0, 1, 0.0)
        assert Reason("arena_unasked", "1 game not put to the judge", (1,)) in found["summary"]


def test_equal_style_of_one_item_is_reported_as_not_estimated() -> None:
    found = arena_figures([Match(("A>B", "A>B"), Style(40, 0, 0, 0), Style(20, 0, 0, 0))], style=True)
    assert found["summary"][1] == Reason(
        "arena_style_items", "win rate at equal style not estimated: 1 item, two needed", (1,)
    )


def _label(model_wins: bool, place: int) -> str:
    """Game 0 has the model in place B."""
    return ("A>B", "B>A")[int(model_wins)] if place == 0 else ("B>A", "A>B")[int(model_wins)]


def test_an_effect_of_length_is_taken_out() -> None:
    """The judge likes length only, and the model writes longer: at equal style neither is better."""
    rng = np.random.default_rng(4)
    matches = []
    for _ in range(1500):
        ours, theirs = rng.uniform(200, 900), rng.uniform(200, 500)
        likes = expit(3.0 * (ours - theirs) / (ours + theirs))
        games = (_label(rng.random() < likes, 0), _label(rng.random() < likes, 1))
        matches.append(Match(games, Style(ours, 0, 0, 0), Style(theirs, 0, 0, 0)))
    found = arena_figures(matches, style=True, draws=100)
    assert found["win_rate"]["low"] > 0.6
    equal = found["style"]["win_rate"]
    assert equal["low"] < 0.5 < equal["high"] and equal["value"] == pytest.approx(0.5, abs=0.03)
    assert found["style"]["coefficients"]["length"]["low"] > 0
    assert list(found["style"]["coefficients"]) == ["length"], "columns without spread are left out"


def test_position_bias_is_found_and_is_none_under_the_null() -> None:
    rng = np.random.default_rng(5)
    for planted in (0.0, 0.2):
        games = [tuple("A>B" if rng.random() < 0.5 + planted else "B>A" for _ in range(2)) for _ in range(1500)]
        bias = arena_figures([Match(pair) for pair in games], draws=200)["position_bias"]
        assert bias["low"] < planted < bias["high"]
        assert bias["value"] == pytest.approx(planted, abs=0.03)
    # A strong model without a favoured place shows none: both orders are balanced.
    fair = [Match((_label(rng.random() < 0.9, 0), _label(rng.random() < 0.9, 1))) for _ in range(1500)]
    bias = arena_figures(fair, draws=200)["position_bias"]
    assert bias["low"] < 0 < bias["high"] and abs(bias["value"]) < 0.03


def test_a_judge_that_goes_by_place_is_noticed() -> None:
    rng = np.random.default_rng(6)

    def said(places: float, merit: float, ties: float = 0.0, items: int = 20) -> bool:
        """Whether it is said of a judge that ties, else takes the first place, else the better answer, else any."""
        games = []
        for _ in range(items):
            better = rng.random() < 0.5
            pair = []
            for place in range(2):
                first = better == (place == 1)
                draw = rng.random()
                wins = True if draw < places else first if draw < places + merit else rng.random() < 0.5
                pair.append("A=B" if rng.random() < ties else "A>B" if wins else "B>A")
            games.append(Match(tuple(pair)))
        return arena_figures(games, draws=50)["by_place"]

    assert all(said(0.95, 0.0) for _ in range(20))
    assert sum(said(0.0, 0.0) for _ in range(200)) <= 16
    assert sum(said(0.0, 0.0, ties=0.5, items=60) for _ in range(100)) <= 8, "ties are no contradiction"
    assert not any(said(0.2, 0.6) for _ in range(50))
    assert not arena_figures([Match(("A>B", None))])["by_place"]


def test_counts_of_ties_and_failures() -> None:
    found = arena_figures(
        [Match(("A=B", None)), Match((None, None)), Match(("A>B", "A=B")), Match(("B>>A", "B>A"))], one_game="keep"
    )
    assert (found["items"], found["games"], found["failed"], found["both_games"]) == (3, 5, 3, 2)
    assert found["tie_rate"] == 2 / 5 and found["failure_rate"] == 3 / 8
    # Items: 0.5; A>B then tie: (0 + 0.5) / 2; B>>A then B>A: (3 * 1 + 0) / 4.
    assert found["score"]["value"] == pytest.approx((0.5 + 0.25 + 0.75) / 3)
    # Pooled over games, as often as each counts: 0.5 + 0 + 0.5 + 3 + 0 of 7.
    assert found["win_rate"]["value"] == pytest.approx(4 / 7, abs=1e-4)
    assert found["agreement"] == 0.0
    assert arena_figures([Match((None, None))])["score"] is None


def test_style_is_counted_outside_code() -> None:
    text = "# One\n## Two\n- a\n* b\n 1. c\n**bold** and __bold__\n```\n# no header\n- no item **none**\n```\n#tag\n"
    assert style_of(text) == Style(len(text) / 4, 2, 3, 2)
    assert style_of("") == Style(0.0, 0, 0, 0)


def test_features_follow_the_formula() -> None:
    model = np.array([[100.0, 2, 4, 0], [50, 0, 0, 1], [10, 0, 0, 0]])
    baseline = np.array([[50.0, 1, 0, 0], [150, 3, 0, 0], [10, 0, 2, 0]])
    raw = np.zeros((3, 4))
    for i, (m, b) in enumerate(zip(model, baseline, strict=True)):
        raw[i, 0] = (m[0] - b[0]) / (m[0] + b[0])
        for k in (1, 2, 3):
            dm, db = m[k] / m[0], b[k] / b[0]
            raw[i, k] = (dm - db) / (dm + db + 1)
    assert style_features(model, baseline) == pytest.approx(raw / raw.std(axis=0, ddof=1))


def test_equal_style_is_not_invented_where_most_games_are_lost() -> None:
    rng = np.random.default_rng(6)
    lost = [Match(("A>>B", "B>>A"), Style(rng.uniform(40, 60), 0, 0, 0), Style(200, 1, 2, 3)) for _ in range(40)]
    found = arena_figures(lost, style=True, draws=50)
    assert found["style"]["win_rate"] is None and found["style"]["rarer"] == 0
    assert found["summary"][1].code == "arena_style_rarer"
