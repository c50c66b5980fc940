"""What requests may cost: an estimate beforehand, and a cap that is kept while they are asked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from competency_gaps.config.asking import Structured
from competency_gaps.endpoint.answers import AnswerStore
from competency_gaps.endpoint.request import Request

CHARACTERS_PER_TOKEN = 3
"""Common tokenizers make fewer tokens of European texts and code, about one per four characters [ours]."""
TEMPLATE_TOKENS = 40
"""Tokens that a chat template adds to a request, in the estimate [ours]."""
MOST_TEMPLATE_TOKENS = 200
"""The same, as an upper bound for the cap [ours]."""


@dataclass(frozen=True)
class Prices:
    """Prices of an endpoint, in any money."""

    input: float
    """Per million prompt tokens; 0 or more."""
    output: float
    """Per million answer tokens; 0 or more."""

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Money for these tokens."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


@dataclass(frozen=True)
class Cap:
    """Most that one run of :func:`~competency_gaps.endpoint.ask` may use; what earlier runs used does not count.

    It holds as long as the endpoint keeps to ``max_tokens``; if it counts more, nothing is sent after that is known.
    """

    max_tokens: int | None = None
    """Prompt and answer tokens together; None: no limit."""
    max_cost: float | None = None
    """In the money of the prices; None: no limit."""


@dataclass(frozen=True)
class CostEstimate:
    """Upper estimate of what requests will use."""

    requests: int
    """All requests."""
    already_answered: int
    """Of these, how many are not asked: their answer is kept, or an equal request is among the others."""
    prompt_tokens: int
    """Upper guess for those to ask: characters / 3 + 40 a request. Texts in scripts with many tokens a character can
    exceed it; the cap counts with a stricter bound."""
    completion_tokens: int
    """Upper bound for those to ask: their ``max_tokens``."""
    cost: float | None
    """Of both together, in the money of the prices; None: no prices known."""

    def sentence(self) -> str:
        """The estimate on one line."""
        to_ask = self.requests - self.already_answered
        if not to_ask:
            return f"All {self.requests:,} requests are answered already: nothing is asked and nothing is spent."
        kept = f" ({self.already_answered:,} of {self.requests:,} need not be asked)" if self.already_answered else ""
        noun = "request" if to_ask == 1 else "requests"
        cost = "cost unknown without prices" if self.cost is None else f"at most about {_money(self.cost)}"
        return (
            f"{to_ask:,} {noun} to ask{kept}: about {self.prompt_tokens:,} prompt tokens or fewer (guessed from above "
            f"as characters / {CHARACTERS_PER_TOKEN}), at most {self.completion_tokens:,} answer tokens; {cost}."
        )


def estimate(
    requests: Iterable[Request],
    model: str,
    store: AnswerStore | None = None,
    prices: Prices | None = None,
    structured: Structured = "json_schema",
) -> CostEstimate:
    """Estimate from above what these requests use, without sending any.

    Parameters
    ----------
    requests
        Gone through once.
    model
        Name of the model at the endpoint.
    store
        Answers that are kept; None: none.
    prices
        None: the cost is not known.
    structured
        How the endpoint is asked for JSON.
    """
    total = answered = prompt = completion = 0
    seen: set[str] = set()
    for request in requests:
        total += 1
        key = request.key(model)
        if key in seen or (store is not None and store.get(key) is not None):
            answered += 1
            continue
        seen.add(key)
        prompt += prompt_guess(request.body(model, structured))
        completion += request.max_tokens
    cost = None if prices is None else prices.cost(prompt, completion)
    return CostEstimate(total, answered, prompt, completion, cost)


def prompt_guess(body: dict[str, Any]) -> int:
    """Upper guess of a request's prompt tokens: characters / 3 + 40 [ours]."""
    return math.ceil(len(_prompt(body)) / CHARACTERS_PER_TOKEN) + TEMPLATE_TOKENS


def prompt_bound(body: dict[str, Any]) -> int:
    """Upper bound of a request's prompt tokens: its bytes in UTF-8 + 200.

    Tokenizers that work on bytes, or fall back to them, make at most one token of a byte.
    """
    return len(_prompt(body).encode("utf-8", "replace")) + MOST_TEMPLATE_TOKENS


class Use(NamedTuple):
    """Tokens that are used or may be."""

    prompt: int
    """Tokens of the prompt, 0 or more."""
    completion: int
    """Tokens of the answer, 0 or more."""


class Meter:
    """Counts what is used and what is in flight, and says whether one more request fits under the cap.

    A cap on the cost counts only with prices.
    """

    def __init__(self, cap: Cap | None, prices: Prices | None) -> None:
        self.cap = cap or Cap()
        self.prices = prices
        self.used = Use(0, 0)
        self._reserved = Use(0, 0)
        self._in_flight = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight, so that waiting frees nothing."""
        return self._in_flight == 0

    @property
    def cost(self) -> float | None:
        """Money used; None: no prices known."""
        return None if self.prices is None else self.prices.cost(*self.used)

    def reserve(self, bound: Use) -> bool:
        """Set the most a request may use aside; false, and nothing is set aside, if it does not fit."""
        total = _add(_add(self.used, self._reserved), bound)
        if self.cap.max_tokens is not None and sum(total) > self.cap.max_tokens:
            return False
        if self.cap.max_cost is not None and self.prices is not None and self.prices.cost(*total) > self.cap.max_cost:
            return False
        self._reserved = _add(self._reserved, bound)
        self._in_flight += 1
        return True

    def settle(self, bound: Use, used: Use) -> None:
        """Count what a request did use in place of what was set aside for it."""
        self._reserved = Use(self._reserved.prompt - bound.prompt, self._reserved.completion - bound.completion)
        self._in_flight -= 1
        self.used = _add(self.used, used)

    def text(self) -> str:
        """What is used, in a few words."""
        tokens = f"{sum(self.used):,} tokens"
        return tokens if self.cost is None else f"{tokens}, {_money(self.cost)}"


def _add(first: Use, second: Use) -> Use:
    return Use(first.prompt + second.prompt, first.completion + second.completion)


def _prompt(body: dict[str, Any]) -> str:
    shape = body.get("response_format")
    texts = [message["content"] for message in body["messages"]]
    return "".join(texts) + ("" if shape is None else json.dumps(shape, ensure_ascii=False))


def _money(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 or value == 0 else f"{value:.2g}" if value >= 1e-4 else f"{value:.1e}"
