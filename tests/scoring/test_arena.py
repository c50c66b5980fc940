"""The arena: verdicts against Arena-Hard's rule written out as lists, figures against closed forms, planted truths."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest
from scipy.stats import binomtest

from competency_gaps.evidence.interval import mean
from competency_gaps.items.item import Reason
from competency_gaps.scoring.arena import arena_figures, canonical, score_of_games

# Each label as the list of results for answer A that the rule names.
_LISTS = {
    "A>>B": [1, 1, 1],
    "A>B": [1],
    "A=B": [0.5],
    "A<B": [0],
    "A<<B": [0, 0, 0],
    "B>A": [0],
    "B>>A": [0, 0, 0],
    "B=A": [0.5],
    "B<A": [1],
    "B<<A": [1, 1, 1],
}


@pytest.mark.parametrize(("g0", "g1"), itertools.product(_LISTS, _LISTS))
def test_score_is_the_mean_of_the_repeated_results(g0: str, g1: str) -> None:
    expected = statistics.mean([1 - s for s in _LISTS[g0]] + _LISTS[g1])
    assert score_of_games(g0, g1) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("label", _LISTS)
def test_a_missing_game_leaves_the_other(label: str) -> None:
    assert score_of_games(label, None) == 1 - _LISTS[label][0]
    assert score_of_games(None, label) == _LISTS[label][0]


@pytest.mark.parametrize("nothing", [None, "", "C>A", "A>>>B", "tie", 1, {"score": "A>B"}])
def test_other_values_are_not_ties(nothing: object) -> None:
    assert canonical(nothing) is None
    assert score_of_games(nothing, nothing) is None
    assert score_of_games(nothing, "A>B") == 1.0


def test_brackets_and_blanks_do_not_matter() -> None:
    assert canonical(" [[A >> B]] ") == "A>>B"


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


def test_few_games_claim_no_certainty() -> None:
    found = arena_figures([("B>>A", "A>>B")] * 30)
    assert found["score"]["value"] == 1.0 and 0.85 < found["score"]["low"] < 0.9
    alone = arena_figures([("A=B", "A=B")])
    assert alone["score"]["low"] < 0.25 and alone["score"]["high"] > 0.75
    assert alone["position_bias"]["low"] < -0.2 and alone["position_bias"]["high"] > 0.2


def test_items_with_one_order_are_left_out_or_reported() -> None:
    matches = [("B>A", None), ("A>B", "B>A"), (None, "A>B")]
    found = arena_figures(matches)
    assert (found["items"], found["one_order"], found["failed"], found["score"]["value"]) == (1, 2, 2, 0.0)
    assert Reason("arena_one_order", "2 items with a verdict in only one order, left out", (2,)) in found["summary"]


def _label(model_wins: bool, place: int) -> str:
    """Game 0 has the model in place B."""
    return ("A>B", "B>A")[int(model_wins)] if place == 0 else ("B>A", "A>B")[int(model_wins)]


def test_position_bias_is_found_and_is_none_under_the_null() -> None:
    rng = np.random.default_rng(5)
    for planted in (0.0, 0.2):
        games = [tuple("A>B" if rng.random() < 0.5 + planted else "B>A" for _ in range(2)) for _ in range(1500)]
        bias = arena_figures(games)["position_bias"]
        assert bias["low"] < planted < bias["high"]
        assert bias["value"] == pytest.approx(planted, abs=0.03)
    # A strong model without a favoured place shows none: both orders are balanced.
    fair = [(_label(rng.random() < 0.9, 0), _label(rng.random() < 0.9, 1)) for _ in range(1500)]
    bias = arena_figures(fair)["position_bias"]
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
            games.append(tuple(pair))
        return arena_figures(games)["by_place"]

    assert all(said(0.95, 0.0) for _ in range(20))
    assert sum(said(0.0, 0.0) for _ in range(200)) <= 16
    assert sum(said(0.0, 0.0, ties=0.5, items=60) for _ in range(100)) <= 8, "ties are no contradiction"
    assert not any(said(0.2, 0.6) for _ in range(50))
    assert not arena_figures([("A>B", None)])["by_place"]


def test_counts_of_ties_and_failures() -> None:
    found = arena_figures([("A=B", None), (None, None), ("A>B", "A=B"), ("B>>A", "B>A")])
    assert (found["items"], found["games"], found["failed"]) == (2, 5, 3)
    assert found["tie_rate"] == 2 / 5 and found["failure_rate"] == 3 / 8
    # A>B then tie: (0 + 0.5) / 2; B>>A then B>A: (3 * 1 + 0) / 4.
    assert found["score"]["value"] == pytest.approx((0.25 + 0.75) / 2)
    assert found["agreement"] == 0.0
    assert arena_figures([(None, None)])["score"] is None
