"""Output that fits one screen of a terminal: rows as far as there is room, then the number of hidden rows."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
from rich.console import Console, Group, RenderableType
from rich.text import Text

from competency_gaps.report import columns, findings, headline, page
from competency_gaps.report.listing import Listing
from competency_gaps.report.protocol import RunView
from competency_gaps.report.tables import concept_table, plain
from competency_gaps.report.theme_tables import MOST_SUBTHEMES, theme_view, themes_view
from competency_gaps.report.themes import Themes, asked_theme, read_run_themes, theme_name
from competency_gaps.text import integer, percent, plural, shorten

_NAME = 80
"""Characters of a name in a sentence."""


def print_overview(run: RunView, console: Console, *, lines: int, limit: int | None = None) -> None:
    """Print a run's findings in a few sentences, and the weak concepts that lead a group.

    Parameters
    ----------
    run : RunView
    console : rich.console.Console
    lines : int
        Lines of a screen, which the output fills at most; a single row is shown in any case.
    limit : int, optional
        Rows of the table, however many lines they take; None: as many as the screen has room for.
    """
    view = headline.overview(run)
    ranked = findings.ranking(run.concepts, run.manifest["evidence"])
    sentences = _sentences(run, view, ranked)
    scored = view.mean_score is not None
    if scored:
        title, frame = "Weak concepts, one for each group that shares its items", ranked.weak_leaders
    else:
        title, frame = "Least covered concepts", findings.least_covered(run.concepts, run.concepts.height)
    shown = columns.LEADERS if scored else columns.LEAST_COVERED
    more = "Strong ones: --sort=-gap. All tables: --summary." if scored else "All tables: --summary."

    def make(count: int) -> Group:
        parts: list[RenderableType] = [*sentences, Text(), Text(title, style="bold")]
        left = frame.height - count
        if frame.height:
            parts.append(concept_table(frame.head(count), shown, width=console.width))
        else:
            parts.append(Text("none; all that were tested: --sort gap", style="dim"))
        hidden = f"{plural(left, 'group' if scored else 'concept')} more: --limit {frame.height}. " if left > 0 else ""
        return Group(*parts, Text(hidden + more, style="dim"))

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
        What is typed before ``--limit`` to list them all; empty: the command that was typed.
    more : str
        What the last line says besides.
    """
    frame = listing.concepts

    def make(count: int) -> Group:
        parts: list[RenderableType] = [] if listing.sentence is None else [plain(listing.sentence), Text()]
        parts.append(concept_table(frame.head(count), listing.columns, width=console.width, keep=listing.keep))
        left = frame.height - count
        way = f"{command} --limit {frame.height}".strip()
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


def _sentences(run: RunView, view: headline.Overview, ranked: findings.Ranking) -> list[Text]:
    """The answer in a few short sentences, each on a line of its own."""
    items = f"{view.scored:,} of {plural(view.items, 'item')} in {plural(view.benchmarks, 'benchmark')}"
    if view.mean_score is None:
        sentences = [f"{view.model}: no item is scored, so this run speaks of coverage only."]
    else:
        sentences = [f"{view.model}: mean score {percent(view.mean_score, 1)} on {items}.", _verdicts(ranked)]
        themes = read_run_themes(run)
        if themes is not None and themes.weak.height:
            first = shorten(theme_name(themes.weak.row(0, named=True)), _NAME)
            sentences.append(f"{themes.weak.height} of {plural(themes.tested, 'theme')} are weak, above all “{first}”.")
    if view.reference:
        sentences.append(f"{view.missing:,} of {view.alive:,} alive concepts are missing in every benchmark.")
    warning = page.gate_warning(run.manifest)
    return [*map(plain, sentences), *([] if warning is None else [plain(warning, "bold dark_orange")])]


def _verdicts(ranked: findings.Ranking) -> str:
    if not ranked.tested.height:
        return f"No concept could be tested for being weak: none has an n_eff of {ranked.floor:g} and scores that vary."
    weak, strong = ranked.weak.height, ranked.strong.height
    groups = f" (in {plural(ranked.weak_leaders.height, 'group')})" if weak else ""
    others = f" (in {plural(ranked.strong_leaders.height, 'group')})" if strong else ""
    return f"{weak:,} of {ranked.tested.height:,} tested concepts are weak{groups}, {strong:,} strong{others}."
