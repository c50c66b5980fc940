"""Answers that a language model compares with a baseline's, in both orders, as Arena-Hard-Auto does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import pydantic

from competency_gaps.items.item import Item, Reason
from competency_gaps.items.scorer import Score
from competency_gaps.scoring.answer_json import Failure, after_thinking, parse
from competency_gaps.scoring.arena_figures import arena_figures
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
from competency_gaps.scoring.llm import Answer, Request
from competency_gaps.scoring.text import Length
from competency_gaps.scoring.verdicts import VERDICTS, canonical, model_answer, score_of_games
from competency_gaps.util.errors import UserError
from competency_gaps.util.jsonl import json_lines
from competency_gaps.util.text import shorten, visible


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

    def questions(self, item: Item, response: str) -> tuple[Request, ...] | Reason:
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

    def read(self, answer: Answer) -> Ruling | Failure:
        return parse(answer, _Game)

    def verdict(self, item: Item, response: str, answers: Sequence[Answer | None]) -> Score:
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
    """A ruling whose verdict is one of the five, whatever way it is written."""

    @pydantic.field_validator("verdict")
    @classmethod
    def _canonical(cls, value: object) -> str:
        label = canonical(value)
        if label is None:
            raise ValueError(f"{shorten(visible(str(value)), 40)!r} is none of the verdicts {', '.join(VERDICTS)}")
        return label


@lru_cache(maxsize=8)
def baseline_answers(path: Path) -> Mapping[str, str]:
    """Answers by item id.

    Parameters
    ----------
    path
        JSONL with ``id`` and ``response``; or Arena-Hard-Auto's ``model_answer`` file, in its new form (``uid``,
        ``messages``) or its old one (``question_id``, ``choices``).

    Raises
    ------
    UserError
        If nothing is there, a line is of none of these forms, or two answers share an id and differ.
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
    id = next((value[key] for key in ("id", "uid", "question_id") if key in value), None)
    if id is None or isinstance(id, (dict, list)):
        return None
    known = "messages" in value or "choices" in value
    text = model_answer(value) if known else value.get("response")
    return (str(id), text) if isinstance(text, str) else None
