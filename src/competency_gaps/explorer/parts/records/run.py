"""All of a run that is small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from competency_gaps.findings.statements import RunAnswer
from competency_gaps.outcomes import Kind as OutcomeKind
from competency_gaps.presentation.columns import Term
from competency_gaps.presentation.facts import Fact

Tone = Literal["good", "bad", "open"]
Pair = tuple[str, str]
Kind = Literal["text", "word", "flag", "integer", "tenths", "decimal", "signed", "magnitude", "probability", "percent"]


@dataclass(frozen=True)
class Scored:
    """Whose scores a run shows, and by which model its items are read."""

    model: str
    """The model that was scored."""
    reader: str
    """The model whose activations the concepts are read from."""
    kind: OutcomeKind
    """Its scores; these against peers, or less another model's; or whether they could be read from its answers."""
    against: Sequence[str]
    """The peers, or the other model."""
    title: str
    sentence: str
    scored: bool
    """Whether the run has scores; without any, its items are there for those of other models."""


@dataclass(frozen=True)
class Shards:
    """How many details a part holds."""

    concepts: int
    items: int
    entries: int


@dataclass(frozen=True)
class Has:
    """What a run and its dictionary have beside tables."""

    themes: bool
    map: bool
    tokens: bool
    lift: bool
    promoted: bool
    similar: bool
    matches: bool
    """Whether lists of other people were compared with the run (``cgaps match``)."""


@dataclass(frozen=True)
class Counts:
    """How many concepts are what."""

    alive: int
    covered: int
    missing: int
    ranked: int
    tested: int
    weak: int
    strong: int
    negligible: int
    vanishes: int
    insufficient: int


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the tests."""

    min_n_eff: float
    q: float
    level: float
    min_gap: float
    alike: str
    """What items are compared at equal values of, ``at equal length``; empty: within benchmarks only."""


@dataclass(frozen=True)
class Caution:
    """A warning of a log or task, or of what the run lacks."""

    tone: Literal["bad", "open"]
    text: str


@dataclass(frozen=True)
class Verdict:
    """An outcome of ``cgaps check``."""

    code: str
    test: str
    sentence: str
    tone: Tone


@dataclass(frozen=True)
class UnreadRecords:
    """Records that became no item, for one reason; redacted, ``where`` is their number."""

    where: str
    reason: str


@dataclass(frozen=True)
class BenchmarkSummary:
    """A benchmark of the run."""

    name: str
    items: int
    kept: int
    excluded: int
    scored: int
    mean_score: float | None
    covered: int
    missing: int
    alive: int
    mean_span_tokens: float | None
    tested: int
    weak: int
    strong: int
    policy: str
    scope: str | None
    warnings: Sequence[str]
    """Of the logs and tasks that it was read from; redacted, without what they quote."""
    figures: Sequence[str]
    """Results of the whole benchmark that its policies and judges give, in words."""
    left_out: Sequence[UnreadRecords]


@dataclass(frozen=True)
class ColumnSpec:
    """One quantity of a concept. Its values lie in ``concepts.parquet`` and, if ``per_benchmark``, in
    ``concepts/K.parquet``."""

    key: str
    title: str
    hint: str
    kind: Kind
    """How a value is written."""
    face: Literal["model", "benchmark", "both"]
    """Which question it belongs to: how well, how much, or both."""
    interval: bool
    """Has ``KEY_low`` and ``KEY_high`` beside it."""
    per_benchmark: bool


@dataclass(frozen=True)
class Overlap:
    """Matrices in the order of the benchmarks; None: undefined."""

    jaccard: Sequence[Sequence[float | None]]
    cosine: Sequence[Sequence[float | None]]
    spearman: Sequence[Sequence[float | None]]
    n_concepts: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Added:
    """A benchmark's place in the order of what they add."""

    benchmark: int
    adds: int
    """Concepts that it covers and none before it does."""
    covered: int
    """Concepts that it covers."""
    cumulative: int
    """Concepts that it and those before it cover."""


@dataclass(frozen=True)
class RunInfo:
    """``data/KEY/run.json``: all that is small."""

    schema: Literal[1]
    key: str
    home: str
    """Key of the run whose parts ``item/N.json`` and ``active/N.json`` hold the items; of an outcome, the run that it
    is of, if that is here."""
    title: str
    created: str
    scored: Scored
    models: Sequence[str]
    """All models with scores on the items, as ``ItemDetail.models`` lists them; empty where none was added."""
    sae: str
    sae_sha256: str | None
    """SHA-256 of the SAE's weights: concepts of two runs are the same only if it is equal."""
    width: int
    """Number of concepts: ids are 0 to width - 1."""
    items: int
    """Number of items: rows are 0 to items - 1."""
    shards: Shards
    redacted: bool
    cut_items: int
    """How many items' texts, responses or answers are cut in this export, so that a search sees only a part of them;
    0 when served."""
    has: Has
    counts: Counts
    evidence: Thresholds
    unit: str
    """What chi_bench is measured in."""
    answer: RunAnswer
    findings: Sequence[Finding]
    """All of them: weak ones first, then strong ones, each by the size of the gap times the items it concerns."""
    glossary: Sequence[Term]
    """What words mean; ``key`` is a column's, or a general word's."""
    cautions: Sequence[Caution]
    verdicts: Sequence[Verdict] | None
    """None: robustness was not tested."""
    card: Sequence[Fact]
    command: str
    """Empty: redacted, or the run was made from Python."""
    versions: Sequence[Pair]
    settings: Sequence[Pair]
    benchmarks: Sequence[BenchmarkSummary]
    columns: Sequence[ColumnSpec]
    overlap: Overlap
    redundancy: Sequence[Added]
    """The suite's benchmarks in the order in which each adds most concepts."""


Range = tuple[int, int]
"""First character, and the one behind the last. Ranges count Unicode code points, not UTF-16 units."""


@dataclass(frozen=True)
class FindingBenchmark:
    """A benchmark's part of a finding."""

    benchmark: int
    """Its place."""
    items: int
    share: float
    """Of the finding's weight."""


@dataclass(frozen=True)
class FindingExample:
    """An item of a finding."""

    item: int
    repeats: int
    """How many items ask the same, itself among them."""
    differs: Sequence[Range] | None
    """Ranges of its own text, from the start of that, in which it differs from other items of its benchmark; at least
    one; None: redacted."""


@dataclass(frozen=True)
class Finding:
    """A group of weak or strong concepts, by its items. Gaps are between scores in [0, 1]."""

    finding: int
    """Its number and its place in the list."""
    verdict: Literal["weak", "strong"]
    leader: int
    label: str | None
    concepts: Sequence[int]
    """The leader first."""
    items: int
    """Scored items in which the group is active."""
    clusters: int
    """Number of these items when each cluster counts once."""
    unit: Literal["right", "score", "parsed", "peers", "difference"]
    """What ``mean_score``, ``feature_score`` and ``other_score`` are: shares of right answers, mean scores where
    answers get parts of a point, or means of another outcome."""
    n_eff: float
    mean_score: float
    plain_gap: float
    gap: float
    gap_low: float
    gap_high: float
    p_value: float
    q_value: float
    detectable: float | None
    """Smallest gap that its items would most likely have shown."""
    benchmarks: Sequence[FindingBenchmark]
    feature: str | None
    """A feature that its items share and the others of the same benchmarks lack; None: there is none. Its figures are
    of the items with it."""
    feature_words: str | None
    feature_items: int | None
    feature_score: float | None
    other_items: int | None
    other_score: float | None
    sentence: str
    short: str
    """The same in at most 90 characters."""
    support: str
    """Its evidence, in sentences."""
    failing: Sequence[FindingExample]
    passing: Sequence[FindingExample]
    unseen_gap: float | None
    """Mean gap on the items left out, over the ``unseen_splits`` of ``splits`` half-samples that find it again."""
    unseen_low: float | None
    unseen_high: float | None
    unseen_splits: int
    splits: int
    holds: bool | None
    """None: undecided, since too few splits find it again."""
    command: str
    """The command that tests it further."""
    command_note: str


@dataclass(frozen=True)
class FindingItems:
    """The items of a finding in ``findings.json``, those that weigh most first, at most 500."""

    finding: int
    item_rows: Sequence[int]
