"""An item of a benchmark: what every source makes and every later stage reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

Message = dict[str, str]
"""``{"role": ..., "content": ...}``"""


@dataclass(frozen=True)
class Text:
    """A text for the model, with the stretches that are the item's own."""

    text: str
    own: tuple[tuple[int, int], ...]
    """Character ranges [start, end) of the item's own text."""
    templated: bool
    """Whether a chat template made the text; it then brings its own first token."""


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
    own: tuple[int, int] | None = None
    """Where ``prompt`` stands in the last user message (characters [start, end)), if that holds more than it (few-shot
    examples, a template of the source); null: it is the whole message."""
    seen: Text | None = None
    """All that the model read, exactly, where the source recorded it (a log), with ``prompt`` marked in it; it is
    tokenised as it is. Null: the pipeline builds the text from the prompt or the messages."""
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
    cluster: str | None = None
    """Cluster that the source names (a passage, a template): items of one benchmark in one cluster are no independent
    evidence. None: the source names none."""
    covariates: dict[str, float | str] = field(default_factory=dict)
    """Further columns of the source by which items can be stratified: difficulty for other models, a subject."""
    identity: dict[str, Any] = field(default_factory=dict)
    """What names the item in the tool it comes from, as plain JSON: ``doc_id``, ``filter``, ``metric``, ``epochs``,
    ``prompt_hash`` and so on. Empty: it comes from no other tool."""


def is_whole(item: Item) -> bool:
    """Whether every text of an item can be written as UTF-8; JSON may hold half of a surrogate pair."""
    try:
        json.dumps(asdict(item), ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class LeftOut:
    """A record that a source gave but that became no item."""

    where: str
    """File and line, or the record's id."""
    reason: str


@dataclass(frozen=True)
class SourceReport:
    """What was read of another tool's log or task, and how: nothing of it is left out in silence."""

    format: str
    """The tool's form: ``lm_eval``, ``inspect``, ``garak``, ..."""
    benchmark: str
    """Its name there."""
    files: tuple[str, ...] = ()
    model: str | None = None
    """The model as the tool names it; null: not said."""
    metric: str | None = None
    """Which metric (detector, score) became the item's score; null: none."""
    filter: str | None = None
    scorer: str | None = None
    available: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What could have been chosen instead, e.g. ``{"metric": ("acc", "acc_norm")}``."""
    records: int = 0
    """Records that the files hold, each of which is counted once here:
    ``records = items - averaged_items + averaged + sum(left_out.values())``."""
    items: int = 0
    averaged: int = 0
    """Records that went, with others, into one item's mean (epochs, repeats)."""
    averaged_items: int = 0
    """Items that are such a mean."""
    unscored: int = 0
    """Items without a score."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Reason -> records that became no item, or were not chosen (another filter)."""
    own_text: dict[str, int] = field(default_factory=dict)
    """How the item's own text was found in what the model read -> items."""
    warnings: tuple[str, ...] = ()
