"""Findings of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Range = tuple[int, int]
"""First character, and the one behind the last. Ranges count Unicode code points, not UTF-16 units."""


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
    """Number of these items when each cluster counts once."""
    unit: Literal["right", "score", "parsed", "peers", "difference"]
    """What ``mean_score``, ``feature_score`` and ``other_score`` are: shares of right answers, mean scores where
    answers get parts of a point, or means of another outcome."""
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
    """A feature that its items share and the others of the same benchmarks lack; None: there is none. Its figures are
    of the items with it."""
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
    """Its evidence, in sentences."""
    failing: Sequence[FindingExample]
    passing: Sequence[FindingExample]
    unseen_gap: float | None
    """Mean gap on the items left out, over the ``unseen_splits`` of ``splits`` half-samples that find it again."""
    unseen_low: float | None
    unseen_high: float | None
    unseen_splits: int
    splits: int
    holds: bool | None
    """None: undecided, since too few splits find it again."""
    command: str
    """The command that tests it further."""
    command_note: str


@dataclass(frozen=True)
class FindingItems:
    """The items of a finding in ``findings.json``, those that weigh most first, at most 500."""

    finding: int
    item_rows: Sequence[int]
    weights: Sequence[float]
