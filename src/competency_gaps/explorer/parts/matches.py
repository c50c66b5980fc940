"""Other people's lists beside the run: ``matches.json``, and the examples of their entries, ``entry/N.json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from competency_gaps.errors import UserError
from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.item import active_concepts, read_text
from competency_gaps.explorer.parts.paths import last_names
from competency_gaps.explorer.parts.records.matches import (
    EntryExample,
    EntryExamples,
    ListedEntry,
    MatchedList,
    MatchesFile,
)
from competency_gaps.explorer.parts.records.plain import from_row
from competency_gaps.matching.kept_records import KeptEntry, KeptList


def matches_file(context: Context) -> MatchesFile:
    """Give every list that was compared with the run."""
    return MatchesFile([_list(context, kept) for kept in context.sources.lists])


def _list(context: Context, kept: KeptList) -> MatchedList:
    where = kept.where
    return from_row(
        MatchedList,
        vars(kept),
        name=kept.taxonomy,
        where=last_names(where) if where and context.portable else where,
        entries=[from_row(ListedEntry, vars(entry)) for entry in kept.entries],
    )


def entry_examples(context: Context, numbers: range) -> list[EntryExamples]:
    """Show the examples of entries, as far as they are there.

    Parameters
    ----------
    context
        The run, and how much of it is shown; redacted, no example is.
    numbers : range
        Places among the entries of all lists, in steps of one.

    Returns
    -------
    list of EntryExamples
        One per entry.
    """
    every = [(place, entry) for place, kept in enumerate(context.sources.lists) for entry in kept.entries]
    return [_examples(context, number, *every[number]) for number in numbers]


def _examples(context: Context, number: int, place: int, entry: KeptEntry) -> EntryExamples:
    kept = context.sources.lists[place]
    absent = _absent(context, kept, entry)
    if absent is not None:
        return EntryExamples(number, absent, tokens=False, examples=[])
    holder = context.example_holders[place]
    if not isinstance(holder, Context):
        return EntryExamples(number, holder, tokens=False, examples=[])
    rows = (entry.example_rows or [])[: context.amounts.entry_examples]
    if any(row >= holder.items.height for row in rows):
        raise UserError(
            f"the entry {entry.entry!r} of {kept.taxonomy} has examples that its run does not have: run 'cgaps match' "
            "again."
        )
    concepts = [pair.concept for pair in entry.pairs if pair.concept is not None]
    own = kept.examples_run is None
    shown = [_example(holder, row, concepts, own=own) for row in rows]
    return EntryExamples(number, None, holder.run.has_token_activations, shown)


def _absent(context: Context, kept: KeptList, entry: KeptEntry) -> Literal["labels", "none", "redacted"] | None:
    if kept.by == "labels":
        return "labels"
    if not entry.examples:
        return "none"
    return "redacted" if context.redacted else None


def _example(holder: Context, row: int, concepts: Sequence[int], *, own: bool) -> EntryExample:
    held = holder.sources.texts.rows(row, 1).row(0, named=True)
    return EntryExample(
        item=row if own else None,
        **read_text(holder, row, {**held, "text": held["text"] or ""}),
        concepts=active_concepts(holder, row, of=concepts),
    )
