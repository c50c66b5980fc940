"""Two models compared, in a terminal and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import polars as pl
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.errors import argument
from competency_gaps.files import write_atomic
from competency_gaps.findings.words import sentence_of, short_name
from competency_gaps.report.answer import answer_view
from competency_gaps.report.tables import cut, plain
from competency_gaps.stages.compare import ALPHA, Comparison
from competency_gaps.text import plural, shorten, signed, visible

NAME, _FIGURES = 36, 50
"""Characters of a name, at least where it is longer, and of the figures beside it."""
FEW = 5
"""Slices that a sentence names, at most."""


_COLUMNS = ("change (interval)", "better:worse", "p", "visible")

NAMED = 4
"""Losses that the verdict names, at most."""


def sentences(made: Comparison) -> list[str]:
    """Say what the comparison shows: the verdict, the whole, what got worse and better, and what did not pair."""
    candidate, baseline = short_name(made.candidate), short_name(made.baseline)
    row = made.overall.row(by_predicate=pl.col("weighting") == "items", named=True)
    lines = [_verdict(made, candidate, baseline)]
    lines.append(
        f"Over all {plural(made.paired, 'item')} that both have scores for, {candidate} differs by {_interval(row)}: "
        f"better on {row['better']:,} and worse on {row['worse']:,} of {plural(row['clusters'], 'cluster')}. "
        f"Differences of {100 * row['detectable']:.1f} points or more would have been seen."
    )
    for row in made.overall.filter(weighting="benchmarks").iter_rows(named=True):
        lines.append(
            f"If each of the {made.benchmarks.height:,} benchmarks counts the same, it differs by {_interval(row)}; "
            f"{100 * row['detectable']:.1f} points or more would have been seen. {argument('fail_on')} regression "
            "tests both, and each benchmark by itself."
        )
    narrower = "Gained more than other items, where the baseline is weak"
    whole, beside = ("difference", "low", "high"), ("gap", "gap_low", "gap_high")
    for word, rows, columns in (("No clear change", made.unchanged, whole), (narrower, made.narrower, beside)):
        if rows.height:
            listed = (
                f"{name} {_points(value)} ({_points(low)} to {_points(high)})"
                for name, value, low, high in rows.head(FEW).select("name", *columns).iter_rows()
            )
            more = f" and {rows.height - FEW} more" if rows.height > FEW else ""
            lines.append(f"{word}: {', '.join(listed)}{more}.")
    lost = made.items.filter(pl.col("difference") < 0)
    if lost.height:
        named = ", ".join(f"{row['benchmark']}: {row['item_id']}" for row in lost.head(NAMED).iter_rows(named=True))
        lines.append(f"{plural(lost.height, 'item')} got worse, such as {named}; {argument('json')} lists them all.")
    sides = ((candidate, made.only_candidate), (baseline, made.only_baseline))
    alone = [f"{plural(len(only), 'item')} scored for {name} alone, such as {only[0]}" for name, only in sides if only]
    if alone:
        lines.append(f"Not compared: {'; '.join(alone)}.")
    for row in made.missing.iter_rows(named=True):
        lines += _missing_scores(
            row, short_name(row["model"]), baseline if row["model"] == made.candidate else candidate
        )
    return lines


def _missing_scores(row: dict[str, Any], name: str, other: str) -> list[str]:
    """Say that a model's scores are missing on harder, or easier, items than elsewhere."""
    if row["p_value"] is None or row["p_value"] > ALPHA:
        return []
    spread = f"{_points(row['gap'])} points ({_points(row['low'])} to {_points(row['high'])})"
    return [
        f"On the {row['share']:.1%} of items that {name} has no score for, {other} scores {spread} against comparable "
        "ones, so the items compared are no fair sample."
    ]


def _verdict(made: Comparison, candidate: str, baseline: str) -> str:
    if made.verdict == "not comparable":
        return f"Cannot tell: {'; '.join(made.reasons)}."
    beyond = f" of more than {100 * made.min_effect:g} points" if made.min_effect else ""
    if made.verdict == "regression":
        more = len(made.reasons) - NAMED
        named = ", ".join(made.reasons[:NAMED]) + (f" and {more} more" if more > 0 else "")
        return f"{candidate} has lost against {baseline}{beyond}: {named}."
    row = made.overall.row(by_predicate=pl.col("weighting") == "items", named=True)
    if row["low"] > 0:
        return f"{candidate} is better than {baseline} overall; no loss{beyond} is found."
    return f"No loss{beyond} of {candidate} against {baseline} is found."


def comparison_view(made: Comparison, *, width: int, limit: int) -> RenderableType:
    """Lay out a comparison: the verdict, the list of slices, then columns and benchmarks, the greatest loss first."""
    verdict, *rest = sentences(made)
    parts: list[RenderableType] = [plain(verdict, "bold"), Text()]
    if made.answer is not None:
        parts += [answer_view(made.answer, made.examples, width, options=False), Text()]
    for title, frame, name in _lists(made, limit):
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, header_style="dim")
        table.add_column("")
        for column in _COLUMNS:
            table.add_column(column, justify="right", no_wrap=True)
        for row in frame.iter_rows(named=True):
            style = {"worse": "red", "better": "green"}.get(row["status"], "")
            table.add_row(
                Text(cut(name(row), max(NAME, width - _FIGURES))), *(Text(cell, style) for cell in _cells(row))
            )
        parts += [table, Text()]
    note = "Points of 100, 95% intervals; visible: found with a power of 0.8; *: differs from the other items."
    return Group(*parts, *(plain(sentence) for sentence in rest), plain(note, "dim"))


def document(made: Comparison) -> dict[str, Any]:
    """A comparison as plain JSON."""
    plain_values = {
        name: value.to_dicts() if isinstance(value, pl.DataFrame) else value for name, value in vars(made).items()
    }
    answer = None
    if made.answer is not None:
        lines = [sentence_of(made.answer, finding) for finding in made.answer.findings]
        answer = {**asdict(made.answer), "sentences": lines}
    return {**plain_values, "answer": answer}


def write_markdown(made: Comparison, path: Path, *, limit: int) -> None:
    """Write a comparison as Markdown of about one screen."""
    lines = [f"## {_safe(short_name(made.candidate))} against {_safe(short_name(made.baseline))}", ""]
    lines += [line for sentence in sentences(made) for line in (_safe(sentence), "")]
    if made.answer is not None and made.answer.findings:
        lines += [f"- {_safe(sentence_of(made.answer, finding))}" for finding in made.answer.findings]
        lines.append("")
    for title, frame, name in _lists(made, limit):
        lines += [f"| {title} | {' | '.join(_COLUMNS)} |", f"| --- |{' ---: |' * len(_COLUMNS)}"]
        for row in frame.iter_rows(named=True):
            mark = {"worse": "▼ ", "better": "▲ "}.get(row["status"], "")
            lines.append(f"| {mark}{_safe(name(row))} | {' | '.join(_cells(row))} |")
        lines.append("")
    text = "\n".join(lines)
    write_atomic(path, lambda part: _write(part, text))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _lists(made: Comparison, limit: int) -> list[tuple[str, pl.DataFrame, Callable[[dict[str, Any]], str]]]:
    """Title, rows and name of a row of each list that has rows."""
    lists: list[tuple[str, pl.DataFrame, Callable[[dict[str, Any]], str]]] = [
        ("By column", made.slices, lambda row: str(row["name"]) + _star(row)),
        ("Benchmarks", made.benchmarks, lambda row: str(row["benchmark"])),
    ]
    single = made.benchmarks.height < 2  # it is the whole
    return [(title, _extreme(frame, limit), name) for title, frame, name in lists[: 1 if single else 2] if frame.height]


def _extreme(frame: pl.DataFrame, limit: int) -> pl.DataFrame:
    """The rows with the greatest differences, the greatest loss first."""
    return frame.sort(pl.col("difference").abs(), descending=True).head(limit).sort("difference")


def _star(row: dict[str, Any]) -> str:
    return " *" if row["gap_q"] is not None and row["gap_q"] <= ALPHA else ""


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        f"{_points(row['difference'])} ({_points(row['low'])}, {_points(row['high'])})",
        f"{row['better']:,}:{row['worse']:,}",
        f"{row['p_value']:.2g}",
        f"{100 * row['detectable']:.1f}",
    ]


def _interval(row: dict[str, Any]) -> str:
    ends = f"{_points(row['low'])} to {_points(row['high'])}"
    return f"{_points(row['difference'])} points of 100 (95% interval {ends}, p {row['p_value']:.2g})"


def _points(difference: float) -> str:
    return signed(100 * difference, 1)


def _safe(text: str) -> str:
    """Text that Markdown and HTML take literally, on one line."""
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", escape(shorten(visible(" ".join(text.split())), 500), quote=False))
