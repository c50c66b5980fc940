"""Pairwise verdicts as Arena-Hard-Auto counts them (Li et al., 2024, arXiv:2406.11939).

An item is judged in two games. In game 0 answer A is the baseline's and answer B the model's; game 1 is the other way
round. A verdict with ``>>`` counts three times, one with ``>`` once, and a tie is half a win that counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class GameVerdict(NamedTuple):
    """Result of one game."""

    first: float
    """Result for answer A: 1 a win, 0.5 a tie, 0 a loss."""
    times: int
    """How often the game counts."""


VERDICTS: dict[str, GameVerdict] = {
    "A>>B": GameVerdict(1.0, 3),
    "A>B": GameVerdict(1.0, 1),
    "A=B": GameVerdict(0.5, 1),
    "B>A": GameVerdict(0.0, 1),
    "B>>A": GameVerdict(0.0, 3),
}
"""The five verdicts, from "A is much better" to "B is much better"."""

_OTHER_WAY = {"A<<B": "B>>A", "A<B": "B>A", "B=A": "A=B", "B<A": "A>B", "B<<A": "A>>B"}


def canonical(label: object) -> str | None:
    """One of ``VERDICTS`` for a label in either writing (``A<B`` is ``B>A``); None for anything else."""
    if not isinstance(label, str):
        return None
    label = "".join(label.split()).strip("[]")
    label = _OTHER_WAY.get(label, label)
    return label if label in VERDICTS else None


def model_answer(record: Mapping[str, Any]) -> str | None:
    """The answer in a record of ``model_answer``, new (``messages``) or old (``choices``); None: of another form."""
    try:
        message = record["messages"][-1]["content"] if "messages" in record else record["choices"][0]["turns"][-1]
    except (KeyError, IndexError, TypeError):
        return None
    text = message.get("answer", message.get("content")) if isinstance(message, Mapping) else message
    return text if isinstance(text, str) else None


def score_of_games(g0: object, g1: object) -> float | None:
    """The item's score in [0, 1]: the mean over its games, each as often as its verdict counts.

    A game that was not judged (None, or no known label) is left out and the other one counts alone; None where
    neither was judged. Arena-Hard-Auto itself leaves out the whole item where one game has no verdict.
    """
    known = [(swapped, VERDICTS[label]) for swapped, label in enumerate(map(canonical, (g0, g1))) if label is not None]
    total = sum(game.times for _, game in known)
    # In game 0 answer A is the baseline's.
    won = sum((game.first if swapped else 1 - game.first) * game.times for swapped, game in known)
    return won / total if total else None
