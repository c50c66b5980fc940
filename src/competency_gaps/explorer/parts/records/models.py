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
class MatrixColumn:
    """A theme, or a group of concepts that share their items."""

    id: int
    """Number of the theme, or of the group's leading concept."""
    name: str | None
    """The theme's, or the leading concept's label."""
    concepts: int
    """How many a group has, the leading one included; 0: it is a theme."""


@dataclass(frozen=True)
class MatrixCell:
    """How a model does on a theme or group."""

    mean: float | None
    """Mean outcome of its items, weighted by its activation."""
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    q_value: float | None
    """By Benjamini and Hochberg: over all cells of themes; of groups, over all models and concepts. None: not
    tested."""
    n_eff: float
    status: Literal["weak", "strong", "typical", "insufficient"]


@dataclass(frozen=True)
class Matrix:
    """Models against themes or groups, each in an order in which similar ones stand side by side."""

    kind: Literal["score", "peers"]
    """A column's items against the model's other items; or besides, against models of its level."""
    models: Sequence[int]
    """Places in ``ModelsFile.models``."""
    columns: Sequence[MatrixColumn]
    cells: Sequence[Sequence[MatrixCell]]
    """One list per model."""


@dataclass(frozen=True)
class ModelsFile:
    """``data/KEY/models.json``: of a run with the scores of several models."""

    models: Sequence[ListedModel]
    matrices: Sequence[Matrix]
    """Models against themes, of scores, and where there are enough models, of scores against peers; empty in a run
    without themes."""


@dataclass(frozen=True)
class GroupsFile:
    """``data/KEY/groups.json``: the same against groups of concepts, which take longer to find."""

    matrices: Sequence[Matrix]
    """Of scores, and of scores against peers; without columns where no concept stands out for any model."""


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
class Pairing:
    """Two models of the run KEY (``data/KEY/pairs/N.json``), the later one being the candidate; or the run OTHER, the
    candidate, against the run KEY, the baseline (``data/KEY/against/OTHER.json``)."""

    why: str | None
    """Why nothing pairs; None: something does."""
    scores: PairedScores | None
