"""Output that fits a screen of the terminal: as many rows as it has room for, and the number of hidden rows."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
from rich.console import Console, Group, RenderableType
from rich.text import Text

from competency_gaps.errors import argument
from competency_gaps.findings.answer import RunAnswer, answer
from competency_gaps.presentation import columns, rankings
from competency_gaps.presentation.rankings import Listing
from competency_gaps.presentation.themes import Themes, asked_theme
from competency_gaps.report import answer_view
from competency_gaps.report.tables import MOST_SUBTHEMES, concept_table, plain, theme_view, themes_view
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import integer, plural


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
    ordered = answer_view.in_order(run.findings)
    first = answer_view.head(given)

    def make(count: int, tail: list[RenderableType]) -> Group:
        parts: list[RenderableType] = [*first, Text()]
        if ordered.height:
            parts.append(answer_view.findings_list(ordered.head(count)))
        else:
            parts += [answer_view.statement_text(statement) for statement in given.findings]
        left = ordered.height - count
        hidden = f"{plural(left, 'finding')} more: {argument('limit')} {ordered.height}. " if left > 0 else ""
        more = (
            f"{hidden}One with its items: cgaps findings RUN N. "
            if ordered.height
            else f"All that were tested: {argument('sort')} gap. "
        )
        return Group(*parts, *tail, Text(f"{more}Tables: {argument('summary')}.", style="dim"))

    count = ordered.height if limit is None else min(limit, ordered.height)
    if limit is None:
        tail = _tail(make, answer_view.tails(given), min(len(given.findings), ordered.height), console, lines)
        count = rows_that_fit(lambda number: make(number, tail), ordered.height, console, lines)
    else:
        tail = answer_view.tails(given)[0]
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
        parts: list[RenderableType] = [*answer_view.head(given), *map(answer_view.statement_text, given.scope), Text()]
        parts += [Text("Least covered concepts", style="bold")]
        parts.append(concept_table(frame.head(count), columns.LEAST_COVERED, width=console.width))
        left = frame.height - count
        hidden = f"{plural(left, 'concept')} more: {argument('limit')} {frame.height}. " if left > 0 else ""
        return Group(*parts, Text(f"{hidden}All tables: {argument('summary')}.", style="dim"))

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
