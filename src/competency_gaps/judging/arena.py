"""Answers that a language model compares with a baseline's, in both orders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pydantic

from competency_gaps.endpoint.parse import Failure, after_thinking, parse
from competency_gaps.endpoint.request import Answer, Request
from competency_gaps.items.item import Item, Reason
from competency_gaps.items.policy import Score
from competency_gaps.judging.arena_figures import Match, OneGame, arena_figures
from competency_gaps.judging.baseline import baseline_answers
from competency_gaps.judging.policy import JudgedPolicy
from competency_gaps.judging.prompting import (
    fill,
    load_prompt,
    question_of,
    rubric_text,
    schema_of,
    shown_reasoning,
    shown_response,
)
from competency_gaps.judging.style import Style, style_of
from competency_gaps.judging.verdicts import VERDICTS, canonical, score_of_games
from competency_gaps.scoring.text import Length
from competency_gaps.text import shorten, visible

_BRACKETS = re.compile(r"\[\[([AB<>=\s]+)\]\]")
_NEEDED = ("question", "answer_a", "answer_b")


class Ruling(pydantic.BaseModel):
    """A judge's answer about one game."""

    model_config = pydantic.ConfigDict(extra="ignore")
    reasoning: str | None = None
    verdict: str
    """One of the five verdicts."""

    @pydantic.field_validator("verdict")
    @classmethod
    def _canonical(cls, value: str) -> str:
        label = canonical(value)
        if label is None:
            raise ValueError(f"{shorten(visible(value), 40)!r} is none of the verdicts {', '.join(VERDICTS)}")
        return label


class _Reasoned(Ruling):
    reasoning: str


@dataclass(frozen=True)
class Arena(JudgedPolicy):
    """How often the model's answer is better than a baseline's, as Arena-Hard-Auto counts it (Li et al., 2024).

    The judge compares twice, with the baseline first and with the model first, and gives one of five verdicts; a much
    better answer counts three times. An item needs both verdicts, or with ``one_game: keep`` one.
    """

    name: ClassVar[str] = "arena"

    baseline: Path | None = None
    """The baseline's answers by item id: JSONL with ``id`` and ``response``, a ``model_answer`` file of
    Arena-Hard-Auto, or a run folder."""
    baseline_benchmark: str | None = None
    """Which benchmark of a run folder."""
    form: Literal["json", "brackets"] = "json"
    """How the judge gives its verdict: as a JSON object, or as ``[[A>B]]`` in free text (for Arena-Hard's own prompt;
    two different ones in a text are none)."""
    rubric: str | None = None
    """What else counts, in words."""
    rubric_file: Path | None = None
    """The same in a file."""
    prompt_file: Path | None = None
    """A prompt of your own with the places ``{question}``, ``{answer_a}`` and ``{answer_b}``, and where wanted
    ``{rubric}`` and ``{mark}``."""
    reasoning: bool = True
    """Whether the judge writes down its reasons before the verdict (``form: json``)."""
    style: bool = False
    """Also report the win rate at equal length and equal use of headers, lists and bold letters."""
    one_game: OneGame = "leave_out"
    """An item with a usable verdict in one order alone: ``leave_out`` (unscored, as Arena-Hard-Auto does, since a judge
    may favour a place) or ``keep`` (that game alone is its score)."""
    max_new_tokens: Length = 1024
    judge_tokens: Length = 2048

    def check(self, item: Item) -> str | None:
        if self.baseline is None:
            return "there is no 'baseline': give a file of answers or a run folder"
        if self.rubric is not None and self.rubric_file is not None:
            return "both 'rubric' and 'rubric_file' are given, expected one"
        baseline_answers(self.baseline, self.baseline_benchmark)
        load_prompt("arena", self.prompt_file, _NEEDED)
        rubric_text(self.rubric, self.rubric_file, "")
        return None

    def questions(self, item: Item, response: str) -> tuple[Request, ...]:
        other = self._other(item)
        if other is None:
            return ()
        prompt = load_prompt("arena", self.prompt_file, _NEEDED)
        shared = {
            "question": question_of(item, self.prompt(item)),
            "rubric": rubric_text(self.rubric, self.rubric_file, ""),
        }
        schema = schema_of({"verdict": {"type": "string", "enum": list(VERDICTS)}}, self.reasoning)
        games = []
        for place, (first, second) in enumerate(((other, response), (response, other))):
            filled = fill(prompt, {**shared, "answer_a": shown_response(first), "answer_b": shown_response(second)})
            wanted = schema if self.form == "json" else None
            games.append(Request(f"game{place}", *filled, wanted, "verdict", self.judge_tokens))
        return tuple(games)

    def unasked(self, item: Item) -> Reason | None:
        return (
            Reason("no_baseline_answer", "the baseline has no answer to this item")
            if self._other(item) is None
            else None
        )

    def read(self, answer: Answer) -> Ruling | Failure:
        if self.form == "brackets":
            return _in_brackets(answer)
        return parse(answer, _Reasoned if self.reasoning else Ruling, agree=True)

    def verdict(self, item: Item, response: str, answers: Sequence[Answer | None]) -> Score:
        rulings = [None if answer is None else self.read(answer) for answer in answers]
        labels = [ruling.verdict if isinstance(ruling, Ruling) else None for ruling in rulings]
        other = self._other(item) or ""
        details: dict[str, Any] = {
            "games": [
                {"verdict": ruling.verdict, "reasoning": shown_reasoning(ruling.reasoning)}
                if isinstance(ruling, Ruling)
                else {"verdict": None, "failure": ruling.reason}
                if ruling is not None
                else {"verdict": None, "asked": False}
                for ruling in rulings
            ],
            "style": {"model": list(style_of(response)), "baseline": list(style_of(other))},
        }
        missing = [str(game.get("failure", "not asked")) for game in details["games"] if game["verdict"] is None]
        if not _match(details).counts(self.one_game):
            return Score(
                None,
                response,
                Reason(
                    "no_verdicts",
                    f"{len(missing)} of 2 games without a usable verdict: {'; '.join(missing)}",
                    (len(missing),),
                ),
                details,
            )
        return Score(score_of_games(*labels), response, None, details)

    def figures(
        self, items: Sequence[Item], scores: Sequence[float | None], details: Sequence[dict[str, Any] | None]
    ) -> dict[str, Any] | None:
        matches = [_match(detail) for detail in details if detail is not None and "games" in detail]
        return arena_figures(matches, style=self.style, one_game=self.one_game) if matches else None

    def _other(self, item: Item) -> str | None:
        if self.baseline is None:
            raise ValueError("an arena without a baseline")
        known = baseline_answers(self.baseline, self.baseline_benchmark).get(item.id)
        # A baseline that only thinks has no answer either.
        return None if known is None else after_thinking(known)


def _match(detail: dict[str, Any]) -> Match:
    first, second = (game["verdict"] for game in detail["games"])
    style = detail["style"]
    asked = [game.get("asked", True) for game in detail["games"]]
    return Match((first, second), Style(*style["model"]), Style(*style["baseline"]), (asked[0], asked[1]))


def _in_brackets(answer: Answer) -> Ruling | Failure:
    """The only verdict in double brackets, as Arena-Hard-Auto reads it."""
    if answer.error is not None:
        return Failure(shorten(visible(f"no answer: {answer.error}"), 300))
    if answer.refusal is not None:
        return Failure(shorten(visible(f"refused: {answer.refusal}"), 300))
    if answer.finish == "length":
        return Failure("cut off at max_tokens, so that another verdict may have followed")
    text = after_thinking(answer.text or "")
    if text is None:
        return Failure("cut off inside the model's thinking")
    labels = {label for mark in _BRACKETS.findall(text) if (label := canonical(mark)) is not None}
    if len(labels) != 1:
        return Failure(f"{len(labels)} different verdicts in double brackets, expected one")
    return Ruling(verdict=labels.pop())
