"""Other people's lists in the report: entries with outcomes, rates beside chance, weak concepts that no entry names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from competency_gaps.matching.kept_lists import read_lists
from competency_gaps.matching.kept_records import By, KeptEntry, KeptList, MatchPair, OutcomeRate
from competency_gaps.matching.outcomes import NOT_COMPARED_WORDS, OUTCOME_WORDS, RATE_WORDS
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import decimal, integer, magnitude, percent, plural, signed

ENTRIES = 100
"""Entries of a list that are shown [ours]."""
CONCEPTS, THEMES = 3, 2
"""Concepts and themes of an entry that are shown [ours]."""
UNNAMED = 20
"""Weak concepts that no entry names, as many as are shown [ours]."""


_STRENGTH: Mapping[By, Sequence[tuple[str, str | None]]] = {
    "examples": [("AUROC", "auroc"), ("label", None)],
    "labels": [("similarity", None)],
}
"""Figures of a match itself; by labels, the similarity of the label is its strength."""
_FIGURES: Mapping[str, tuple[str, Callable[[float | None], str]]] = {
    "gap": ("gap", signed),
    "chi_model": ("χ model", decimal),
    "chi_bench": ("χ bench", magnitude),
    "lift": ("lift", lambda value: signed(value, 1)),
}
"""Figures of a concept or theme in the run."""


@dataclass(frozen=True)
class EntryRow:
    """An entry of a list and a concept or theme that matches it."""

    entry: KeptEntry
    outcome: str
    pair: MatchPair | None
    """None: nothing matches it."""
    concept: dict[str, Any] | None
    """Row of ``run.concepts``; None: it is a theme, or there is none."""
    figures: Sequence[str]
    """In the order of ``ListSection.figures``."""


@dataclass(frozen=True)
class ListSection:
    """A list that was compared with the run."""

    title: str
    where: str | None
    counts: str
    rates: Sequence[str]
    """Each rate beside chance, in words."""
    figures: Sequence[tuple[str, str | None]]
    """Columns of figures: the name, and the key of its glossary term; None: it has none."""
    rows: Sequence[EntryRow]
    left: int
    """Entries that are not shown."""
    unnamed: Sequence[dict[str, Any]]
    """Rows of ``run.concepts``."""
    unnamed_total: int
    weak: str
    """What these are out of."""


def list_sections(run: RunFolder) -> list[ListSection]:
    """Describe every list that was compared with the run; empty: none was."""
    return [_section(run, kept) for kept in read_lists(run)]


def _section(run: RunFolder, kept: KeptList) -> ListSection:
    order = list(OUTCOME_WORDS)
    ordered = sorted(kept.entries, key=lambda entry: (order.index(entry.outcome), -_strength(entry)))
    number = {name: sum(entry.outcome == name for entry in kept.entries) for name in order}
    counts = ", ".join(f"{integer(count)} {OUTCOME_WORDS[name]}" for name, count in number.items() if count)
    noun = "weak concept" if kept.by == "examples" else "labelled weak concept"
    return ListSection(
        title=f"{kept.taxonomy}, by {kept.by}",
        where=kept.where,
        counts=f"{integer(len(kept.entries))} entries: {counts}.",
        rates=[_rate(rate) for rate in kept.rates],
        figures=[*_STRENGTH[kept.by], *((name, key) for key, (name, _) in _FIGURES.items())],
        rows=[row for entry in ordered[:ENTRIES] for row in _rows(run, kept, entry)],
        left=max(0, len(ordered) - ENTRIES),
        unnamed=[run.concepts.row(concept, named=True) for concept in kept.unnamed[:UNNAMED]],
        unnamed_total=len(kept.unnamed),
        weak=plural(kept.weak_concepts, noun),
    )


def _strength(entry: KeptEntry) -> float:
    return entry.pairs[0].strength if entry.pairs else float("-inf")


def _rows(run: RunFolder, kept: KeptList, entry: KeptEntry) -> Iterator[EntryRow]:
    """A row per concept and theme, the strongest first; one row where nothing matches."""
    concepts = [pair for pair in entry.pairs if pair.concept is not None][:CONCEPTS]
    themes = [pair for pair in entry.pairs if pair.concept is None][:THEMES]
    pairs: Sequence[MatchPair | None] = [*concepts, *themes] or [None]
    for pair in pairs:
        own = None if pair is None else [pair.strength, pair.label_similarity][: len(_STRENGTH[kept.by])]
        concept = None if pair is None or pair.concept is None else run.concepts.row(pair.concept, named=True)
        known = concept or _theme(run, pair) or {}
        figures = [decimal(value) for value in own or [None] * len(_STRENGTH[kept.by])]
        figures += [show(known.get(key)) for key, (_, show) in _FIGURES.items()]
        yield EntryRow(entry, _outcome(entry), pair, concept, figures)


def _theme(run: RunFolder, pair: MatchPair | None) -> dict[str, Any] | None:
    """What the run says of a pair's theme; None: nothing, or it is none."""
    if pair is None or pair.theme is None or run.theme_results is None:
        return None
    return next(run.theme_results.filter(level=pair.level, id=pair.theme).iter_rows(named=True), None)


def _outcome(entry: KeptEntry) -> str:
    why = "" if entry.not_compared is None else f": {NOT_COMPARED_WORDS[entry.not_compared]}"
    return OUTCOME_WORDS[entry.outcome] + why


def _rate(rate: OutcomeRate) -> str:
    share = f"{integer(rate.count)} of {integer(rate.of)}"
    if rate.low is not None and rate.high is not None:
        share += f" ({percent(rate.count, rate.of)}; 95%: {rate.low:.0%} to {rate.high:.0%})"
    chance = "by chance not computed"
    if rate.expected is not None:
        chance = f"by chance {rate.expected:.1f}"
        if rate.expected_low is not None and rate.expected_high is not None:
            chance += f" ({rate.expected_low:.0f} to {rate.expected_high:.0f})"
        if rate.p_value is not None:
            chance += f", p = {magnitude(rate.p_value)}"
    return f"{RATE_WORDS[rate.outcome]}: {share}; {chance}"
