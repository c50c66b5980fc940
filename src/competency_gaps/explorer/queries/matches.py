"""Questions about other people's lists that were compared with the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.explorer.parts.matches import entry_examples, matches_file
from competency_gaps.explorer.parts.records.matches import EntryExample, ListedEntry, MatchedList
from competency_gaps.explorer.queries.arguments import KnownWeaknesses, OneKnownWeakness
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import AtMost, Number, QueryAnswer, Text300
from competency_gaps.matching.kept_records import MatchPair
from competency_gaps.matching.outcomes import NOT_COMPARED_WORDS

LISTED = 50
"""Most lists that an answer names [ours]."""


class RateLine(QueryAnswer):
    """How many entries have an outcome (matched: in all), and how many by chance; None: not computed."""

    outcome: str
    count: int
    of: int
    low: Number
    high: Number
    expected: Number
    expected_low: Number
    expected_high: Number
    p_value: Number


class ListLine(QueryAnswer):
    """A list that was compared with the run, by what its entries' examples excite or by concepts' labels."""

    list_number: int
    name: str
    by: str
    where: str | None
    entries: int


class EntryLine(QueryAnswer):
    """An entry; its strongest match, by labels a cosine, by examples an AUROC."""

    number: int
    description: Text300
    domain: str | None
    category: str | None
    score: Number
    outcome: str
    examples: int | None
    matches: int
    concept: int | None
    theme: int | None
    label: str | None
    strength: Number


class UnnamedLine(QueryAnswer):
    """A weak concept that no entry names."""

    concept: int
    label: str | None
    gap: Number
    q_value: Number
    support: int


class KnownWeaknessList(QueryAnswer):
    """All lists, and of one its rates, those of its entries that qualify (``total``), and the weak concepts (of
    ``weak_concepts``) that match none of its entries."""

    lists: list[ListLine]
    list_number: int
    rates: list[RateLine]
    total: int
    entries: list[EntryLine]
    weak_concepts: int
    unnamed_total: int
    unnamed: list[UnnamedLine]


_FACTS = ("performance_status", "coverage_status", "gap", "q_value", "chi_model", "chi_bench", "lift")
"""What the run says of a concept or theme; themes have no lift and no coverage."""


class PairLine(QueryAnswer):
    """A concept or theme that an entry matches, how near its label is to the entry's description (by examples), and
    what the run says of it."""

    concept: int | None
    level: str | None
    theme: int | None
    label: str | None
    strength: Number
    p_value: Number
    verdict: str | None
    leader: int | None
    label_similarity: Number
    performance_status: str | None
    coverage_status: str | None
    gap: Number
    q_value: Number
    chi_model: Number
    chi_bench: Number
    lift: Number


class EntryExampleLine(QueryAnswer):
    """An example of an entry, and which of the entry's concepts are active in it."""

    item: int | None
    text: Text300
    concepts: list[int]


class KnownWeakness(QueryAnswer):
    """An entry of a list. ``absent``: why no example is shown."""

    list_name: str
    by: str
    number: int
    entry: str
    description: Annotated[str, AtMost(2000)]
    domain: str | None
    category: str | None
    score: Number
    outcome: str
    not_compared: str | None
    examples: int | None
    pairs: list[PairLine]
    absent: str | None
    shown: list[EntryExampleLine]


def known_weaknesses(subject: Subject, arguments: KnownWeaknesses) -> KnownWeaknessList:
    """List entries of a list that was compared with the run."""
    lists = _lists(subject)
    if arguments.list_number >= len(lists):
        raise UserError(f"there is no list {arguments.list_number}: expected 0 to {len(lists) - 1}.")
    chosen = lists[arguments.list_number]
    first = sum(len(held.entries) for held in lists[: arguments.list_number])
    entries = [
        _line(entry, number)
        for number, entry in enumerate(chosen.entries, first)
        if arguments.outcome in (None, entry.outcome) and _holds(entry, arguments.text)
    ]
    unnamed = subject.concepts.filter(pl.col("concept").is_in(chosen.unnamed))
    facts = {row["concept"]: row for row in unnamed.iter_rows(named=True)}
    return KnownWeaknessList(
        lists=[
            ListLine.model_validate({**vars(held), "list_number": place, "entries": len(held.entries)})
            for place, held in enumerate(lists[:LISTED])
        ],
        list_number=arguments.list_number,
        rates=[RateLine.model_validate(rate) for rate in chosen.rates],
        total=len(entries),
        entries=entries[: arguments.limit],
        weak_concepts=chosen.weak_concepts,
        unnamed_total=len(chosen.unnamed),
        unnamed=[UnnamedLine.model_validate(facts[concept]) for concept in chosen.unnamed[: arguments.limit]],
    )


def known_weakness(subject: Subject, arguments: OneKnownWeakness) -> KnownWeakness:
    """Tell all about one entry."""
    every = [(held, entry) for held in _lists(subject) for entry in held.entries]
    if arguments.number >= len(every):
        raise UserError(f"there is no entry {arguments.number}: expected 0 to {len(every) - 1}.")
    held, entry = every[arguments.number]
    number = arguments.number
    (examples,) = entry_examples(subject.context, range(number, number + 1))
    return KnownWeakness(
        list_name=held.name,
        by=held.by,
        number=number,
        **{name: getattr(entry, name) for name in ("entry", "description", "domain", "category", "score")},
        outcome=entry.outcome,
        not_compared=None if entry.not_compared is None else NOT_COMPARED_WORDS[entry.not_compared],
        examples=entry.examples,
        pairs=[PairLine.model_validate(fact) for fact in _facts(subject, entry.pairs)],
        absent=examples.absent,
        shown=[_example(example) for example in examples.examples[: arguments.examples]],
    )


def _lists(subject: Subject) -> list[MatchedList]:
    lists = list(matches_file(subject.context).lists)
    if not lists:
        raise UserError("this run was compared with no list of known weaknesses. 'cgaps match' does that.")
    return lists


def _holds(entry: ListedEntry, text: str | None) -> bool:
    parts = (entry.entry, entry.description, entry.domain, entry.category)
    return text is None or any(text.lower() in part.lower() for part in parts if part)


def _line(entry: ListedEntry, number: int) -> EntryLine:
    strongest = vars(entry.pairs[0]) if entry.pairs else dict.fromkeys(("concept", "theme", "label", "strength"))
    return EntryLine.model_validate({**strongest, **vars(entry), "number": number, "matches": len(entry.pairs)})


def _facts(subject: Subject, pairs: Sequence[MatchPair]) -> Iterator[Mapping[str, Any]]:
    """Each pair with what the run says of its concept or theme."""
    themes = subject.run.theme_results
    for pair in pairs:
        if pair.concept is not None:
            row = subject.concepts.row(pair.concept, named=True)
        else:
            own = None if themes is None else themes.filter(level=pair.level, id=pair.theme)
            row = {} if own is None or own.is_empty() else own.row(0, named=True)
        yield {**vars(pair), **{name: row.get(name) for name in _FACTS}}


def _example(example: EntryExample) -> EntryExampleLine:
    start, end = example.own or (0, len(example.text))
    return EntryExampleLine(
        item=example.item,
        text=example.text[start:end],
        concepts=[active.concept for active in example.concepts],
    )
