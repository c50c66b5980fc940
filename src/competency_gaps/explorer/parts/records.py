"""What the page reads of a run, but for its tables: the one definition of it.

``frontend/src/data/types.ts`` is written from these records (``python -m competency_gaps.explorer.types``), and
:func:`as_json` writes them. None means undefined or not known. Floats are written to the digits of a float32.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pydantic.dataclasses
from pydantic import ConfigDict, Field

from competency_gaps.explorer.parts.redundancy import Added
from competency_gaps.findings.answer import Answer
from competency_gaps.report.glossary import Term
from competency_gaps.report.page import Fact

_STRICT = ConfigDict(extra="forbid")
Tone = Literal["good", "bad", "open"]
Range = tuple[int, int]
"""First character, and the one behind the last. Ranges count Unicode code points, not UTF-16 units."""
Pair = tuple[str, str]
Kind = Literal["text", "word", "flag", "integer", "tenths", "decimal", "signed", "magnitude", "probability", "percent"]


@dataclass(frozen=True)
class ListedRun:
    """A run that can be opened."""

    key: str
    title: str


@dataclass(frozen=True)
class ChatState:
    """Whether there is anybody to ask."""

    configured: bool
    model: str | None
    host: str | None
    """Host that questions and query results are sent to."""
    note: str
    """What to say where it is not configured, or where questions go."""


@dataclass(frozen=True)
class RunList:
    """``runs.json``: which runs are here."""

    runs: Sequence[ListedRun]
    mode: Literal["served", "static"]
    chat: ChatState | None
    """None in a static explorer, which can ask nobody and offers no chat."""
    version: str
    """Version of competency-gaps."""


@dataclass(frozen=True)
class Shards:
    """How many details a part holds."""

    concepts: int
    items: int


@dataclass(frozen=True)
class Has:
    """What a run and its dictionary have beside tables."""

    themes: bool
    map: bool
    tokens: bool
    lift: bool
    promoted: bool
    similar: bool


@dataclass(frozen=True)
class Counts:
    """How many concepts are what."""

    alive: int
    covered: int
    missing: int
    ranked: int
    tested: int
    weak: int
    weak_groups: int
    strong: int
    strong_groups: int
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
    """How many these are when each cluster counts once."""
    graded: bool
    """Whether answers get parts of a point, so that a mean score is no share of right ones."""
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
    """What tells its items from the others of the same benchmarks, where a feature does; its figures are of the items
    with it."""
    feature_words: str | None
    feature_benchmarks: Sequence[int]
    feature_items: int | None
    feature_score: float | None
    other_items: int | None
    other_score: float | None
    feature_p: float | None
    wording: str | None
    """A language model's words for its items."""
    wording_source: str | None
    sentence: str
    short: str
    """The same in at most 90 characters."""
    support: str
    """What stands behind it, in sentences."""
    failing: Sequence[FindingExample]
    passing: Sequence[FindingExample]
    unseen_gap: float | None
    """Gap on the other half of the items, in the ``unseen_splits`` of ``splits`` in which one half finds it again."""
    unseen_low: float | None
    unseen_high: float | None
    unseen_splits: int
    splits: int
    holds: bool | None
    """None: cannot be told."""
    command: str
    """Tests it further."""
    command_note: str


@dataclass(frozen=True)
class FindingItems:
    """The items of a finding in ``findings.json``, those that weigh most first, at most 500."""

    finding: int
    item_rows: Sequence[int]
    weights: Sequence[float]


@dataclass(frozen=True)
class Caution:
    """A warning of a log or task."""

    tone: Literal["bad", "open"]
    text: str


@dataclass(frozen=True)
class Verdict:
    """An outcome of ``cgaps robustness``."""

    code: str
    test: str
    sentence: str
    tone: Tone


@dataclass(frozen=True)
class Probe:
    """An outcome of ``cgaps probe concept``."""

    concept: int
    label: str | None
    claim: str
    verdict: str
    sentence: str


@dataclass(frozen=True)
class LeftOut:
    """Records that became no item, for one reason; redacted, ``where`` is their number."""

    where: str
    reason: str


@dataclass(frozen=True)
class Benchmark:
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
    """Of the logs and tasks that it was read from; redacted, how many there are."""
    figures: Sequence[str]
    """Results of the whole benchmark that its policies and judges give, in words."""
    left_out: Sequence[LeftOut]


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
class Suggestion:
    """One thing to do next."""

    kind: Literal["missing", "weak", "redundant", "robustness", "label"]
    title: str
    reason: str
    command: str | None = None
    """Command to run; None: nothing to run."""
    value: float = 0.0
    """How much is at stake, among suggestions of its kind: of a finding, the points of score that it concerns; of what
    a benchmark lacks, concepts."""
    benchmark: int | None = None
    """Its place."""
    finding: int | None = None
    """Number of the finding that it tests."""
    concepts: Sequence[int] = ()
    """Those that matter most first."""


@dataclass(frozen=True)
class RunInfo:
    """``data/KEY/run.json``: all that is small."""

    schema: Literal[1]
    key: str
    title: str
    created: str
    model: str
    sae: str
    sae_sha256: str | None
    """SHA-256 of the SAE's weights: concepts of two runs are the same only if it is equal."""
    neuronpedia_id: str | None
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
    short_name: str
    """Of the model."""
    answer: Answer
    findings: Sequence[Finding]
    """All of them: weak ones first, then strong ones, each by the size of the gap times the items it concerns."""
    glossary: Sequence[Term]
    """What words mean; ``key`` is a column's, or a general word's."""
    cautions: Sequence[Caution]
    verdicts: Sequence[Verdict] | None
    """None: robustness was not tested."""
    probes: Sequence[Probe]
    """Newest first."""
    card: Sequence[Fact]
    command: str
    """Empty: redacted, or the run was made from Python."""
    versions: Sequence[Pair]
    settings: Sequence[Pair]
    benchmarks: Sequence[Benchmark]
    columns: Sequence[ColumnSpec]
    overlap: Overlap
    redundancy: Sequence[Added]
    """The suite's benchmarks in the order in which each adds most concepts."""
    suggestions: Sequence[Suggestion]


@dataclass(frozen=True)
class ThemeBenchmark:
    """A theme within one benchmark."""

    chi_bench: float | None
    chi_model: float | None
    support: int
    n_eff: float
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    q_value: float | None
    performance_status: str


@dataclass(frozen=True)
class Theme:
    """A theme or subtheme with its statistics in the suite."""

    level: Literal["theme", "subtheme"]
    id: int
    parent: int | None
    name: str | None
    kind: str | None
    concepts: int
    ranked: int
    chi_bench: float | None
    chi_bench_mean: float | None
    chi_model: float | None
    chi_model_low: float | None
    chi_model_high: float | None
    support: int
    n_eff: float
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    q_value: float | None
    performance_status: str
    missing_concepts: int
    weak_concepts: int
    strong_concepts: int
    weak_groups: int
    benchmarks: Sequence[ThemeBenchmark]
    """In the order of ``RunInfo.benchmarks``."""


@dataclass(frozen=True)
class ThemeFile:
    """``data/KEY/themes.json``."""

    themes: Sequence[Theme]
    """Empty in a run that has none."""


@dataclass(frozen=True)
class ConceptLabel:
    """A label of a concept."""

    label: str
    kind: str | None
    explainer: str | None
    score: float | None
    scored_by: str | None
    placeholder: bool
    date: str | None


@dataclass(frozen=True)
class MatchedEntry:
    """An entry of somebody's list (``cgaps match``)."""

    taxonomy: str
    entry: str
    similarity: float
    verdict: str | None


@dataclass(frozen=True)
class ConceptInBenchmark:
    """A concept within one benchmark, as in ``concepts/K.parquet``."""

    support: int
    n_eff: float | None
    chi_bench: float | None
    chi_model: float | None
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    performance_status: str | None


@dataclass(frozen=True)
class Histogram:
    """CAS over the items in which a concept is active, in 20 bins of equal width from 0 to ``max``."""

    max: float
    """0, without bins: it is active in none."""
    counts: Sequence[int]
    score: Sequence[float | None]
    """Mean score of the scored items of each bin; None: it has none."""


@dataclass(frozen=True)
class ItemUse:
    """An item as one concept sees it; its texts lie in the item's detail."""

    item: int
    score: float | None
    cas: float
    saliency: float
    """In [0, 1]."""
    peak: Range | None
    """Range of the strongest token in ``ItemDetail.text``; None: it stands for no text, or for text that is left
    out."""
    tokens: Sequence[tuple[int, int, float]] | None
    """Tokens on which it is active: start, end, activation; None: the run kept no activations of tokens, or
    redacted."""


@dataclass(frozen=True)
class ItemUses:
    """Items of a concept."""

    strongest: Sequence[ItemUse]
    best: Sequence[ItemUse]
    worst: Sequence[ItemUse]


@dataclass(frozen=True)
class TextWindow:
    """A window of text of a dictionary."""

    tokens: Sequence[str]
    activations: Sequence[float]
    value: float


@dataclass(frozen=True)
class ConceptDetail:
    """An entry of ``data/KEY/concept/N.json``, which holds concepts N * shards.concepts onwards."""

    concept: int
    labels: Sequence[ConceptLabel]
    """The shown one first."""
    provenance: str | None
    """Who made the shown label and how it scored, in words."""
    marks: Sequence[str]
    """``auto``, ``doubtful``."""
    promoted: Sequence[str] | None
    """Tokens whose logits its decoder direction raises most; None: never read."""
    suppressed: Sequence[str] | None
    """Tokens whose logits it lowers most."""
    similar: Sequence[tuple[int, float]] | None
    """Concepts with the cosine of decoder directions; None: never computed."""
    coactive: Sequence[tuple[int, float]]
    """Concepts with the Jaccard index of the sets of items in which they are active, highest first."""
    matched: Sequence[MatchedEntry]
    benchmarks: Sequence[ConceptInBenchmark] | None
    """In the order of ``RunInfo.benchmarks``; None in an exported explorer: ``concepts/K.parquet`` says it."""
    histogram: Histogram
    items: ItemUses
    exemplars: Sequence[TextWindow] | None
    """Windows of text from its dictionary; None: none there."""
    neuronpedia: str | None
    """Address of its page at Neuronpedia."""


@dataclass(frozen=True)
class Cut:
    """Characters of a text that are left out."""

    before: int
    after: int


@dataclass(frozen=True)
class ItemDetail:
    """An entry of ``data/KEY/item/N.json``, which holds items N * shards.items onwards."""

    item: int
    benchmark: int
    item_id: str
    group: str | None
    policy: str
    score: float | None
    excluded: str | None
    unscored: str | None
    n_tokens: int
    n_span_tokens: int
    """Tokens that the run counts for its concepts."""
    cluster: int | None
    cluster_kind: str | None
    """Why it shares its cluster: ``given``, ``equal`` or ``near``; None: it is alone there."""
    together: int
    """How many items its cluster has, itself among them."""
    repeats: int
    """How many of them ask the same, 1 where none does."""
    epochs: int
    concepts: Sequence[tuple[int, float, float, int | None, int | None]]
    """Its most salient concepts: concept, CAS, saliency, start and end of the peak; these are None without a peak in
    ``text``."""
    text: str | None = None
    """All that the model read; None: redacted."""
    cut: Cut | None = None
    """What of ``text`` is left out in a static explorer of long texts; None: it is whole. A response, answer or
    details that are cut say so at their end."""
    own: Range | None = None
    """Range of the item's own text in ``text``."""
    response: str | None = None
    answer: str | None = None
    choices: Sequence[str] | None = None
    answer_index: int | None = None
    """Place of the right one in ``choices``."""
    logprobs: Sequence[float] = ()
    details: Any = None
    """What its policy says."""
    covariates: Any = None
    """Columns by which items can be compared; None: redacted, or it has none."""


@dataclass(frozen=True)
class SearchResult:
    """``data/KEY/search?q=TEXT`` (served only): items whose texts hold it, regardless of case."""

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
    """The query that it came from; None: from none."""


@dataclass(frozen=True)
class AnswerEvent:
    """The answer of the model."""

    type: Literal["answer"]
    text: str
    numbers: Sequence[TracedNumber]
    cut: bool
    """The model used all the tokens of an answer, so that the rest of it is missing."""


@dataclass(frozen=True)
class FailureEvent:
    """Why there is no answer."""

    type: Literal["error"]
    text: str


ChatEvent = QueryEvent | AnswerEvent | FailureEvent
ROOTS = (RunList, RunInfo, FindingItems, ThemeFile, ConceptDetail, ItemDetail, SearchResult, ChatRequest)
"""What is read as a whole, or in lists, in the order in which ``types.ts`` has it."""


def as_json(value: Any) -> bytes:
    """Write records as compact JSON, with null for what is not finite."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate is no character that UTF-8 has; in JSON it stands as its escape.
    return text.encode("utf-8", "backslashreplace")


def plain(value: Any, *, exact: bool = False) -> Any:
    """Turn records into what JSON has.

    Parameters
    ----------
    exact : bool
        Keep all digits of floats, as of numbers that somebody else wrote.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), exact=exact) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item, exact=True) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, exact=exact) for item in value]
    if isinstance(value, float):
        return None if not math.isfinite(value) else value if exact else float(f"{value:.7g}")
    return value
