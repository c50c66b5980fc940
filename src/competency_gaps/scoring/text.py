"""Shared by the policies on generated text: accepted answers, and the part of a text that is the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from competency_gaps.items.item import Item
from competency_gaps.items.policy import Generation, Policy, Request

Length = Annotated[int, Field(gt=0)]
"""Number of new tokens."""

NEXT_QUESTION = ("\nQuestion:", "\nQ:", "\nProblem:")
"""Stop strings for models without a chat format, which go on to invent the next question. An empty line does not end an
answer with reasoning."""


@dataclass(frozen=True)
class GenerationPolicy(Policy):
    """A policy that scores a generated text."""

    max_new_tokens: Length = 64
    """Longest answer in tokens."""
    stop: tuple[str, ...] = ("\n\n",)
    """The answer ends before the first of these."""

    @property
    def default_after(self) -> str:
        return "\nAnswer:"

    def request(self, item: Item) -> Request:
        return Generation(self.max_new_tokens, self.stop)


def accepted(answer: Any) -> tuple[str, ...]:
    """The accepted answers: a text or number by itself, or a list of them; empty where there is none."""
    answers = answer if isinstance(answer, (list, tuple)) else [answer]
    return tuple(str(gold) for gold in answers if gold is not None and str(gold).strip())


def missing_answer(item: Item) -> str | None:
    """Why an item's answer is no text or list of texts; None if it is one."""
    answers = item.answer if isinstance(item.answer, (list, tuple)) else [item.answer]
    if any(not isinstance(gold, (str, int, float)) and gold is not None for gold in answers):
        return f"the answer {item.answer!r} is no text or list of texts"
    return None if accepted(item.answer) else "there is no answer to compare with"


def first_line(text: str) -> str:
    """The first line that is not empty, without white space around it; empty if there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def after_answer(text: str) -> str:
    """What follows the last ``Answer:``, or the whole text where that does not occur."""
    return re.split(r"answer\s*:", text, flags=re.IGNORECASE)[-1]
