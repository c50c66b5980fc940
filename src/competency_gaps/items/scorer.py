"""The scorer's interface: a request to the model, and a pure function from its output to a score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from competency_gaps.items.item import Item, Reason
from competency_gaps.items.options import asked


@dataclass(frozen=True)
class Continuations:
    """Request the log-likelihood of each text as a continuation of the prompt."""

    texts: tuple[str, ...]
    verbatim: bool = False
    """Append the texts unchanged and tokenise them as lm-evaluation-harness does: trailing blanks of the prompt go to
    the text, and the text's tokens are those of the whole beyond the number that the prompt alone has."""


@dataclass(frozen=True)
class Sentences:
    """Request the log-likelihood of each whole text, without the prompt."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Generation:
    """Request a generated answer."""

    max_new_tokens: int
    stop: tuple[str, ...] = ()
    """Stop strings: the answer ends before the first of these."""


Request = Continuations | Sentences | Generation | None
"""What a scorer requests from the model; None: nothing, the score needs no new output."""


@dataclass(frozen=True)
class Output:
    """The model's answer to a request."""

    logprobs: tuple[float, ...] = ()
    """Per text of the request: summed log-probability (natural logarithm, <= 0)."""
    tokens: tuple[int, ...] = ()
    """Per text of the request: number of tokens summed in ``logprobs``."""
    greedy: tuple[bool, ...] = ()
    """Per text of the request: whether greedy decoding would generate it."""
    text: str = ""
    """The generated answer, without the prompt and the stop string."""


class Score(NamedTuple):
    """The result of scoring one item."""

    value: float | None
    """In [0, 1]; None = unscored."""
    response: str | None = None
    """The model's answer as text: the chosen option, or the generated text."""
    unscored: Reason | None = None
    """Why the item is unscored."""
    details: dict[str, Any] | None = None
    """Further results as plain JSON, such as a judge's verdicts; None: none."""


class Scorer(ABC):
    """The interface of scorers. Instances are frozen dataclasses whose fields are the scorer's options."""

    name: ClassVar[str]
    """The scorer's name in configurations and in ``items.parquet``."""
    default_after: ClassVar[str] = ""
    """Text after the item's body in an untemplated prompt, unless the benchmark configures it."""

    def check(self, item: Item) -> str | None:
        """Return what is missing or wrong in an item for this scorer, in words; None if it can be scored."""
        return None

    def prompt(self, item: Item) -> str:
        """Return the item's own text as the model reads it, lettered options included."""
        return asked(item.prompt, item.choices)

    @abstractmethod
    def request(self, item: Item) -> Request:
        """Return what the model is asked for; None if the score needs no new output."""

    @abstractmethod
    def score(self, item: Item, output: Output) -> Score:
        """Return an item's score from the model's output. Pure: the same arguments give the same score."""

    def figures(
        self, items: Sequence[Item], scores: Sequence[float | None], details: Sequence[dict[str, Any] | None]
    ) -> dict[str, Any] | None:
        """Return results of a whole benchmark beyond the mean score, as plain JSON; None if there are none.

        Parameters
        ----------
        items, scores, details
            The benchmark's items under this scorer that are not excluded, their scores (None: unscored) and the
            ``details`` of their scores, in the same order.

        Returns
        -------
        dict or None
            ``summary`` is a list of :class:`Reason` for people, a line each.
        """
        return None
