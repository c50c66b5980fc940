"""Items, benchmarks, reasons and reports: what every source makes and every later stage reads."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from competency_gaps.util.errors import UserError
from competency_gaps.util.files import finite

DTYPE = pl.Struct({"code": pl.String, "text": pl.String, "numbers": pl.List(pl.Float64)})
"""Polars type of a column of reasons."""
Message = dict[str, str]
"""``{"role": ..., "content": ...}``"""


@dataclass(frozen=True)
class Text:
    """A text for the model, with the item's own text marked."""

    text: str
    body: tuple[int, int]
    """Character range [start, end) of the item's own text."""
    templated: bool
    """Whether a chat template made the text, which then brings its own first token."""


@dataclass(frozen=True)
class Item:
    """One question of a benchmark."""

    id: str
    """Unique inside its benchmark."""
    prompt: str
    """The item's own text, without the answer and, where there are ``choices``, without the options.
    With ``messages``: the content of the last user message."""
    messages: tuple[Message, ...] | None = None
    """Chat messages that the model reads instead of the prompt alone; the last user message holds ``prompt``."""
    body: tuple[int, int] | None = None
    """Character range [start, end) of ``prompt`` in the last user message, whose rest holds few-shot examples or a
    template of the source; None: ``prompt`` is the whole message."""
    seen: Text | None = None
    """The whole text that the model read, where the source (a log) recorded it, with ``prompt`` marked; tokenised
    unchanged. None: the pipeline builds the text from the prompt or the messages."""
    choices: tuple[str, ...] | None = None
    """The options without letters."""
    answer: Any = None
    """The gold answer in the scorer's form: for ``choice`` a 0-based index, for ``exact`` a text or list of
    texts, for ``numeric`` and ``math`` a text; None where the scorer needs none."""
    group: str | None = None
    """Sub-topic of the source."""
    scorer: str | None = None
    """Scorer that the source names for this item; None: the benchmark's."""
    score: float | None = None
    """Ready-made score in [0, 1]; None = unscored."""
    response: str | None = None
    """Ready-made response of the model, if the source has one."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Further input of a scorer (a pair of sentences, a verifier's entry)."""
    epochs: int = 1
    """How often the item was asked; ``score`` is the mean over these repeats."""
    cluster: str | None = None
    """Cluster that the source names (a passage, a template): a benchmark's items in one cluster are not independent.
    None: the source names none."""
    covariates: dict[str, float | str] = field(default_factory=dict)
    """Further columns of the source by which items can be stratified: difficulty for other models, a subject."""
    identity: dict[str, Any] = field(default_factory=dict)
    """Identifiers of the item in the tool it comes from, as plain JSON: ``doc_id``, ``filter``, ``metric``,
    ``epochs``, ``prompt_hash`` and so on. Empty: it comes from no other tool."""


def answer_index(item: Item) -> int | None:
    """Return the index of the right option, or None if the answer is not the index of an option."""
    answer = item.answer
    # Only multiple-choice scorers check the index; for others a number may be the answer itself.
    chosen = isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(item.choices or ())
    return answer if chosen else None


def answer_text(item: Item) -> str | None:
    """Return the right answer as one text, the right option or all accepted texts; None if there is none."""
    answer, index = item.answer, answer_index(item)
    if index is not None and item.choices is not None:
        return item.choices[index]
    if isinstance(answer, (list, tuple)):
        return " | ".join(str(part) for part in answer)
    return answer if answer is None or isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, default=str)


def is_whole(item: Item) -> bool:
    """Return whether every text of an item can be encoded as UTF-8; JSON may contain a lone surrogate."""
    try:
        _ENCODER.encode(vars(item)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    """Return what JSON can encode in place of a Text or a Mapping; None for anything else."""
    return value.text if isinstance(value, Text) else dict(value) if isinstance(value, Mapping) else None


_ENCODER = json.JSONEncoder(ensure_ascii=False, skipkeys=True, default=_plain)


@dataclass(frozen=True)
class Reason:
    """Why an item is left out or unscored, what makes a log doubtful, or a scorer's result for a whole benchmark."""

    code: str
    """Stable identifier, for programs."""
    text: str
    """Sentence for people; it may quote texts and names."""
    numbers: tuple[float, ...] = ()
    """The numbers in the text."""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Reason:
        """Return the reason that :meth:`as_dict` turned into a mapping."""
        numbers = (math.nan if number is None else number for number in stored["numbers"])
        return cls(stored["code"], stored["text"], tuple(numbers))

    def as_dict(self) -> dict[str, Any]:
        """Return the reason as plain JSON and as a value of ``DTYPE``, with None for a number that is not finite."""
        return {"code": self.code, "text": self.text, "numbers": finite(self.numbers)}

    def __str__(self) -> str:
        return self.text


def check_reason(reason: object) -> Reason:
    """Return a plug-in's value, checked to be a reason.

    Raises
    ------
    UserError
        If it is not.
    """
    if not isinstance(reason, Reason):
        raise UserError(f"expected a Reason, found {reason!r}: give competency_gaps.Reason(code, text).")
    return reason


HALF = Reason("half_character", "it contains half a character (a lone surrogate), which cannot be encoded")
"""Why an item is left out for which :func:`is_whole` is false."""
NO_SCORE = Reason("source_no_score", "the source gives no score")
"""Why an item is unscored that should have come with a score, from a log or a table."""


@dataclass(frozen=True)
class Counted:
    """A reason, and the number of records that it applies to."""

    reason: Reason
    count: int


@dataclass(frozen=True)
class LeftOut:
    """A record of a source that did not become an item."""

    where: str
    """File and line, or the record's id."""
    reason: Reason

    def __post_init__(self) -> None:
        check_reason(self.reason)


@dataclass(frozen=True)
class SourceReport:
    """An account of what was read from another tool's log, and what was left out."""

    format: str
    """Format of the log: ``lm_eval``, ``inspect``, ``garak``, ..."""
    benchmark: str
    """The tool's name for the benchmark."""
    files: tuple[str, ...] = ()
    model: str | None = None
    """The model as the tool names it; None: not recorded."""
    metric: str | None = None
    """The metric (detector, score) that became the item's score; None: none."""
    filter: str | None = None
    scorer: str | None = None
    available: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Possible choices, e.g. ``{"metric": ("acc", "acc_norm")}``."""
    records: int = 0
    """Records in the files: ``items - averaged_items + averaged``, and those left out."""
    items: int = 0
    averaged: int = 0
    """Records averaged into items (epochs, repeats)."""
    averaged_items: int = 0
    """Items that average several records."""
    unscored: int = 0
    """Items without a score."""
    unscored_because: tuple[Counted, ...] = ()
    """Records without a score by reason, where the log gives one."""
    left_out: tuple[Counted, ...] = ()
    """Records left out by reason, those of another filter included."""
    body_text: dict[str, int] = field(default_factory=dict)
    """Items by how their own text was located in what the model read."""
    warnings: tuple[Reason, ...] = ()
    """What makes the log doubtful."""


@dataclass(frozen=True)
class Benchmark:
    """A set of items, in the source's order."""

    name: str
    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...] = ()
    reports: tuple[SourceReport, ...] = ()
    """Reports on the logs of other tools that were read."""

    def content_hash(self) -> str:
        """Return the SHA-256 of everything in the items that can change a result."""
        digest = hashlib.sha256()
        for item in self.items:
            parts = [item.id, item.prompt, item.messages, item.choices, item.answer, item.group, item.scorer]
            parts += [item.score, item.response, item.metadata, item.epochs]
            # Fields that only some sources set are hashed only where set, so that other benchmarks keep their hashes.
            optional = (item.body, item.seen and asdict(item.seen), item.identity, item.cluster, item.covariates)
            parts += [part for part in optional if part]
            digest.update(json.dumps(parts, default=str, sort_keys=True, ensure_ascii=False).encode())
            digest.update(b"\n")
        return digest.hexdigest()


def item_row(benchmark: str, item: Item) -> dict[str, Any]:
    """Return an item's row of ``items.parquet``, for an item that no model has read."""
    return {
        "benchmark": benchmark,
        "item_id": item.id,
        "prompt": item.prompt,
        "answer": answer_text(item),
        "score": item.score,
        "epochs": item.epochs,
        "group": item.group,
        "choices": None if item.choices is None else list(item.choices),
        "answer_index": answer_index(item),
        "covariates": json.dumps(item.covariates, ensure_ascii=False) if item.covariates else None,
        "n_span_tokens": len(item.prompt.split()),
        "identity": json.dumps(item.identity, ensure_ascii=False, default=str) if item.identity else None,
    }
