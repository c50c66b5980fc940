"""A list that was compared with a run, as it is read back: its entries, what matches them, rates beside chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from competency_gaps.matching.kept_forms import Level, PairVerdict
from competency_gaps.matching.outcomes import NotCompared, Outcome, RatedOutcome

By = Literal["examples", "labels"]


@dataclass(frozen=True)
class MatchPair:
    """A concept or theme that an entry matches."""

    concept: int | None
    """None: a theme."""
    level: Level | None
    """None: a concept."""
    theme: int | None
    """Number of the theme on its level; None: a concept."""
    label: str | None
    """Label of the concept, or name of the theme, when they were matched; None: it had none."""
    strength: float
    """By labels the cosine of the embedded texts, in [-1, 1]; by examples the AUROC among examples of
    equal length, in [0.5, 1]."""
    p_value: float
    """By labels the share of the null's draws whose best label is as similar, in (0, 1]."""
    verdict: PairVerdict | None
    """A model's verdict; None: not asked. Pairs judged unrelated are no matches."""
    leader: int | None
    """By examples, the concept whose examples it shares (itself if it leads); None: by labels, or a theme."""
    label_similarity: float | None
    """By examples, cosine of the embedded label and the entry's description, in [-1, 1]; None: by labels (where it is
    the strength), a theme, no label, or not compared."""


@dataclass(frozen=True)
class KeptEntry:
    """An entry of a list."""

    number: int
    """Position in the list, from 1; identifies the entry where its texts are withheld."""
    entry: str
    """Its id."""
    description: str
    domain: str | None
    category: str | None
    score: float | None
    """The list's own, on its own scale."""
    outcome: Outcome
    not_compared: NotCompared | None
    """Why it was not compared by examples; None: it was, or by labels."""
    bound: float | None
    """By labels, the similarity that a share alpha of the null's draws reaches; None: by examples."""
    examples: int | None
    """Examples that were read and count, one of a cluster; None: by labels."""
    example_rows: Sequence[int] | None
    """Rows of ``items.parquet`` of the run that holds them; None: by labels, or withheld."""
    pairs: Sequence[MatchPair]
    """Concepts before themes, the strongest first."""

    @property
    def title(self) -> str:
        """Its id, and its description where that says more."""
        return self.entry if self.description == self.entry else f"{self.entry}: {self.description}"


@dataclass(frozen=True)
class OutcomeRate:
    """How many entries have an outcome, and how many by chance."""

    outcome: RatedOutcome
    """``matched``: weak and untested entries are among them."""
    count: int
    of: int
    """Entries that were compared."""
    low: float | None
    """Ends of the share's interval at 95%; None: no entry was compared."""
    high: float | None
    expected: float | None
    """Entries by chance, on average; None: not computed."""
    expected_low: float | None
    """Ends of what 95% of the draws give; None: not computed."""
    expected_high: float | None
    p_value: float | None
    """Share of the draws with as many; None: not computed."""


@dataclass(frozen=True)
class ExamplesRun:
    """The run that read a list's examples."""

    path: Path
    content_sha256: Sequence[str]
    """Of its benchmarks: another run that lies there now is not shown."""


@dataclass(frozen=True)
class KeptList:
    """A list as it was compared with the run, by labels or by examples."""

    taxonomy: str
    """Name of its file or folder, without its path, which is private to the run's author."""
    by: By
    created: str
    """UTC."""
    where: str | None
    """SQL condition on its entries; None: all, or withheld."""
    level: float
    """By labels, the chance that an entry which no label fits matches something; by examples, the share of the matched
    entries that may be matched by accident."""
    entries: Sequence[KeptEntry]
    rates: Sequence[OutcomeRate]
    """Matched, weak, untested."""
    unnamed: Sequence[int]
    """Weak concepts that match no entry, in the order in which they were kept."""
    weak_concepts: int
    """Weak concepts of the run; by labels, those with a label."""
    left_out: int
    """Examples that could not be read."""
    examples_run: ExamplesRun | None
    """None: the examples are items of the run itself, or there are none."""
