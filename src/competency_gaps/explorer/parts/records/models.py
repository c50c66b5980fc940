"""All models that a run has scores of, by theme, and two of them, or two runs, set against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Change = Literal["better", "worse", "same"]


@dataclass(frozen=True)
class ListedModel:
    """A model that the run has scores of."""

    name: str
    reads: bool
    """Whether the concepts are read from its activations."""
    scored: int
    unscored: int
    mean: float | None
    low: float | None
    high: float | None
    command: str
    """Command that makes its tables, so that the run can be shown as its."""


@dataclass(frozen=True)
class NamedTheme:
    """A theme by its number and name."""

    id: int
    name: str | None


@dataclass(frozen=True)
class ThemeCell:
    """How a model does on a theme."""

    mean: float | None
    """Mean outcome of the theme's items, weighted by its activation."""
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    q_value: float | None
    """By Benjamini and Hochberg over all tested cells; None: not tested."""
    n_eff: float
    status: Literal["weak", "strong", "typical", "insufficient"]


@dataclass(frozen=True)
class ThemeMatrix:
    """Models against themes, each in an order in which similar ones stand side by side."""

    kind: Literal["score", "peers"]
    """A theme against the model's other items; or besides, against models of its level."""
    models: Sequence[int]
    """Places in ``ModelsFile.models``."""
    themes: Sequence[int]
    """Places in ``ModelsFile.themes``."""
    cells: Sequence[Sequence[ThemeCell]]
    """One list per model."""


@dataclass(frozen=True)
class ModelsFile:
    """``data/KEY/models.json``: of a run with the scores of several models."""

    models: Sequence[ListedModel]
    themes: Sequence[NamedTheme]
    """Empty in a run that has none."""
    matrices: Sequence[ThemeMatrix]
    """Of scores, and where there are enough models, of scores against peers; empty without themes."""


@dataclass(frozen=True)
class Difference:
    """Scores of a candidate less those of a baseline, item by item."""

    clusters: int
    """Pairs that count once."""
    difference: float
    """In [-1, 1]."""
    low: float
    high: float
    p_value: float
    """By flipping the signs of whole clusters."""
    q_value: float
    """Corrected: of benchmarks by Holm, of themes and concepts by Benjamini and Hochberg."""
    better: int
    """Clusters on which the candidate did better, and ..."""
    worse: int
    """... worse: McNemar's counts."""
    detectable: float
    """The smallest difference found with a power of 0.8."""
    status: Change


@dataclass(frozen=True)
class BenchmarkDifference(Difference):
    """A difference in one benchmark."""

    benchmark: str


@dataclass(frozen=True)
class ThemeDifference(Difference):
    """A difference on one theme's items, and by how much it is larger there than on other items."""

    theme: int
    name: str | None
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    gap_q: float | None


@dataclass(frozen=True)
class ConceptDifference(Difference):
    """A difference on one concept's items, and by how much it is larger there than on other items."""

    concept: int
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    gap_q: float | None


@dataclass(frozen=True)
class PairedScores:
    """A candidate against a baseline on the items that both were scored on."""

    candidate: str
    baseline: str
    paired: int
    """Items scored for both."""
    only_candidate: int
    """Items scored for the candidate alone."""
    only_baseline: int
    overall: Difference
    benchmarks: Sequence[BenchmarkDifference]
    themes: Sequence[ThemeDifference]
    concepts: Sequence[ConceptDifference]
    """Empty where two models of one run are compared."""


@dataclass(frozen=True)
class PairedRuns:
    """``data/KEY/against/OTHER.json``: the run OTHER, the candidate, against the run KEY, the baseline."""

    why: str | None
    """Why nothing pairs; None: something does."""
    scores: PairedScores | None
