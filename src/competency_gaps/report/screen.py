"""Output that fits a screen of the terminal: the answer and lists, as many rows as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.errors import argument
from competency_gaps.findings.statements import BenchmarkAnswer, RunAnswer, Statement, answer, chosen
from competency_gaps.findings.words import again, sentence, short
from competency_gaps.presentation import columns, rankings
from competency_gaps.presentation.rankings import Listing
from competency_gaps.presentation.themes import Themes, asked_theme
from competency_gaps.report.tables import MOST_SUBTHEMES, VERDICT_STYLES, concept_table, plain, theme_view, themes_view
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import integer, percent, plural, shorten

LONGEST = 150
"""Characters of a finding's sentence in a list; a longer one gives way to its short form."""
LOWEST, HIGHEST = 5, 2
"""Benchmarks named at either end of a long list."""


def head(given: RunAnswer) -> list[RenderableType]:
    """Lay out what comes first: failed checks, then the model with its score."""
    failed = [plain(statement.text, f"bold {VERDICT_STYLES['weak']}") for statement in given.trust]
    return [*failed, plain(given.opening.text, "bold")]


def in_order(findings: pl.DataFrame) -> pl.DataFrame:
    """Order findings as they are listed: those of the answer first, then the others."""
    first = chosen(findings)
    return pl.concat([first, findings.filter(~pl.col("finding").is_in(first["finding"].to_list()))])


def findings_list(findings: pl.DataFrame) -> Table:
    """Lay out findings, in the order given: number, verdict and sentence."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right", no_wrap=True, style="dim")
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in findings.iter_rows(named=True):
        verdict = Text(row["verdict"], style=VERDICT_STYLES[row["verdict"]])
        half = (f" · {again(row)}", "dim")
        grid.add_row(str(row["finding"]), verdict, Text.assemble(plain(_finding_text(row)), half))
    return grid


def _finding_text(row: dict[str, Any]) -> str:
    text = sentence(row)
    return text if len(text) <= LONGEST else short(row)


def scores(benchmarks: Sequence[BenchmarkAnswer]) -> str:
    """Name the benchmarks with their scores, the lowest first; of a long list only both ends."""
    known = [benchmark for benchmark in benchmarks if benchmark.mean_score is not None]
    words = [f"{shorten(benchmark.benchmark, 40)} {percent(benchmark.mean_score or 0.0, 1)}" for benchmark in known]
    left = len(words) - LOWEST - HIGHEST
    if left > 1:
        words = [*words[:LOWEST], f"({left} between)", *words[-HIGHEST:]]
    return f"Scores: {', '.join(words)}."


def tails(given: RunAnswer) -> list[list[RenderableType]]:
    """Lay out what follows the findings, at full length and then shorter and shorter, for screens of any height."""
    lines = [] if given.opening.numbers["mean_score"] is None else [plain(scores(given.benchmarks))]

    def with_(notes: int, scope: int, confidence: int) -> list[RenderableType]:
        first = (*given.notes[:notes], *given.scope[:scope], *given.confidence[:confidence])
        return [Text(), *lines, *map(statement_text, first)]

    levels = ((3, 3, 5), (2, 1, 4), (1, 1, 3), (1, 1, 2), (1, 1, 1), (1, 0, 1), (0, 0, 1), (0, 0, 0))
    return [*(with_(*level) for level in levels), []]


def statement_text(statement: Statement) -> Text:
    """Write a statement: failed checks stand out, and mere counts are dim."""
    return plain(
        statement.text, "dark_orange" if statement.tone == "bad" else "dim" if statement.code == "counted" else ""
    )


def print_overview(run: RunFolder, console: Console, *, lines: int, limit: int | None = None) -> None:
    """Print the answer of a run: findings, benchmarks by score, what they lack, and how far to trust it.

    Parameters
    ----------
    run : RunFolder
    console : rich.console.Console
    lines : int
        Lines of a screen, which the output fills at most; a single row is shown in any case.
    limit : int, optional
        Findings, however many lines they take; None: as many as the screen has room for.
    """
    given = answer(run)
    if given.opening.numbers["mean_score"] is None:
        _print_coverage(run, given, console, lines, limit)
        return
    ordered = in_order(run.findings)
    first = head(given)

    def make(count: int, tail: list[RenderableType]) -> Group:
        parts: list[RenderableType] = [*first, Text()]
        if ordered.height:
            parts.append(findings_list(ordered.head(count)))
        else:
            parts += [statement_text(statement) for statement in given.findings]
        left = ordered.height - count
        hidden = f"{plural(left, 'more finding')}: {argument('limit')} {ordered.height}. " if left > 0 else ""
        more = f"{hidden}One finding with its items: {argument('finding')} N. " if ordered.height else ""
        return Group(*parts, *tail, Text(f"{more}All tested concepts: {argument('sort')} gap.", style="dim"))

    count = ordered.height if limit is None else min(limit, ordered.height)
    if limit is None:
        tail = _tail(make, tails(given), min(len(given.findings), ordered.height), console, lines)
        count = rows_that_fit(lambda number: make(number, tail), ordered.height, console, lines)
    else:
        tail = tails(given)[0]
    console.print(make(count, tail))


def _tail(
    make: Callable[[int, list[RenderableType]], Group],
    tails: list[list[RenderableType]],
    least: int,
    console: Console,
    lines: int,
) -> list[RenderableType]:
    """Choose the longest of several endings that leaves room for the findings of the answer."""
    for tail in tails:
        if len(console.render_lines(make(least, tail))) <= lines:
            return tail
    return tails[-1]


def _print_coverage(run: RunFolder, given: RunAnswer, console: Console, lines: int, limit: int | None) -> None:
    """Print the answer of a run without scores: which concepts its items hardly exercise."""
    frame = rankings.least_covered(run.concepts, run.concepts.height)

    def make(count: int) -> Group:
        parts: list[RenderableType] = [*head(given), *map(statement_text, given.scope), Text()]
        parts += [Text("Least covered concepts", style="bold")]
        parts.append(concept_table(frame.head(count), columns.LEAST_COVERED, width=console.width))
        left = frame.height - count
        hidden = f"{plural(left, 'more concept')}: {argument('limit')} {frame.height}. " if left > 0 else ""
        return Group(*parts, Text(f"{hidden}All concepts: {argument('sort')} chi_bench.", style="dim"))

    _print(make, frame.height, console, lines, limit)


def print_listing(
    listing: Listing, console: Console, *, lines: int, limit: int | None = None, command: str = "", more: str = ""
) -> None:
    """Print a list of concepts.

    Parameters
    ----------
    listing : Listing
    console : rich.console.Console
    lines, limit
        As in :func:`print_overview`.
    command : str
        Command that lists them all with a higher limit; empty: the command that was typed.
    more : str
        More for the last line.
    """
    frame = listing.concepts

    def make(count: int) -> Group:
        parts: list[RenderableType] = [] if listing.sentence is None else [plain(listing.sentence), Text()]
        parts.append(concept_table(frame.head(count), listing.columns, width=console.width, keep=listing.keep))
        left = frame.height - count
        way = f"{command} {argument('limit')} {frame.height}".strip()
        hidden = [f"{integer(left)} more: {way} lists all."] * (left > 0)
        parts += [plain(line, "dim") for line in (*hidden, more) if line]
        return Group(*parts)

    _print(make, frame.height, console, lines, limit)


def print_themes(themes: Themes, console: Console, *, lines: int, limit: int | None = None) -> None:
    """Print the themes of a run; the parameters are those of :func:`print_overview`."""
    _print(lambda count: themes_view(themes, count, console.width), themes.themes.height, console, lines, limit)


def print_theme(
    themes: Themes, theme: int, concepts: pl.DataFrame, console: Console, *, lines: int, limit: int | None = None
) -> None:
    """Print one theme, with its subthemes and its concepts.

    Parameters
    ----------
    themes : Themes
    theme : int
    concepts : DataFrame
        ``run.concepts``.
    console : rich.console.Console
    lines, limit
        As in :func:`print_overview`.

    Raises
    ------
    UserError
        If there is no such theme.
    """
    row = asked_theme(themes, theme)
    own = themes.concepts(theme, concepts)
    subthemes = MOST_SUBTHEMES if limit is None else limit

    def make(count: int) -> Group:
        return theme_view(themes, row, own, subthemes=subthemes, count=count, width=console.width)

    _print(make, own.height, console, lines, limit)


def _print(make: Callable[[int], RenderableType], total: int, console: Console, lines: int, limit: int | None) -> None:
    count = rows_that_fit(make, total, console, lines) if limit is None else min(limit, total)
    console.print(make(count))


def rows_that_fit(make: Callable[[int], RenderableType], total: int, console: Console, lines: int) -> int:
    """Give the most rows with which something fits a screen; at least one, if there is any.

    Parameters
    ----------
    make : callable
        Lays out a number of rows.
    total : int
        Number of rows there are.
    console : rich.console.Console
    lines : int
        Lines of the screen.
    """
    low, high = min(1, total), min(total, lines)
    while low < high:
        middle = (low + high + 1) // 2
        if len(console.render_lines(make(middle))) <= lines:
            low = middle
        else:
            high = middle - 1
    return low
