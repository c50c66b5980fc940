"""Pairwise comparisons with a baseline's answers, judged in both orders, as Arena-Hard-Auto counts them.

An item is judged in two games (Li et al., 2024, arXiv:2406.11939). In game 0 answer A is the baseline's and answer B
the model's; game 1 is the other way round. A verdict with ``>>`` counts three times, one with ``>`` once, and a tie is
half a win that counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pydantic

from competency_gaps.evidence.interval import Estimate, mean
from competency_gaps.items.item import Item, Reason
from competency_gaps.items.scorer import Score
from competency_gaps.scoring.answer_json import Failure, after_thinking, parse
from competency_gaps.scoring.judge import (
    JudgedScorer,
    Ruling,
    ask_verdict,
    fill,
    prompt_parts,
    question_of,
    shown_reasoning,
    shown_response,
)
from competency_gaps.scoring.llm import LLMAnswer, LLMRequest
from competency_gaps.scoring.text import Length
from competency_gaps.util.errors import UserError
from competency_gaps.util.jsonl import json_lines
from competency_gaps.util.text import plural, shorten, visible

POSITION_TEST_LEVEL = 0.05
"""Level of the test of whether a judge decides by an answer's position."""


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
    """Return a verdict label as it stands in ``VERDICTS`` (``A<B`` becomes ``B>A``), or None if it is no verdict."""
    if not isinstance(label, str):
        return None
    label = "".join(label.split()).strip("[]")
    label = _OTHER_WAY.get(label, label)
    return label if label in VERDICTS else None


def model_answer(record: Mapping[str, Any]) -> str | None:
    """Return the answer's text in a record of ``model_answer``; None if there is none.

    The record's form is new (``messages``) or old (``choices``).
    """
    try:
        message = record["messages"][-1]["content"] if "messages" in record else record["choices"][0]["turns"][-1]
    except (KeyError, IndexError, TypeError):
        return None
    text = message.get("answer", message.get("content")) if isinstance(message, Mapping) else message
    return text if isinstance(text, str) else None


def score_of_games(g0: object, g1: object) -> float | None:
    """Return an item's score in [0, 1] from the labels of its games 0 and 1: the mean, weighted by ``times``.

    A game without a verdict (None, or an unknown label) is left out and the other counts alone; the score is None if
    neither has one. Arena-Hard-Auto itself leaves out the whole item if one game has no verdict.
    """
    known = [(swapped, VERDICTS[label]) for swapped, label in enumerate(map(canonical, (g0, g1))) if label is not None]
    total = sum(game.times for _, game in known)
    # In game 0 answer A is the baseline's.
    won = sum((game.first if swapped else 1 - game.first) * game.times for swapped, game in known)
    return won / total if total else None


@dataclass(frozen=True)
class Arena(JudgedScorer):
    """How often the model's answer is better than a baseline's, as Arena-Hard-Auto counts it (Li et al., 2024).

    The judge compares twice, with the baseline first and with the model first, and gives one of five verdicts; a much
    better answer counts three times. An item needs both verdicts, or with ``one_game: keep`` one.
    """

    name: ClassVar[str] = "arena"

    baseline: Path | None = None
    """The baseline's answers by item id: JSONL with ``id`` and ``response``, or a ``model_answer`` file of
    Arena-Hard-Auto."""
    criteria: str = ""
    """What else counts, in words."""
    max_new_tokens: Length = 1024
    judge_tokens: Length = 2048

    def check(self, item: Item) -> str | None:
        if self.baseline is None:
            return "'baseline' is missing: give a file of answers"
        baseline_answers(self.baseline)
        return None

    def questions(self, item: Item, response: str) -> tuple[LLMRequest, ...] | Reason:
        assert self.baseline is not None, "checked before"
        known = baseline_answers(self.baseline).get(item.id)
        other = None if known is None else after_thinking(known)  # a baseline that only thinks has no answer either
        if other is None:
            return Reason("no_baseline_answer", "the baseline has no answer to this item")
        system, user = prompt_parts("arena", 2)
        shared = {"question": question_of(item, self.prompt(item)), "criteria": self.criteria}
        games = []
        for order, (first, second) in enumerate(((other, response), (response, other))):
            answers = {"answer_a": shown_response(first), "answer_b": shown_response(second)}
            filled = fill(system.strip(), user.strip(), {**shared, **answers})
            games.append(ask_verdict(f"game{order}", filled, VERDICTS, self.judge_tokens))
        return tuple(games)

    def read(self, answer: LLMAnswer) -> Ruling | Failure:
        return parse(answer, _Game)

    def verdict(self, item: Item, response: str, answers: Sequence[LLMAnswer | None]) -> Score:
        games: list[dict[str, Any]] = []
        for answer in answers:
            ruling = None if answer is None else self.read(answer)
            if ruling is None:
                games.append({"verdict": None, "asked": False})
            elif isinstance(ruling, Failure):
                games.append({"verdict": None, "failure": ruling.reason})
            else:
                games.append({"verdict": ruling.verdict, "reasoning": shown_reasoning(ruling.reasoning)})
        details = {"games": games}
        missing = [str(game.get("failure", "not asked")) for game in games if game["verdict"] is None]
        if missing:
            why = f"{len(missing)} of 2 games have no usable verdict: {'; '.join(missing)}"
            return Score(None, response, Reason("no_verdicts", why, (len(missing),)), details)
        return Score(score_of_games(*(game["verdict"] for game in games)), response, None, details)

    def figures(
        self, items: Sequence[Item], scores: Sequence[float | None], details: Sequence[dict[str, Any] | None]
    ) -> dict[str, Any] | None:
        pairs = [detail["games"] for detail in details if detail is not None and "games" in detail]
        # Of items both of whose games were put to the judge.
        asked = [(a["verdict"], b["verdict"]) for a, b in pairs if "asked" not in a and "asked" not in b]
        return arena_figures(asked) if asked else None


class _Game(Ruling):
    """The judge's answer in one game; its verdict is brought to the form of ``VERDICTS``."""

    @pydantic.field_validator("verdict")
    @classmethod
    def _canonical(cls, value: object) -> str:
        label = canonical(value)
        if label is None:
            raise ValueError(f"{shorten(visible(str(value)), 40)!r} is none of the verdicts {', '.join(VERDICTS)}")
        return label


@lru_cache(maxsize=8)
def baseline_answers(path: Path) -> Mapping[str, str]:
    """Return the baseline's answers by item id.

    Parameters
    ----------
    path
        JSONL with ``id`` and ``response``; or Arena-Hard-Auto's ``model_answer`` file, in its new form (``uid``,
        ``messages``) or its old one (``question_id``, ``choices``).

    Raises
    ------
    UserError
        If the file is missing or empty, a line is of none of these forms, or two answers share an id and differ.
    """
    if not path.is_file():
        raise UserError(f"the baseline {str(path)!r} does not exist: expected a JSONL file of answers.")
    answers: dict[str, str] = {}
    with path.open("rb") as file:
        for line in json_lines(file):
            pair = None if line.fault is not None else _answer(line.value)
            if pair is None:
                raise UserError(
                    f"{str(path)!r}, line {line.number}: expected a JSON object with 'id' and 'response', or an answer "
                    "of Arena-Hard-Auto ('uid' and 'messages', or 'question_id' and 'choices')."
                )
            id, text = pair
            if answers.setdefault(id, text) != text:
                raise UserError(f"the baseline {str(path)!r} has two different answers for the id {id!r}: keep one.")
    if not answers:
        raise UserError(f"the baseline {str(path)!r} holds no answer.")
    return answers


def _answer(value: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the id and text of one record of a baseline, or None if it is of no known form."""
    id = next((value[key] for key in ("id", "uid", "question_id") if key in value), None)
    if id is None or isinstance(id, (dict, list)):
        return None
    known = "messages" in value or "choices" in value
    text = model_answer(value) if known else value.get("response")
    return (str(id), text) if isinstance(text, str) else None


Games = tuple[str | None, str | None]
"""The labels of an item's two games; None where a game has no usable verdict."""


def arena_figures(matches: Sequence[Games]) -> dict[str, Any]:
    """Return counts, score, agreement and the judge's bias of one benchmark.

    An item with one judged game has no score: in one order alone, a judge's preference for the first place cannot be
    told from the answer's merit.

    Parameters
    ----------
    matches
        One pair of labels per item both of whose games were put to the judge.

    Returns
    -------
    dict
        ``items`` (with a score), ``games`` (with a verdict), ``failed``
        (asked, no usable verdict), ``one_order`` (items with one judged game) and ``verdicts`` (games by label) are
        counts. ``score`` (mean of the items' scores) and ``position_bias`` (by how much the first place's share of wins
        exceeds half, a tie being half a win; from items with both games) are each ``{value, low, high}`` with a 95%
        interval over independent items, or None. ``tie_rate`` (of games with a verdict) and ``failure_rate`` (of games
        asked) are shares; ``agreement`` is the share of items with both games in which the same side wins or both are
        ties. ``by_place`` is true if the judge goes by an answer's place: the interval of ``position_bias`` excludes 0
        and :func:`goes_by_place` is true. ``summary`` puts the figures into sentences.
    """
    asked = 2 * len(matches)
    known = [label for games in matches for label in games if label is not None]
    both = [games for games in matches if None not in games]
    scores = np.asarray([score_of_games(*games) for games in both], np.float64)
    figures: dict[str, Any] = {
        "items": len(both),
        "games": len(known),
        "failed": asked - len(known),
        "one_order": sum(games.count(None) == 1 for games in matches),
        "failure_rate": (asked - len(known)) / asked if asked else None,
        "tie_rate": sum(label == "A=B" for label in known) / len(known) if known else None,
        "verdicts": {label: known.count(label) for label in VERDICTS},
        "score": _fields(mean(scores)),
        **_position(both),
    }
    figures["summary"] = _summary(figures)
    return figures


def _position(both: Sequence[Games]) -> dict[str, Any]:
    """Return ``position_bias``, ``agreement`` and ``by_place`` of :func:`arena_figures`, from items with both games."""
    first = np.asarray([[VERDICTS[str(label)].first for label in games] for games in both]).reshape(-1, 2)
    share = mean(first.mean(axis=1))
    bias = None if share is None else Estimate(*(value - 0.5 for value in share))
    # In the other order the same side wins if the first place has the opposite result.
    agreeing = first[:, 0] == 1 - first[:, 1]
    decisive = (first != 0.5).all(axis=1)
    clear = bias is not None and not bias.low <= 0 <= bias.high
    return {
        "position_bias": _fields(bias),
        "agreement": float(agreeing.mean()) if len(first) else None,
        "by_place": clear and goes_by_place(int(agreeing[decisive].sum()), int(decisive.sum())),
    }


def goes_by_place(agreeing: int, items: int) -> bool:
    """Return whether a judge's two orders agree on fewer items than a coin's would: it goes by an answer's place.

    A one-sided binomial test at ``POSITION_TEST_LEVEL``.

    Parameters
    ----------
    agreeing
        Number of items in both of whose games the same side wins.
    items
        Number of items with a win in both games. Ties do not count: a coin that ties often agrees less often as well.
    """
    from scipy.stats import binomtest  # takes a second to import

    return bool(items and binomtest(agreeing, items, 0.5, alternative="less").pvalue <= POSITION_TEST_LEVEL)


def _fields(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else estimate._asdict()


def _summary(figures: dict[str, Any]) -> list[Reason]:
    """Return the figures as sentences, each a Reason with its numbers."""
    lines = []
    items, failed, one_order = (figures[name] for name in ("items", "failed", "one_order"))
    if not items:
        text = f"no item has a score; {plural(failed, 'game')} without a usable verdict"
        lines.append(Reason("arena_none", text, (failed,)))
    else:
        text = f"score {_shown(figures['score'])} over {plural(items, 'item')}"
        lines.append(Reason("arena_score", text, (*figures["score"].values(), items)))
        ties, failures = figures["tie_rate"], figures["failure_rate"]
        text = f"ties {ties:.1%} of {plural(figures['games'], 'game')}, without a usable verdict {failures:.1%}"
        lines.append(Reason("arena_ties", text, (ties, figures["games"], failures)))
    if one_order:
        text = f"{plural(one_order, 'item')} with a verdict in only one order, left out"
        lines.append(Reason("arena_one_order", text, (one_order,)))
    if items:
        bias, agreement = figures["position_bias"], figures["agreement"]
        text = f"position bias {_shown(bias, '+.3f')} (0: none); both orders agree on {agreement:.0%} of"
        numbers = (*bias.values(), agreement, items)
        lines.append(Reason("arena_position", f"{text} {plural(items, 'item')}", numbers))
    return lines


def _shown(estimate: dict[str, float], form: str = ".3f") -> str:
    value, low, high = (format(number, form) for number in estimate.values())
    return f"{value} [{low}, {high}]"
