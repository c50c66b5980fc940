"""What a scoring policy is: what it asks of the model, and a pure function from the output to a score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from competency_gaps.items.item import Item


@dataclass(frozen=True)
class Continuations:
    """Ask for the log-likelihood of each text as a continuation of the prompt."""

    texts: tuple[str, ...]
    contexts: tuple[str | None, ...] = ()
    """Per text, what it continues instead of the prompt (``""``: nothing at all); null: the prompt. Empty: all
    continue the prompt."""
    verbatim: bool = False
    """The texts are put behind the prompt as they are, and tokenised with it as lm-evaluation-harness does: blanks
    at the prompt's end go to the text, and the text's tokens are those of both together after as many as the prompt
    alone has."""


@dataclass(frozen=True)
class Sentences:
    """Ask for the log-likelihood of each whole text by itself, without the prompt."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Generation:
    """Ask for an answer in words."""

    max_new_tokens: int
    stop: tuple[str, ...] = ()
    """The answer ends before the first of these."""
    stop_at_once: bool = False
    """A stop string ends the answer even where nothing but blanks stands before it."""
    greedy: bool = False
    """The likeliest token each time, whatever the run's settings say."""


Request = Continuations | Sentences | Generation | None
"""What a policy asks of the model; null: nothing, the score does not depend on a new output."""


@dataclass(frozen=True)
class Output:
    """What the model answered to a request."""

    logprobs: tuple[float, ...] = ()
    """Per text of the request: summed log-probability (natural logarithm, <= 0)."""
    tokens: tuple[int, ...] = ()
    """Per text of the request: number of tokens that ``logprobs`` sums over."""
    token_logprobs: tuple[tuple[float, ...], ...] = ()
    """Per text of the request: the log-probability of each of these tokens."""
    greedy: tuple[bool, ...] = ()
    """Per text of the request: whether each of its tokens is the likeliest one at its place."""
    text: str = ""
    """The generated answer, without the prompt and the stop string."""


class Score(NamedTuple):
    """The result of scoring one item."""

    value: float | None
    """In [0, 1]; null = unscored."""
    response: str | None = None
    """What the model answered, in words: the chosen option, or the generated text."""
    note: str | None = None
    """Why the item is unscored."""
    details: dict[str, Any] | None = None
    """What else the policy says of the item, as plain JSON: other metrics of its harness, a judge's verdicts; null:
    nothing."""


class Policy(ABC):
    """A way to score items. Instances are frozen dataclasses whose fields are the policy's options."""

    name: ClassVar[str]
    """The word in configurations and in ``items.parquet``."""
    as_plain_text: ClassVar[bool] = False
    """A chat that a template made is tokenised like any other text, as another harness does: the tokenizer's own first
    token is put before it unless it begins so, and system messages are left out where the template refuses them."""

    def check(self, item: Item) -> str | None:
        """Say what this policy misses or finds wrong in an item; null if it can score it."""
        return None

    def fingerprint(self) -> str:
        """What beyond the run's configuration and the items can change its scores; empty: nothing."""
        return ""

    def prompt(self, item: Item) -> str:
        """The item's own text as the model reads it (lettered options belong to it)."""
        return item.prompt

    @property
    def default_after(self) -> str:
        """What follows the own text in an untemplated prompt, unless the benchmark says otherwise."""
        return ""

    @abstractmethod
    def request(self, item: Item) -> Request:
        """What to ask of the model."""

    @abstractmethod
    def score(self, item: Item, output: Output) -> Score:
        """Score one item from the model's output. Pure: the same arguments give the same score."""

    def figures(
        self, items: Sequence[Item], scores: Sequence[float | None], details: Sequence[dict[str, Any] | None]
    ) -> dict[str, Any] | None:
        """Results of a whole benchmark beyond the mean score, as plain JSON; null: there are none.

        Parameters
        ----------
        items, scores, details
            Of the benchmark's items that this policy scored and that are not excluded; a score of null is unscored.

        Returns
        -------
        dict or None
            Its ``summary`` is a list of short lines for people.
        """
        return None
