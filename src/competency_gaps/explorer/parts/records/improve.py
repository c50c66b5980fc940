"""What a page reads of a run's ``improve/``: what the terminal says of each result, and the items that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

What = Literal["keep", "items", "fill"]


@dataclass(frozen=True)
class Block:
    """A paragraph, or a table."""

    text: str
    """Empty: a table."""
    soft: bool
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class ImprovedItem:
    """An item that is kept, or that looks broken."""

    row: int
    value: float
    """By how much it moves a typical model's estimated mean; of one that looks broken, the chance that it is."""
    reason: str
    """Why it looks broken; empty: it is kept."""


@dataclass(frozen=True)
class ListedDraft:
    """A new item."""

    text: str
    choices: Sequence[str]
    answer: str | None
    note: str
    """Where it comes from, or why it was refused."""


@dataclass(frozen=True)
class Improvement:
    """A result of ``cgaps improve``."""

    what: What
    name: str
    """Of its file or folder, without its ending."""
    blocks: Sequence[Block]
    """What the terminal says; the first one is the answer."""
    items: Sequence[ImprovedItem]
    drafts: Sequence[ListedDraft]
    refused: Sequence[ListedDraft]


@dataclass(frozen=True)
class ImproveFile:
    """``data/KEY/improve.json``."""

    results: Sequence[Improvement]
    commands: Mapping[What, str]
    """What makes a result of each kind."""
