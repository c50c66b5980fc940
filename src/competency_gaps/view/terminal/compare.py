"""Two models compared, in a terminal and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.findings.compare import ALPHA, WEIGHTINGS, Comparison
from competency_gaps.findings.finding import Answer
from competency_gaps.util.errors import argument
from competency_gaps.util.files import write_text
from competency_gaps.util.text import listing, magnitude, percent, plural, shorten, signed, visible
from competency_gaps.view.terminal.answer import MIN_NAME_WIDTH, answer_view
from competency_gaps.view.terminal.tables import VERDICT_STYLES, aligned, plain
from competency_gaps.view.words import cut_at_word, headline, interval, sentence_of, short_name, signed_points

NAMED = 4
"""Names in a sentence, at most."""
ROWS = 5
"""Categories of each verdict that are shown, at most."""
STYLES = dict(zip(("lost", "gained", "no clear change"), (*VERDICT_STYLES.values(), ""), strict=True))
TABLE = "Mean scores by category, and the change expected on new items, in points:"
HEADS = ("before", "after", "change", "interval", "items")


def sentences(comparison: Comparison) -> tuple[list[str], list[str]]:
    """Return sentences above the list of slices (verdict, overall difference, what was not compared), and below it."""
    overall, *equal = comparison.overall.iter_rows(named=True)
    whole = (
        f"Overall {_spread(overall)} on {plural(comparison.paired, 'item')}, as measured: "
        f"better on {overall['better']:,}, worse on {overall['worse']:,}"
    )
    repeated = overall["clusters"] < comparison.paired
    whole += f" of {overall['clusters']:,}, counting repeated questions once." if repeated else "."
    other = [row for row in equal if _spread(row) != _spread(overall)]
    whole += "".join(f" With every benchmark weighted the same, {_spread(row)}." for row in other)
    weighted = "".join(f" ({magnitude(row['p_value'])} with benchmarks weighted the same)" for row in other)
    tests = (
        f"Test: p = {magnitude(overall['p_value'])} overall{weighted}, where a change of "
        f"{100 * overall['detectable']:.1f} points would have been detected."
    )
    if tested := comparison.slices["verdict"].count():
        tests += f" With {tested:,} categories tested as well, the chance of any false alarm is {percent(ALPHA, 1)}."
    if comparison.slices.filter((pl.col("low") > 0) | (pl.col("high") < 0), verdict="no clear change").height:
        tests += " An interval that excludes 0 without a clear change may be chance, among so many."
    return [_verdict(comparison), whole, *_not_compared(comparison)], [tests]


def categories(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the categories that changed most, by verdict: verdict, name, and cells under ``HEADS``."""
    ordered = comparison.slices.sort(pl.col("change").abs(), descending=True, maintain_order=True)
    rows = pl.concat([ordered.filter(verdict=verdict).head(ROWS) for verdict in STYLES])
    return [
        (
            *(row["verdict"], row["name"]),
            *(f"{100 * row[name]:.1f}" for name in HEADS[:2]),
            *(signed_points(row["change"]), f"({interval(row['low'], row['high'])})", f"{row['items']:,}"),
        )
        for row in rows.iter_rows(named=True)
    ]


def _not_compared(comparison: Comparison) -> list[str]:
    """Return sentences on items that only one model has a score for, and on whether they are harder or easier."""
    other = {comparison.candidate: comparison.baseline, comparison.baseline: comparison.candidate}
    unfair = {
        other[row["model"]]: f" (its score there: {signed_points(row['difference'])} points against similar items)"
        for row in comparison.missing.iter_rows(named=True)
        if row["p_value"] is not None and row["p_value"] <= ALPHA
    }
    sides = ((comparison.baseline, comparison.only_baseline), (comparison.candidate, comparison.only_candidate))
    parts = [
        f"{plural(len(count), 'item')} that only {short_name(model)} is scored on{unfair.get(model, '')}"
        for model, count in sides
        if count
    ]
    end = ". The items compared are therefore not a fair sample" if unfair else ""
    return [f"Not compared: {'; '.join(parts)}{end}."] if parts else []


def _verdict(comparison: Comparison) -> str:
    """The verdict in a sentence, with what was lost."""
    if comparison.verdict == "not comparable":
        return f"Cannot tell: {'; '.join(comparison.reasons)}."
    points = f"{100 * comparison.min_effect:g} point" + ("" if comparison.min_effect == 0.01 else "s")
    beyond = f" of more than {points}" if comparison.min_effect else ""
    lost = [
        name for name in comparison.reasons if name != WEIGHTINGS["benchmarks"] or "overall" not in comparison.reasons
    ]
    start = f"{'Regression' if lost else 'No regression'}{beyond}{'' if lost else ' found'}"
    end = f" Lost: {listing(lost, len(lost), NAMED)}." if lost else ""
    return f"{start}: {short_name(comparison.candidate)} against {short_name(comparison.baseline)}.{end}"


def comparison_view(comparison: Comparison, *, width: int) -> RenderableType:
    """Lay out a comparison: the verdict and the whole, categories, the list of slices, and how it was tested."""
    (verdict, *above), below = sentences(comparison)
    parts: list[RenderableType] = [plain(verdict, "bold"), *map(plain, above)]
    if rows := categories(comparison):
        parts += [Text(), plain(TABLE, "bold"), _table(rows, width)]
    if comparison.answer is not None:
        parts += [Text(), answer_view(comparison.answer, comparison.examples, width, closing=False), Text()]
    note = f"Intervals: 95%. Every category and every item that changed: {argument('json')}."
    return Group(*parts, *map(plain, below), plain(note, "dim"))


def _table(rows: Sequence[tuple[str, ...]], width: int) -> Table:
    """Lay out :func:`categories` by verdict; names are cut where there is no room."""
    figures = [max(map(len, column)) + 2 for column in zip(HEADS, *(row[2:] for row in rows), strict=True)]
    table, last = aligned(("", *HEADS), (0,)), ""
    for verdict, name, *cells in rows:
        if verdict != last:
            table.add_row(Text(verdict, STYLES[verdict]))
        table.add_row(plain(f"  {cut_at_word(name, max(width - sum(figures) - 4, MIN_NAME_WIDTH))}"), *cells)
        last = verdict
    return table


def _lines(answer: Answer) -> list[str]:
    """The findings of an answer, a sentence each."""
    return [sentence_of(answer, finding) for finding in answer.findings]


def document(comparison: Comparison) -> dict[str, Any]:
    """A comparison as plain JSON."""
    plain_values = {
        name: value.to_dicts() if isinstance(value, pl.DataFrame) else value for name, value in vars(comparison).items()
    }
    answer = comparison.answer and {**asdict(comparison.answer), "sentences": _lines(comparison.answer)}
    return {**plain_values, "answer": answer, "words": [*chain(*sentences(comparison))]}


def write_markdown(comparison: Comparison, path: Path) -> None:
    """Write a comparison as Markdown of about one screen."""
    (verdict, *above), below = ([*map(_safe, part)] for part in sentences(comparison))
    parts = [
        f"## {_safe(short_name(comparison.candidate))} against {_safe(short_name(comparison.baseline))}",
        f"**{verdict}**",
        *above,
    ]
    if rows := categories(comparison):
        heads = [("", "", *HEADS), ("---", "---", *["---:"] * len(HEADS))]
        cells = [*heads, *(map(_safe, row) for row in rows)]
        parts += [TABLE, "\n".join(f"| {' | '.join(row)} |" for row in cells)]
    if comparison.answer is not None:
        parts += [
            _safe(headline(comparison.answer)),
            "\n".join(f"- {_safe(line)}" for line in _lines(comparison.answer)),
        ]
    write_text(path, "\n\n".join(filter(None, (*parts, *below))) + "\n")


def _spread(row: dict[str, Any]) -> str:
    """A whole difference with its interval, in points with a decimal."""
    points, low, high = (signed(100 * row[name], 1) for name in ("difference", "low", "high"))
    return f"{points} points ({low} to {high})"


def _safe(text: str) -> str:
    """Text that Markdown and HTML take literally, on one line, and that calls nobody by an ``@``."""
    plain = escape(shorten(visible(" ".join(text.split())), 500), quote=False).replace("@", "@\N{WORD JOINER}")
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", plain)
