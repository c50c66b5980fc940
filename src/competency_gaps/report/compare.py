"""Two models compared, in a terminal and as Markdown."""

from __future__ import annotations

import re
from dataclasses import asdict
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Group, RenderableType
from rich.text import Text

from competency_gaps.errors import argument
from competency_gaps.files import write_text
from competency_gaps.findings.finding import Answer
from competency_gaps.findings.words import headline, interval, sentence_of, short_name, signed_points
from competency_gaps.report.answer import answer_view
from competency_gaps.report.tables import plain
from competency_gaps.stages.compare import ALPHA, WEIGHTINGS, Comparison
from competency_gaps.text import listing, magnitude, percent, plural, shorten, signed, visible

NAMED = 4
"""Names in a sentence, at most."""


def sentences(made: Comparison) -> tuple[list[str], list[str]]:
    """Say what stands above the list of slices (the verdict, the whole, what was not compared), and what below it."""
    candidate, baseline = short_name(made.candidate), short_name(made.baseline)
    overall, *equal = made.overall.iter_rows(named=True)
    whole = (
        f"Overall {_spread(overall)} on {plural(made.paired, 'item')}: better on {overall['better']:,}, worse "
        f"on {overall['worse']:,}"
    )
    repeated = overall["clusters"] < made.paired
    whole += f" of {overall['clusters']:,}, counting repeated questions once." if repeated else "."
    other = [row for row in equal if _spread(row) != _spread(overall)]
    whole += "".join(f" With every benchmark weighted the same, {_spread(row)}." for row in other)
    tested = made.slices.height + (made.benchmarks.height if equal else 0)
    weighted = "".join(f" ({magnitude(row['p_value'])} with benchmarks weighted the same)" for row in other)
    gate = (
        f"Test: p = {magnitude(overall['p_value'])} overall{weighted}, where a change of "
        f"{100 * overall['detectable']:.1f} points would have been detected."
    )
    if tested:
        gate += f" {tested:,} categories and benchmarks tested, with a {percent(ALPHA, 1)} chance of any false alarm."
    kept = _named("No clear change, as measured", made.unchanged, ("difference", "low", "high"))
    if made.unchanged.filter((pl.col("low") > 0.005) | (pl.col("high") < -0.005)).height:
        kept.append("An interval there that excludes 0 counts one test alone; among so many, it may be chance.")
    lesser = made.slices.filter(pl.col("status") == "worse", ~pl.col("name").is_in(made.reasons))
    kept += _named("Worse too, but not surely enough for the verdict", lesser, ("difference", "low", "high"))
    gained = f"Weak slices of {baseline} that gained on comparable items, as measured"
    narrower = _named(gained, made.narrower, ("gap", "gap_low", "gap_high"))
    return [_verdict(made, candidate, baseline), whole, *_not_compared(made)], [*kept, *narrower, gate]


def _named(start: str, rows: pl.DataFrame, columns: tuple[str, str, str]) -> list[str]:
    """A sentence on slices with their points; none where there are none."""
    told = (
        f"{name} {signed_points(gap)} ({interval(low, high)})"
        for name, gap, low, high in rows.select("name", *columns).iter_rows()
    )
    return [f"{start}: {listing(told, rows.height, NAMED)}."] if rows.height else []


def _not_compared(made: Comparison) -> list[str]:
    """Say how many items only one has a score for, and whether they are harder, or easier, than others."""
    other = {made.candidate: made.baseline, made.baseline: made.candidate}
    unfair = {
        other[row["model"]]: f" (its score there: {signed_points(row['gap'])} points against similar items)"
        for row in made.missing.iter_rows(named=True)
        if row["p_value"] is not None and row["p_value"] <= ALPHA
    }
    sides = ((made.baseline, made.only_baseline), (made.candidate, made.only_candidate))
    parts = [
        f"{plural(len(own), 'item')} that only {short_name(model)} is scored on{unfair.get(model, '')}"
        for model, own in sides
        if own
    ]
    end = ". The items compared are therefore not a fair sample" if unfair else ""
    return [f"Not compared: {'; '.join(parts)}{end}."] if parts else []


def _verdict(made: Comparison, candidate: str, baseline: str) -> str:
    if made.verdict == "not comparable":
        return f"Cannot tell: {'; '.join(made.reasons)}."
    points = f"{100 * made.min_effect:g} point" + ("" if made.min_effect == 0.01 else "s")
    beyond = f" of more than {points}" if made.min_effect else ""
    wholes = made.overall.with_columns(name=pl.col("weighting").replace(WEIGHTINGS))
    own = made.benchmarks.with_columns(name="benchmark " + pl.col("benchmark"))
    parts = [frame.select("name", "difference", "status") for frame in (wholes, own, made.slices)]
    changes = dict(pl.concat(parts).select("name", "difference").iter_rows())
    better = pl.concat([parts[0], parts[2].sort("difference", descending=True)]).filter(status="better")
    start, how, names = f"No regression{beyond} found", "Better", better["name"].to_list()
    if made.verdict == "regression":
        again = WEIGHTINGS["benchmarks"] if "overall" in made.reasons else None
        start, how, names = f"Regression{beyond}", "Worse", [name for name in made.reasons if name != again]
    told = [f"{name} ({signed_points(changes[name])})" for name in names]
    end = f" {how}, as measured: {listing(told, len(told), NAMED)}." if told else ""
    return f"{start}: {candidate} against {baseline}.{end}"


def comparison_view(made: Comparison, *, width: int) -> RenderableType:
    """Lay out a comparison: the verdict and the whole, the list of slices, then what else a reader must know."""
    (verdict, *above), below = sentences(made)
    parts: list[RenderableType] = [plain(verdict, "bold"), *map(plain, above)]
    if made.answer is not None:
        parts += [Text(), answer_view(made.answer, made.examples, width, closing=False), Text()]
    note = f"Intervals: 95%. Every category and every item that changed: {argument('json')}."
    return Group(*parts, *map(plain, below), plain(note, "dim"))


def _lines(answer: Answer) -> list[str]:
    return [sentence_of(answer, finding) for finding in answer.findings]


def document(made: Comparison) -> dict[str, Any]:
    """A comparison as plain JSON."""
    plain_values = {
        name: value.to_dicts() if isinstance(value, pl.DataFrame) else value for name, value in vars(made).items()
    }
    answer = made.answer and {**asdict(made.answer), "sentences": _lines(made.answer)}
    return {**plain_values, "answer": answer, "words": [*chain(*sentences(made))]}


def write_markdown(made: Comparison, path: Path) -> None:
    """Write a comparison as Markdown of about one screen."""
    told = [] if made.answer is None else _lines(made.answer)
    head = [] if made.answer is None else [_safe(headline(made.answer))]
    (verdict, *above), below = ([*map(_safe, part)] for part in sentences(made))
    title = f"## {_safe(short_name(made.candidate))} against {_safe(short_name(made.baseline))}"
    lists = ["\n".join(f"- {_safe(line)}" for line in told)] if told else []
    text = "\n\n".join((title, f"**{verdict}**", *above, *head, *lists, *below)) + "\n"
    write_text(path, text)


def _spread(row: dict[str, Any]) -> str:
    """A whole difference with its interval, in points with a decimal."""
    points, low, high = (signed(100 * row[name], 1) for name in ("difference", "low", "high"))
    return f"{points} points ({low} to {high})"


def _safe(text: str) -> str:
    """Text that Markdown and HTML take literally, on one line, and that calls nobody by an ``@``."""
    plain = escape(shorten(visible(" ".join(text.split())), 500), quote=False).replace("@", "@\N{WORD JOINER}")
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", plain)
