"""A policy whose scores come from a judge."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from competency_gaps.items.item import Item
from competency_gaps.items.policy import Generation, Output, Policy, Request, Score
from competency_gaps.items.remark import Remark

if TYPE_CHECKING:
    from competency_gaps.endpoint import Answer, Failure
    from competency_gaps.endpoint import Request as Question


@dataclass(frozen=True)
class JudgedPolicy(Policy):
    """A policy whose scores come after the model's answers, from a judge: a language model or a classifier.

    An item that brings a ready-made response is judged on that, and the model is not asked.
    """

    max_new_tokens: Annotated[int, Field(gt=0)] = 512
    """Longest answer of the model in tokens."""
    stop: tuple[str, ...] = ()
    """The model's answer ends before the first of these."""
    judge_tokens: Annotated[int, Field(gt=0)] = 1024
    """Longest answer of the judge in tokens."""

    def request(self, item: Item) -> Request:
        return Generation(self.max_new_tokens, self.stop) if item.response is None else None

    def score(self, item: Item, output: Output) -> Score:
        return Score(None, item.response if item.response is not None else output.text, Remark("not_judged"))

    @property
    def classifier(self) -> str | None:
        """A classifier, by its name or folder, that is asked instead of a language model; None: none."""
        return None

    @abstractmethod
    def questions(self, item: Item, response: str) -> tuple[Question, ...]:
        """What to ask the judge of a response; the ids tell the questions of one item apart. Empty: nothing."""

    def unasked(self, item: Item) -> Remark | None:
        """Why there is no question about an item; None: there is one, or the response needs none."""
        return None

    def unjudged(self, item: Item, response: str, why: Remark) -> Score | None:
        """The score where the judge was not asked; None: the one that the item has already."""
        return Score(None, response, why)

    @abstractmethod
    def read(self, answer: Answer) -> Any | Failure:
        """What one answer of the judge says, or why it cannot be used."""

    @abstractmethod
    def verdict(self, item: Item, response: str, answers: Sequence[Answer | None]) -> Score:
        """Score one item from the judge's answers to its questions, in their order. Pure.

        Parameters
        ----------
        answers
            At least one is not None; None: this question was not asked.
        """
