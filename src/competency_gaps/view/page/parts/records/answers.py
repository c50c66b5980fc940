"""Records of answers, slices, models and improvements, as the page reads them: data, and finished sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from competency_gaps.evidence.outcomes import Kind as OutcomeKind
from competency_gaps.findings.coverage import Covered, RegionCoverage
from competency_gaps.findings.finding import Finding


@dataclass(frozen=True)
class WordedCoverage:
    """What the items of a run, or of a benchmark, are about and do not test, with its words."""

    regions: Sequence[RegionCoverage]
    public: int
    all: Covered
    counted: Literal["labelled", "automatic", "unlabelled"]
    left_out: Sequence[tuple[str, int]]
    width: int
    reference: bool
    answer: list[str]
    """What to do: the first missing topics, or that there are none."""
    words: list[str]
    """What the items are about."""


@dataclass(frozen=True, kw_only=True)
class ListedFinding(Finding):
    """A line of an answer, with its words."""

    side: str
    """``weaker`` or ``stronger``; of two models ``below`` or ``above`` the overall change."""
    points: str
    """The gap in points of 100, as it is written everywhere."""
    spread: str
    """Its interval, likewise."""
    size: str
    """How many items it is about."""
    believed: str
    """How far to believe the line, with the reason."""
    replication: str
    """How often half-samples choose it again, and its gap on the items that they leave out."""
    explained: str | None
    """Which other slices or properties explain part of its gap; None: none does."""
    quote: str | None
    """Its example in short; None: redacted, or there is none."""


@dataclass(frozen=True)
class ListedAnswer:
    """Where a model is weak and strong: the same list as in the terminal."""

    kind: OutcomeKind
    against: Sequence[str]
    """The peers, or the other model."""
    headline: str
    scored: str
    """How many items have an outcome, and what the beliefs of its lines mean."""
    warnings: Sequence[str]
    """Caveats that may overturn the list; they stand above it."""
    caveats: Sequence[str]
    """The others."""
    findings: Sequence[ListedFinding]
    """Weaker ones first, then stronger ones, each from the largest gap down."""


@dataclass(frozen=True)
class ModelAnswers:
    """``data/KEY/answers/K.json``: what was found of the model at place K of ``RunInfo.models``."""

    peers: ListedAnswer | None
    """Answer against models at its level; None: there are fewer than two."""
    benchmark: ListedAnswer | None
    """Answer on its own scores, against the benchmark's average."""


@dataclass(frozen=True)
class SliceGap:
    """A slice for a model, in units of the outcome: the same numbers in the answer, the heat map and on the map."""

    slice: int
    items: int
    """Scored items that belong to it."""
    mean: float | None
    """Mean score of these items; None: none is scored."""
    gap: float | None
    """Expected on new items, against comparable ones; of two models their difference there. None: ``reason`` says why
    it has none."""
    low: float | None
    high: float | None
    verdict: Literal["weaker", "stronger", "typical"] | None
    reason: Literal["few items", "nearly all", "unscored"] | None
    failing: Sequence[int] = ()
    """Rows of items that show best what the model fails there; in one file, of the slices of an answer only."""
    passing: Sequence[int] = ()


@dataclass(frozen=True)
class ModelGaps:
    """``data/KEY/gaps/K.json``: every slice of ``slices.json`` for the model at place K, as ``ModelAnswers``."""

    peers: Sequence[SliceGap] | None
    benchmark: Sequence[SliceGap] | None


@dataclass(frozen=True)
class ListedSlice:
    """A slice: a weight from 0 to 1 per item, with a name."""

    number: int
    """Number in addresses; from ``CONCEPTS`` on, the slice of the concept with the number less ``CONCEPTS``."""
    family: str
    family_words: str
    """What slices of the family are."""
    name: str
    column: str | None
    """What the slices answer together that share it, as the column of a category."""
    parent: int
    """The slice that contains it; -1: none."""
    words: Sequence[str]
    """Words that are distinctive of its items; empty: redacted, or there are none."""
    typical: Sequence[int]
    """Rows of its most typical items, at most two."""


@dataclass(frozen=True)
class ListedModel:
    """A model with scores on the run's items."""

    short: str
    """Its name in at most 28 characters."""
    unscored: int
    """Items that it was asked and that have no score."""
    reads: bool
    """Whether it also reads the items."""
    sentence: str
    """Where it is weakest and strongest."""


@dataclass(frozen=True)
class CategoryScores:
    """How models score on a category, as measured; lists are in the order of ``RunInfo.models``."""

    slice: int | None
    """None: all items."""
    category: str | None
    items: int
    scored: Sequence[int]
    mean: Sequence[float | None]
    """Mean score of the scored items; None: none is scored."""
    low: Sequence[float | None]
    high: Sequence[float | None]
    """Ends of its 95% interval."""
    may_be_best: Sequence[bool]
    """Whether no other model surely scores more on the same items."""


@dataclass(frozen=True)
class ColumnScores:
    """Scores by the categories of a column, the largest first."""

    column: str
    categories: Sequence[CategoryScores]


@dataclass(frozen=True)
class ModelsFile:
    """``data/KEY/models.json``: of a run with the scores of several models."""

    models: Sequence[ListedModel]
    """In the order of ``RunInfo.models``."""
    overall: CategoryScores
    scores: Sequence[ColumnScores]
    peers: bool
    """Whether gaps are against peers; else against each model's own average."""
    columns: Sequence[int]
    """Places of models in the heat map, similar ones side by side."""
    slices: Sequence[tuple[int, str]]
    """Numbers and names of the slices that tell models apart: its rows."""
    cells: Sequence[Sequence[SliceGap]]
    """One list per slice, in the order of ``columns``; without items."""


What = Literal["keep", "items", "new"]


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
    chance: float | None
    """Chance that it is broken, in [0, 1]; None: it is a kept item."""
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
    """Kind of result -> command that makes it."""
