"""A policy whose scores come from a judge."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from competency_gaps.items.item import Item, Reason
from competency_gaps.items.policy import Generation, Output, Policy, Request, Score

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
        return Score(
            None,
            item.response if item.response is not None else output.text,
            Reason("not_judged", "no judge was asked"),
        )

    @property
    def classifier(self) -> str | None:
        """Name or folder of a classifier that is used instead of a language model; None: there is none."""
        return None

    @abstractmethod
    def questions(self, item: Item, response: str) -> tuple[Question, ...]:
        """Questions to the judge about a response; their ids differ within an item. Empty: there is nothing to ask."""

    def unasked(self, item: Item) -> Reason | None:
        """Why nothing is asked about an item; None: something is asked, or the response needs no question."""
        return None

    def unjudged(self, item: Item, response: str, why: Reason) -> Score | None:
        """Score where the judge was not asked; None: the item keeps the score that it has."""
        return Score(None, response, why)

    @abstractmethod
    def read(self, answer: Answer) -> Any | Failure:
        """Read one answer of the judge; a Failure says why it cannot be used."""

    def verdict(self, item: Item, response: str, answers: Sequence[Answer | None]) -> Score:
        """Score an item from the judge's answers to its questions, in their order; a policy of one question has
        :meth:`scored` instead.

        Parameters
        ----------
        answers
            At least one is not None; None: this question was not asked.
        """
        from competency_gaps.endpoint import Failure

        (answer,) = answers
        assert answer is not None
        verdict = self.read(answer)
        if isinstance(verdict, Failure):
            return Score(
                None, response, Reason("answer_unusable", f"the judge's answer cannot be used: {verdict.reason}")
            )
        return self.scored(response, verdict)

    def scored(self, response: str, verdict: Any) -> Score:
        """Score a response from what :meth:`read` gives for the answer to the only question."""
        raise NotImplementedError
