"""Requests to a server and its answers, besides the parts of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pydantic.dataclasses
from pydantic import ConfigDict, Field

from competency_gaps.explorer.parts.records.run import Scored

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class ListedRun:
    """A run, or an outcome of one, that can be opened."""

    key: str
    title: str
    scored: Scored
    models: str | None
    """Key of the run that holds all models' scores on these items; None: the run has scores of one model only."""


@dataclass(frozen=True)
class ChatState:
    """Whether a model is configured, and which."""

    configured: bool
    model: str | None
    host: str | None
    """Host that questions and query results are sent to."""
    note: str
    """Says where questions go, or that no model is configured."""


@dataclass(frozen=True)
class RunList:
    """``runs.json``: which runs are here."""

    runs: Sequence[ListedRun]
    mode: Literal["served", "static"]
    chat: ChatState | None
    """None in a static explorer, which has no chat."""
    version: str
    """Version of competency-gaps."""


@dataclass(frozen=True)
class SearchResult:
    """``data/KEY/search?q=TEXT`` (served only): items whose texts contain it, regardless of case."""

    rows: Sequence[int]
    total: int


@pydantic.dataclasses.dataclass(frozen=True, config=_STRICT)
class ChatMessage:
    """A turn of a conversation."""

    role: Literal["user", "assistant"]
    content: Annotated[str, Field(max_length=200_000)]


@pydantic.dataclasses.dataclass(frozen=True, config=_STRICT)
class ChatRequest:
    """``POST chat`` (served only) takes this and answers with one :class:`ChatEvent` a line."""

    run: Annotated[str, Field(max_length=200)]
    messages: Annotated[Sequence[ChatMessage], Field(min_length=1, max_length=1_000)]


@dataclass(frozen=True)
class QueryEvent:
    """A query that was asked, and its result."""

    type: Literal["query"]
    id: int
    name: str
    arguments: Mapping[str, Any]
    result: Any


@dataclass(frozen=True)
class TracedNumber:
    """A number in an answer."""

    start: int
    end: int
    query: int | None
    """The query whose result holds it; None: none does."""


@dataclass(frozen=True)
class AnswerEvent:
    """The answer of the model."""

    type: Literal["answer"]
    text: str
    numbers: Sequence[TracedNumber]
    cut: bool
    """The answer ended at the token limit, so the rest of it is missing."""


@dataclass(frozen=True)
class FailureEvent:
    """Why there is no answer."""

    type: Literal["error"]
    text: str


ChatEvent = QueryEvent | AnswerEvent | FailureEvent
