"""Other people's lists of weaknesses, qualities or probes, as they were compared with the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from competency_gaps.explorer.parts.records.details import ActiveConcept, Cut
from competency_gaps.explorer.parts.records.findings import Range
from competency_gaps.matching.kept_records import MatchPair, OutcomeRate
from competency_gaps.matching.outcomes import NotCompared, Outcome


@dataclass(frozen=True)
class ListedEntry:
    """An entry of a list. Its number on the page is its place among the entries of all lists."""

    entry: str
    """Its id; redacted, its number in the list, from 1."""
    description: str
    """The same where redacted."""
    domain: str | None
    category: str | None
    score: float | None
    """The list's own, on its own scale."""
    outcome: Outcome
    not_compared: NotCompared | None
    """Why it was not compared by examples; None: it was, or by labels."""
    examples: int | None
    """Examples that were read and count, one of a cluster; None: by labels."""
    pairs: Sequence[MatchPair]
    """Concepts before themes, the strongest first."""


@dataclass(frozen=True)
class MatchedList:
    """A list that was compared with the run."""

    name: str
    """Of its file or folder."""
    by: Literal["examples", "labels"]
    """What its entries' examples excite, or its texts against concepts' labels."""
    created: str
    where: str | None
    """Condition on its entries; None: all, or redacted."""
    level: float
    """By labels, the chance that an entry which no label fits matches something; by examples, the share of the matched
    entries that may be matched by accident."""
    rates: Sequence[OutcomeRate]
    """Matched, weak, untested."""
    entries: Sequence[ListedEntry]
    unnamed: Sequence[int]
    """Weak concepts that match no entry, the most important first."""
    weak_concepts: int
    """Weak concepts of the run; by labels, those with a label."""
    left_out: int
    """Examples that could not be read."""


@dataclass(frozen=True)
class MatchesFile:
    """``data/KEY/matches.json``: of a run that was compared with lists."""

    lists: Sequence[MatchedList]


@dataclass(frozen=True)
class EntryExample:
    """An example of an entry."""

    item: int | None
    """Row of the run's item that it is; None: a prompt of the list."""
    text: str
    """All that the model read."""
    cut: Cut | None
    """As of ``ItemDetail``."""
    own: Range | None
    """Range of the example's own text in ``text``."""
    concepts: Sequence[ActiveConcept]
    """Those of the entry's concepts that are active in it."""


@dataclass(frozen=True)
class EntryExamples:
    """An entry of ``data/KEY/entry/N.json``, which holds entries N * shards.entries onwards."""

    number: int
    absent: Literal["labels", "none", "redacted", "gone", "changed", "pruned"] | None
    """Why no example is shown: the list was compared by labels; none was read; they are withheld; the
    run that read them is not there any more, is another now, or was pruned. None: they are shown."""
    tokens: bool
    """Whether activations of single tokens are known; else only the strongest token is."""
    examples: Sequence[EntryExample]
    """Where a concept is matched, those in which the strongest is most active come first."""
