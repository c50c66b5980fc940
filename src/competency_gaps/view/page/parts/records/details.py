"""Records of concepts, items, comparisons, lists of runs, and searches, as the page reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from competency_gaps.view.page.parts.records.answers import ListedAnswer, SliceGap
from competency_gaps.view.page.parts.records.run import Range


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
class ConceptInBenchmark:
    """A concept within one benchmark, as in ``concepts/K.parquet``."""

    support: int
    n_eff: float | None
    chi_bench: float | None
    chi_model: float | None
    association: float | None
    association_low: float | None
    association_high: float | None
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
class TextWindow:
    """A window of text of a dictionary."""

    tokens: Sequence[str]
    activations: Sequence[float]


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
    benchmarks: Sequence[ConceptInBenchmark] | None
    """In the order of ``RunInfo.benchmarks``; None in an exported explorer: ``concepts/K.parquet`` says it."""
    histogram: Histogram
    strongest: Sequence[ItemUse]
    """Items in which it is strongest, and its scored items of the highest and of the lowest scores."""
    best: Sequence[ItemUse]
    worst: Sequence[ItemUse]
    exemplars: Sequence[TextWindow] | None
    """Windows of text from its dictionary; None: none there."""
    neuronpedia: str | None
    """Address of its page at Neuronpedia."""


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
    scorer: str
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
    """One per model of ``RunInfo.models``; empty where it has only one."""
    together: int
    """How many items its cluster has, itself among them."""
    repeats: int
    """How many of them ask the same, 1 where none does."""
    epochs: int
    text: str | None = None
    """All that the model read; None: redacted."""
    cut: tuple[int, int] | None = None
    """Characters before and after ``text`` that are left out in a static explorer of long texts; None: it is whole. A
    response, answer or details that are cut say so at their end."""
    body: Range | None = None
    """Range of the item's own text in ``text``."""
    response: str | None = None
    answer: str | None = None
    choices: Sequence[str] | None = None
    """Options; None: there are none, they are redacted, or ``text`` contains them already."""
    answer_index: int | None = None
    """Index of the right option in ``choices``."""
    logprobs: Sequence[float] = ()
    details: Any = None
    """Details from its scorer, such as a judge's verdicts."""


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

    active: int
    """How many concepts are active in the item."""
    concepts: Sequence[ActiveConcept]
    """The most salient first: all of them from a server, some in an exported explorer."""


@dataclass(frozen=True)
class CategoryChange:
    """A category of a column, or a benchmark, in a comparison of two models. Scores are in [0, 1]."""

    slice: int
    name: str
    items: int
    """Scored for both."""
    before: float | None
    """Mean score of the baseline; None: no item is scored for both."""
    after: float | None
    points: str
    """The change that is expected on new items, in points of 100; empty: ``reason`` says why there is none."""
    spread: str
    """Its interval, likewise."""
    verdict: Literal["lost", "gained", "no clear change"] | None
    reason: str | None


@dataclass(frozen=True)
class Pairing:
    """Two models of the run KEY (``data/KEY/pairs/N.json``); or the run OTHER, the candidate, against the run KEY, the
    baseline (``data/KEY/against/OTHER.json``)."""

    why: str | None
    """Why nothing can be compared; None: a comparison follows."""
    above: Sequence[str]
    """Sentences above the list of slices: the verdict, the whole, and what was not compared; below: the rest."""
    below: Sequence[str]
    categories: Sequence[CategoryChange]
    """The greatest loss first."""
    answer: ListedAnswer | None
    """On which slices they differ; None: nothing pairs."""
    gaps: Sequence[SliceGap] | None
    """How much they differ on each slice; None: nothing pairs, or they are two runs."""


@dataclass(frozen=True)
class ListedRun:
    """A run that can be opened."""

    key: str
    title: str


@dataclass(frozen=True)
class RunList:
    """``runs.json``: which runs are here."""

    runs: Sequence[ListedRun]
    mode: Literal["served", "static", "file"]
    """``static``: a folder; ``file``: one file, which leaves details out."""


@dataclass(frozen=True)
class SearchResult:
    """``data/KEY/search?q=TEXT`` (served only): items whose texts contain it, regardless of case."""

    rows: Sequence[int]
    total: int
