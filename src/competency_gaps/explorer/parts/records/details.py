"""Themes, concepts and items, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from competency_gaps.explorer.parts.records.findings import Range


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
    by: Literal["examples", "labels"]
    """What matches it: what the entry's examples excite, or the concept's label."""
    number: int
    """The entry's number on the page, as of ``ListedEntry``."""
    entry: str
    strength: float
    """By labels the cosine of the texts, by examples the AUROC at equal length."""
    verdict: str | None
    """A model's; None: not asked."""


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
    """``auto``, or none."""
    promoted: Sequence[str] | None
    """Tokens whose logits its decoder direction raises most; None: never read."""
    suppressed: Sequence[str] | None
    """Tokens whose logits it lowers most."""
    similar: Sequence[tuple[int, float]] | None
    """Concepts with the cosine of decoder directions; None: never computed."""
    coactive: Sequence[tuple[int, float]] | None
    """Concepts with the Jaccard index of the sets of items in which they are active, highest first; None: not known,
    because the run was pruned."""
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
class ModelAnswer:
    """What one model did on an item."""

    score: float | None
    response: str | None
    """None: redacted, or not known."""
    unscored: str | None
    """Why it has no score; redacted, without what it quotes."""


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
    models: Sequence[ModelAnswer]
    """One per model of ``RunInfo.models``; empty where no other model's scores were added."""
    together: int
    """How many items its cluster has, itself among them."""
    repeats: int
    """How many of them ask the same, 1 where none does."""
    epochs: int
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
class ActiveConcept:
    """A concept that is active in an item."""

    concept: int
    cas: float
    saliency: float
    """In [0, 1]."""
    peak: Range | None
    """As in ``ItemUse``."""
    tokens: Sequence[tuple[int, int, float]] | None
    """As in ``ItemUse``."""


@dataclass(frozen=True)
class ItemConcepts:
    """An entry of ``data/KEY/active/N.json``, which holds the same items as ``item/N.json``."""

    item: int
    active: int | None
    """How many concepts are active in the item; None: not known, because the run was pruned."""
    concepts: Sequence[ActiveConcept]
    """The most salient first: all of them from a server, some in an exported explorer."""
