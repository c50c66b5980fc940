"""What is read of the files that ``cgaps match`` keeps."""

from __future__ import annotations

from typing import Literal

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


class ChanceForm(FilePart):
    """How many entries have an outcome, and how many by chance."""

    observed: ShareForm
    expected: float
    low: float
    high: float
    p_value: float


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
    untested: bool


class _LabelPairForm(FilePart):
    entry: str
    label_text: str
    similarity: float
    p_value: float
    verdict: PairVerdict | None
    """None: not asked."""


class LabelConceptForm(_LabelPairForm):
    """A concept whose label matches an entry."""

    concept: Count


class LabelThemeForm(_LabelPairForm):
    """A theme whose name matches an entry."""

    level: Level
    id: Count


class _CalibrationForm(FilePart):
    realised: ShareForm


class _ListForm(FilePart):
    created: str
    taxonomy: str
    taxonomy_is_path: bool
    """Else a column of the items, or names of conditions."""
    where: str | None
    """None: all entries, or withheld."""


class LabelsForm(_ListForm):
    """A list that was compared with labels."""

    alpha: float
    entries: list[LabelEntryForm]
    pairs: list[LabelConceptForm]
    themes: list[LabelThemeForm]
    recovery: ShareForm
    weak: ChanceForm
    untested: ChanceForm
    calibration: _CalibrationForm
    unnamed: list[ConceptForm]
    unnamed_share: ShareForm


class ExampleEntryForm(_EntryForm):
    """An entry that was compared by its examples."""

    examples: Count
    example_rows: list[Count] | None
    """None: withheld."""
    outcome: Outcome
    not_compared: NotCompared | None = None


class _ExamplePairForm(FilePart):
    entry: str
    auroc: float
    p_value: float


class ExampleConceptForm(_ExamplePairForm):
    """A confirmed concept."""

    concept: Count
    label: str | None
    """None: the run has none."""
    label_similarity: float | None
    """None: no label, or not compared."""
    leader: Count


class ExampleThemeForm(_ExamplePairForm):
    """A confirmed theme."""

    theme: Count
    name: str | None
    """None: it has none."""


class _LeftOutForm(FilePart):
    entry: str


class _ExamplesRunForm(FilePart):
    path: str
    content_sha256: list[str]


class ExamplesForm(_ListForm):
    """A list that was compared by its entries' examples."""

    q: float
    entries: list[ExampleEntryForm]
    pairs: list[ExampleConceptForm]
    themes: list[ExampleThemeForm]
    matched: ChanceForm
    weak: ChanceForm
    untested: ChanceForm
    unexplained: list[ConceptForm]
    weak_concepts: Count
    left_out_examples: list[_LeftOutForm]
    examples_run: _ExamplesRunForm | None
    """None: the examples are items of the run itself."""
