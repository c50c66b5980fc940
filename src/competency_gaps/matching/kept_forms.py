"""What is read of the files that ``cgaps match`` keeps."""

from __future__ import annotations

from typing import Literal

import pydantic

from competency_gaps.matching.kept_files import Count, FilePart
from competency_gaps.matching.outcomes import NotCompared, Outcome

PairVerdict = Literal["same", "related", "unconfirmed"]
Level = Literal["theme", "subtheme"]


class ShareForm(FilePart):
    """A count of entries."""

    count: Count
    of: Count
    low: float | None
    high: float | None


class ConceptForm(FilePart):
    """A concept that matches no entry."""

    concept: Count


class _EntryForm(FilePart):
    entry: str
    description: str
    domain: str | None
    category: str | None
    score: float | None


class LabelEntryForm(_EntryForm):
    """An entry that was compared with labels."""

    bound: float
    recovered: bool
    recovered_weak: bool


class LabelPairForm(FilePart):
    """A matched concept, or a matched theme: ``level`` and ``id``."""

    entry: str
    concept: Count | None = None
    level: Level | None = None
    id: Count | None = None
    label_text: str
    similarity: float
    p_value: float
    coverage_status: str | None = None
    verdict: PairVerdict | None = None

    @pydantic.model_validator(mode="after")
    def _names_a_concept_or_a_theme(self) -> LabelPairForm:
        if (self.concept is None) == (self.level is None or self.id is None):
            raise ValueError("expected either a concept, or the level and id of a theme")
        return self


class _CalibrationForm(FilePart):
    realised: ShareForm


class _WeakByChanceForm(FilePart):
    expected: float
    p_value: float


class LabelsForm(FilePart):
    """A list that was compared with labels."""

    created: str = ""
    taxonomy: str
    taxonomy_is_path: bool = True
    """Else a column of the items, or names of conditions."""
    where: str | None = None
    alpha: float | None = None
    entries: list[LabelEntryForm]
    pairs: list[LabelPairForm]
    themes: list[LabelPairForm]
    recovery: ShareForm
    recovery_weak: ShareForm
    weak_by_chance: _WeakByChanceForm
    calibration: _CalibrationForm
    unnamed: list[ConceptForm]
    unnamed_share: ShareForm


class ExampleEntryForm(_EntryForm):
    """An entry that was compared by its examples."""

    examples: Count
    example_rows: list[Count] | None = None
    outcome: Outcome
    not_compared: NotCompared | None = None


class ExamplePairForm(FilePart):
    """A confirmed concept, or a confirmed theme."""

    entry: str
    concept: Count | None = None
    theme: Count | None = None
    label: str | None = None
    name: str | None = None
    auroc: float
    p_value: float
    leader: int | None = None

    @pydantic.model_validator(mode="after")
    def _names_a_concept_or_a_theme(self) -> ExamplePairForm:
        if (self.concept is None) == (self.theme is None):
            raise ValueError("expected either a concept or a theme")
        return self


class ChanceForm(FilePart):
    """How many entries have an outcome, and how many by chance."""

    observed: ShareForm
    expected: float
    low: float
    high: float
    p_value: float


class _LeftOutForm(FilePart):
    entry: str


class _ExamplesRunForm(FilePart):
    path: str
    content_sha256: list[str]


class ExamplesForm(FilePart):
    """A list that was compared by its entries' examples."""

    created: str = ""
    taxonomy: str
    taxonomy_is_path: bool = True
    """Else a column of the items, or names of conditions."""
    where: str | None = None
    q: float
    entries: list[ExampleEntryForm]
    pairs: list[ExamplePairForm]
    themes: list[ExamplePairForm]
    matched: ChanceForm
    weak: ChanceForm
    untested: ChanceForm
    unexplained: list[ConceptForm]
    weak_concepts: Count
    left_out_examples: list[_LeftOutForm]
    examples_run: _ExamplesRunForm | None = None
