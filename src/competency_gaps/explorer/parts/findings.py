"""Findings as a page shows them: ``findings`` of ``run.json``, and the items of each in ``findings.json``."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import polars as pl

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.records import from_row
from competency_gaps.explorer.parts.records.run import Finding, FindingBenchmark, FindingExample, FindingItems
from competency_gaps.findings import Piece, fold, short, support, template_of
from competency_gaps.findings.examples import COMPARED
from competency_gaps.runs.open import RunFolder

Ranges = list[tuple[int, int]]


def finding_list(context: Context) -> list[Finding]:
    """All findings, weak ones first."""
    shown = {row for name in ("failing", "passing") for row in context.findings[name].explode().drop_nulls()}
    differing: Mapping[int, Ranges | None] = dict.fromkeys(shown)
    if context.texts:
        differing = differing_ranges(context.run, sorted(shown), context.items)
    return [_finding(context, row, differing) for row in context.findings.iter_rows(named=True)]


def finding_items(context: Context) -> list[FindingItems]:
    """``findings.json``: the items of each finding, those that weigh most first."""
    rows = context.findings.select("finding", "item_rows").iter_rows(named=True)
    return [FindingItems(**row) for row in rows]


def _finding(context: Context, row: Mapping[str, Any], differing: Mapping[int, Ranges | None]) -> Finding:
    return from_row(
        Finding,
        row,
        short=short(row),
        support=support(row, context.concepts),
        benchmarks=[
            FindingBenchmark(**{**part, "benchmark": context.place[part["benchmark"]]}) for part in row["benchmarks"]
        ],
        failing=_examples(context, row["failing"], differing),
        passing=_examples(context, row["passing"], differing),
        command=command(context, "check"),
        command_note="It tests whether findings hold on other draws of the items.",
    )


def _examples(context: Context, rows: Sequence[int], differing: Mapping[int, Ranges | None]) -> list[FindingExample]:
    clusters, repeated = context.items["cluster"], context.repeated
    return [FindingExample(row, len(repeated.get(clusters[row], [row])), differing[row]) for row in rows]


def differing_ranges(run: RunFolder, shown: Sequence[int], items: pl.DataFrame) -> dict[int, Ranges | None]:
    """Ranges of the own text of each example in which it differs from other items of its benchmark; None: no text."""
    place = items.select("benchmark").with_row_index("row")
    wanted = place.filter(pl.col("row").is_in(shown))
    samples = {
        name: _evenly(place.filter(pl.col("benchmark") == name)["row"].to_list())
        for name in wanted["benchmark"].unique(maintain_order=True)
    }
    rows = sorted({*shown, *(row for some in samples.values() for row in some)})
    prompts = dict(zip(rows, _prompts(run, rows), strict=True))
    templates = {name: template_of([prompts[row] or "" for row in some]) for name, some in samples.items()}
    return {
        row: None if (prompt := prompts[row]) is None else _ranges(fold(prompt, templates[name]))
        for row, name in wanted.iter_rows()
    }


def _evenly(rows: list[int]) -> list[int]:
    return rows[:: max(1, len(rows) // COMPARED)][:COMPARED]


def _prompts(run: RunFolder, rows: list[int]) -> list[str | None]:
    """Own texts of some items, in ascending order, read in one pass."""
    frame = run.scan("items").select("prompt").with_row_index("row").filter(pl.col("row").is_in(rows))
    return run.files.collect("items", frame)["prompt"].to_list()


def _ranges(pieces: Sequence[Piece]) -> Ranges:
    """Ranges of the pieces that differ; the whole text where none does."""
    ends = list(accumulate(len(piece.text) for piece in pieces))
    ranges = [
        (end - len(piece.text), end)
        for piece, end in zip(pieces, ends, strict=True)
        if not piece.is_constant and piece.text.strip()
    ]
    return ranges or [(0, ends[-1] if ends else 0)]


def command(context: Context, *words: str, options: Iterable[str] = ()) -> str:
    """Write a command on the run, as a shell takes it.

    Parameters
    ----------
    words : str
        The command's words, as ``check``.
    options : iterable of str
        What follows the run.
    """
    return shlex.join(["cgaps", *words, run_folder(context), *options])


def run_folder(context: Context) -> str:
    """The run's folder as a command names it: as it was given, but who has an export need not know where it lay."""
    run = context.run
    return run.base.resolve().name if context.portable else str(run.path)
