"""Verdicts of two games, against Arena-Hard's rule written out as lists."""

from __future__ import annotations

import itertools
import statistics

import pytest

from competency_gaps.scoring.arena import canonical, score_of_games

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
