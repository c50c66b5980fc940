"""Records of ``run.json``, the small data of a run, as the page reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from competency_gaps.findings.robustness import Tone
from competency_gaps.view.columns import Quantity, Term
from competency_gaps.view.facts import Fact

Pair = tuple[str, str]


@dataclass(frozen=True)
class RobustnessTest:
    """A test of the run as a whole, in words."""

    code: str
    test: str
    sentence: str
    tone: Tone


@dataclass(frozen=True)
class Scored:
    """Whose scores a run shows, and by which model its items are read."""

    model: str
    """The model that was scored."""
    reader: str
    """The model whose activations the concepts are read from."""
    sentence: str
    scored: bool
    """Whether the run has scores; without any, its items are there for those of other models."""


@dataclass(frozen=True)
class AssociationTest:
    """What the association of a concept needs to count."""

    min_n_eff: float
    min_association: float
    alike: str
    """What compared items have in common, ``at equal length``; empty: their benchmark alone."""


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
    mean_span_tokens: float | None
    tested: int
    failure: int
    """Concepts that go with failure in it."""
    success: int
    scorer: str
    scope: str | None
    warnings: Mapping[str, bool]
    """Of the logs and tasks that it was read from, and whether the log seems to be of another model; redacted, without
    what they quote."""
    figures: Sequence[str]
    """Results of the whole benchmark that its scorers and judges give, in words."""
    left_out: Sequence[str]
    """Records that became no item, by reason; redacted, without their places."""


@dataclass(frozen=True)
class Overlap:
    """Matrices in the order of the benchmarks, empty without a reading; None: undefined."""

    jaccard: Sequence[Sequence[float | None]]
    cosine: Sequence[Sequence[float | None]]
    spearman: Sequence[Sequence[float | None]]
    n_concepts: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Region:
    """A region of the atlas."""

    region: int
    """Its place in ``RunInfo.regions``."""
    level: int
    """1 coarse, 2, 3 finest."""
    parent: int | None
    """The region of the level above that holds it; None at level 1."""
    name: str
    kind: str
    """``written``: by readers or a language model; ``words``: made of labels and words; ``unclear``: written, but
    readers could not tell it from its siblings."""
    x: float
    y: float
    concepts: int
    """Number of concepts that belong to it."""


@dataclass(frozen=True)
class RunInfo:
    """``data/KEY/run.json``: all that is small."""

    key: str
    created: str
    scored: Scored
    models: Sequence[str]
    """All models with scores on the items, in the order of ``answers/K.json`` and ``ItemDetail.models``."""
    model: int
    """Index of the model that is shown first."""
    sae: str | None
    sae_sha256: str | None
    """SHA-256 of the SAE's weights: concepts of two runs are the same only if it is equal."""
    width: int
    """Number of concepts: ids are 0 to width - 1."""
    items: int
    """Number of items: rows are 0 to items - 1."""
    concepts_per_part: int
    items_per_part: int
    redacted: bool
    cut_items: int
    """How many items' texts, responses or answers are cut in this export, so that a search sees only a part of them;
    0 when served."""
    has_tokens: bool
    """Whether the run kept activations of tokens."""
    has_matches: bool
    """Whether lists of other people were compared with the run (``cgaps match``)."""
    evidence: AssociationTest
    regions: Sequence[Region]
    """By level; empty in a run that has no atlas."""
    glossary: Sequence[Term]
    """What words mean; ``key`` is a column's, or a general word's."""
    verdicts: Sequence[RobustnessTest] | None
    """None: robustness was not tested."""
    card: Sequence[Fact]
    command: str
    """Empty: redacted, or the run was made from Python."""
    versions: Sequence[Pair]
    settings: Sequence[Pair]
    benchmarks: Sequence[BenchmarkSummary]
    columns: Sequence[Quantity]
    """Quantities of a concept: columns of ``concepts.parquet``."""
    per_benchmark: Sequence[str]
    """Columns of ``concepts/K.parquet``: those that each benchmark has values of its own of."""
    overlap: Overlap


Range = tuple[int, int]
"""First character, and the one behind the last. Ranges count Unicode code points, not UTF-16 units."""
