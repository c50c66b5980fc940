"""Scores that need no comparison: ready-made ones, and none at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from competency_gaps.items.item import Item, Reason
from competency_gaps.items.policy import Generation, Output, Policy, Request, Score
from competency_gaps.scoring.text import Length


@dataclass(frozen=True)
class Imported(Policy):
    """The score and response that came with the item; an item without a score is unscored."""

    name: ClassVar[str] = "imported"

    def request(self, item: Item) -> Request:
        return None

    def score(self, item: Item, output: Output) -> Score:
        return Score(
            item.score,
            item.response,
            None if item.score is not None else Reason("source_no_score", "the source gives no score"),
        )


@dataclass(frozen=True)
class Unscored(Policy):
    """No score: the items count for coverage only."""

    name: ClassVar[str] = "none"

    max_new_tokens: Length | None = None
    """Most tokens of an answer that is generated anyway; None: none is generated."""

    def request(self, item: Item) -> Request:
        return Generation(self.max_new_tokens) if self.max_new_tokens else None

    def score(self, item: Item, output: Output) -> Score:
        return Score(None, output.text or item.response, Reason("scores_nothing", "the policy 'none' scores nothing"))
