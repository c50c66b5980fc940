"""Select and order the concepts of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from competency_gaps.errors import UserError, nearest
from competency_gaps.presentation import columns
from competency_gaps.presentation.columns import Column
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.search import find_concepts, near_labels
from competency_gaps.text import plural, shorten

_NEAR = 5
"""Near labels that a search without a match names."""


@dataclass(frozen=True)
class Listing:
    """Selected concepts and how to show them."""

    concepts: pl.DataFrame
    """All of them, in order: rows of ``run.concepts`` without ``tau``, or of one benchmark with labels and kinds."""
    columns: tuple[Column, ...]
    """Columns to show, the most important first."""
    keep: int
    """Number of leading columns that are shown even where the terminal is too narrow."""
    sentence: str | None = None
    """Search words and number of matching labels, in a sentence; None: no search."""


def list_concepts(
    run: RunFolder,
    *,
    benchmark: str | None = None,
    sort: str | None = None,
    words: str | None = None,
    every: bool = False,
) -> Listing:
    """List concepts.

    Parameters
    ----------
    run : RunFolder
    benchmark : str, optional
        One benchmark's figures instead of the whole suite's.
    sort : str, optional
        Column, by its name or the header that tables print; a leading ``-`` for the highest first; undefined values
        come last. None: the best match of ``words`` first; else every concept by its number, or the weak ones by their
        gap.
    words : str, optional
        Only concepts whose labels have these words, those that are not ranked or tested too.
    every : bool
        Also concepts of kinds that are not ranked, and those with too little data to test.

    Raises
    ------
    UserError
        If there is no such benchmark or column, or no label has the words; near labels are named.
    """
    table = _table(run, benchmark)
    column = _sort_key((sort or "gap").removeprefix("-"), table.columns)
    sentence = None
    if words is not None:
        matches = _matches(run.concepts, words)
        table = matches.select("concept").join(table, on="concept", how="left", maintain_order="left")
        have = "has" if matches.height == 1 else "have"
        sentence = f"{plural(matches.height, 'label')} {have} the words {shorten(words, 80)!r}."
    elif not every:
        table = _chosen(table, column, only_weak=sort is None)
    if sort is not None or (words is None and not every):
        # Of two equal values the lower number goes first, whatever the direction.
        descending = [(sort or "").startswith("-"), False]
        table = table.sort(column, "concept", descending=descending, nulls_last=True)
    elif words is None:
        table = table.sort("concept")
    shown = _columns(table, column if sort is not None else None)
    return Listing(table, shown, keep=3 if shown == columns.LISTED else 2, sentence=sentence)


def _sort_key(name: str, keys: Sequence[str]) -> str:
    key = columns.key_named(name, keys)
    if key is None:
        raise UserError(f"sort {name!r}: there is no such column.{nearest(name, keys)} Known: {', '.join(keys)}")
    return key


def _matches(concepts: pl.DataFrame, words: str) -> pl.DataFrame:
    matches = find_concepts(concepts, words)
    if matches.height:
        return matches
    near = near_labels(concepts, words, _NEAR)
    named = "; ".join(f"{row['concept']} {shorten(row['label'], 80)!r}" for row in near.iter_rows(named=True))
    raise UserError(f"no concept's label has the words {shorten(words, 80)!r}." + (f" Near: {named}." if named else ""))


def _columns(table: pl.DataFrame, column: str | None) -> tuple[Column, ...]:
    """Columns to show: the column that the list is sorted by goes first, else gap, verdict and effective sample."""
    if column in (None, "concept", "label", columns.GAP.key):
        return columns.LISTED
    first = columns.column_of(str(column), table.schema[str(column)])
    rest = (columns.PERFORMANCE_STATUS, *columns.LISTED)
    return tuple({shown.key: shown for shown in (first, *rest)}.values())


def _chosen(table: pl.DataFrame, column: str, *, only_weak: bool) -> pl.DataFrame:
    """Drop concepts that are not ranked, then those that are not weak or, for a column of performance, not tested."""
    table = table.filter(pl.col("ranked"))
    if only_weak:
        return table.filter(pl.col("performance_status") == "weak")
    if column.startswith(("chi_model", "gap", "p_value", "q_value", "performance")):
        return table.filter(pl.col("q_value").is_not_null())
    return table


def _table(run: RunFolder, benchmark: str | None) -> pl.DataFrame:
    if benchmark is None:
        return run.concepts.drop("tau", strict=False)
    known: list[Any] = run.benchmarks["benchmark"].to_list()
    if benchmark not in known:
        raise UserError(
            f"the run has no benchmark {benchmark!r}; it has {', '.join(known)}.{nearest(benchmark, known)}"
        )
    own = run.concept_benchmarks.filter(pl.col("benchmark") == benchmark).drop("benchmark")
    marks = [name for name in ("label_kind", "label_score", "label_scored_by") if name in run.concepts.columns]
    facts = run.concepts.select("concept", "label", *marks, "alive", "kind", "ranked", "peak_token")
    return facts.join(own, on="concept", how="left", maintain_order="left")
