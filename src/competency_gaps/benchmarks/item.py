"""An item of a benchmark, and a benchmark: what every source makes and every later stage reads."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from competency_gaps.model.prompts import Message


@dataclass(frozen=True)
class Item:
    """One question of a benchmark."""

    id: str
    """Unique inside its benchmark."""
    prompt: str
    """The item's own text, without the answer and, where there are ``choices``, without the options.
    With ``messages``: the content of the last user message."""
    messages: tuple[Message, ...] | None = None
    """Chat messages that the model reads instead of the bare prompt; the last user message holds ``prompt``."""
    choices: tuple[str, ...] | None = None
    """The options without letters."""
    answer: Any = None
    """What the scoring policy expects: ``choice`` a 0-based index, ``exact`` a text or list of texts,
    ``numeric`` and ``math`` a text, others as their policy says; null where none is needed."""
    group: str | None = None
    """Sub-topic of the source."""
    policy: str | None = None
    """Scoring policy that the source names for this item; null takes the benchmark's."""
    score: float | None = None
    """Ready-made score in [0, 1]; null = unscored."""
    response: str | None = None
    """Ready-made response of the model, if the source has one."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What a policy needs beyond the answer (a pair of sentences, a verifier's entry)."""
    epochs: int = 1
    """Times that the item was asked; ``score`` is the mean over them."""


@dataclass(frozen=True)
class LeftOut:
    """A record that a source gave but that became no item."""

    where: str
    """File and line, or the record's id."""
    reason: str


@dataclass(frozen=True)
class Benchmark:
    """Items that belong together, in the source's order."""

    name: str
    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...] = ()

    def content_hash(self) -> str:
        """SHA-256 of everything in the items that can change a result."""
        digest = hashlib.sha256()
        for item in self.items:
            parts = [item.id, item.prompt, item.messages, item.choices, item.answer, item.group, item.policy]
            parts += [item.score, item.response, item.metadata, item.epochs]
            digest.update(json.dumps(parts, default=str, sort_keys=True, ensure_ascii=False).encode())
            digest.update(b"\n")
        return digest.hexdigest()
