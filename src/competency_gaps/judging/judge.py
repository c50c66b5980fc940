"""Answers that a language model grades by a rubric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pydantic

from competency_gaps.endpoint.parse import Failure, parse
from competency_gaps.endpoint.request import Answer, Request
from competency_gaps.evidence.interval import mean
from competency_gaps.items.item import Item, Reason
from competency_gaps.items.policy import Score
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
from competency_gaps.scoring.text import accepted
from competency_gaps.text import plural

RUBRIC = (
    "The best grade is for an answer that is right, does all that was asked, and holds nothing false or needless. "
    "The worst is for one that is wrong, off the point or empty. Where there is a reference, an answer is right if it "
    "agrees with it in substance."
)
"""The default rubric."""


class Grade(pydantic.BaseModel):
    """A judge's answer."""

    model_config = pydantic.ConfigDict(extra="ignore")
    reasoning: str | None = None
    grade: pydantic.StrictInt


class _Reasoned(Grade):
    reasoning: str


@dataclass(frozen=True)
class Judge(JudgedPolicy):
    """A judge's grade, from ``lowest`` to ``highest``, mapped onto [0, 1].

    An answer of the judge that cannot be read, or a grade outside the scale, leaves the item unscored.
    """

    name: ClassVar[str] = "judge"

    rubric: str | None = None
    """How to grade, in words; None: right, complete and without anything needless."""
    rubric_file: Path | None = None
    """The same in a file."""
    lowest: int = 1
    """The worst grade. With 0 and 1 the judge says wrong or right."""
    highest: int = 10
    reasoning: bool = True
    """Whether the judge writes down its reasons before the grade."""
    reference: bool = True
    """Whether the judge sees the item's answer, if it has one."""
    prompt_file: Path | None = None
    """A prompt of your own with the places ``{question}`` and ``{response}``, and where wanted ``{reference}``,
    ``{rubric}``, ``{lowest}``, ``{highest}`` and ``{mark}``."""

    def check(self, item: Item) -> str | None:
        if not self.lowest < self.highest <= self.lowest + 100:
            return f"the grades go from {self.lowest} to {self.highest}, expected a rising scale of at most 101 grades"
        if self.rubric is not None and self.rubric_file is not None:
            return "both 'rubric' and 'rubric_file' are given, expected one"
        load_prompt("judge", self.prompt_file, ("question", "response"))
        self._rubric()
        return None

    def questions(self, item: Item, response: str) -> tuple[Request, ...]:
        references = accepted(item.answer) if self.reference else ()
        prompt = load_prompt("judge", self.prompt_file, ("question", "response"))
        filled = fill(
            prompt,
            {
                "question": question_of(item, self.prompt(item)),
                "response": shown_response(response),
                "reference": "\nor: ".join(references) if references else "(There is no reference answer.)",
                "rubric": self._rubric(),
                "lowest": str(self.lowest),
                "highest": str(self.highest),
            },
        )
        grades = {"type": "integer", "enum": list(range(self.lowest, self.highest + 1))}
        return (Request("grade", *filled, schema_of({"grade": grades}, self.reasoning), "grade", self.judge_tokens),)

    def read(self, answer: Answer) -> Grade | Failure:
        grade: Grade | Failure = parse(answer, _Reasoned if self.reasoning else Grade, agree=True)
        if isinstance(grade, Grade) and not self.lowest <= grade.grade <= self.highest:
            return Failure(f"the grade {grade.grade} is not between {self.lowest} and {self.highest}")
        return grade

    def scored(self, response: str, verdict: Grade) -> Score:
        details = {"grade": verdict.grade, "reasoning": shown_reasoning(verdict.reasoning)}
        return Score((verdict.grade - self.lowest) / (self.highest - self.lowest), response, None, details)

    def figures(
        self, items: Sequence[Item], scores: Sequence[float | None], details: Sequence[dict[str, Any] | None]
    ) -> dict[str, Any] | None:
        estimate = mean(np.asarray([score for score in scores if score is not None]))
        if estimate is None:
            return None
        grades = [detail["grade"] for detail in details if detail is not None]
        counts = {str(grade): grades.count(grade) for grade in sorted(set(grades))}
        value, low, high = estimate
        text = f"score {value:.3f} [{low:.3f}, {high:.3f}] over {plural(len(grades), 'item')}"
        summary = [Reason("judge_score", text, (*estimate, len(grades)))]
        return {"items": len(grades), "score": estimate.as_dict(), "grades": counts, "summary": summary}

    def _rubric(self) -> str:
        return rubric_text(self.rubric, self.rubric_file, RUBRIC)
