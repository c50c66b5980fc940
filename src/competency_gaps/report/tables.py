"""Tables in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.errors import argument
from competency_gaps.findings import words
from competency_gaps.presentation import columns, facts, rankings
from competency_gaps.presentation.rankings import Listing
from competency_gaps.text import NOT_DEFINED, integer, show_token, visible

VERDICT_STYLES = {"weak": "dark_orange", "strong": "dodger_blue2"}


def cut(name: str, most: int) -> str:
    """A name on one line, of at most ``most`` characters, with an ellipsis where it is cut."""
    shown = visible(" ".join(name.split()))
    return shown if len(shown) <= most else shown[: most - 1].rstrip() + "…"


def plain(text: str, style: str = "") -> Text:
    """Wrap foreign text: no markup is read in it, and no control reaches the terminal."""
    return Text(visible(text), style=style)


def table_of(
    title: str, names: Sequence[Text], cells: Mapping[str, Sequence[Text]], numbers: Sequence[int] | None = None
) -> Table:
    """Lay out named rows.

    Parameters
    ----------
    title, names
        What the rows are, and what each is called. A long name goes on in the next line.
    cells
        By the title of a column, a cell per row.
    numbers
        The rows' numbers.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False)
    numbered = {} if numbers is None else {"#": [Text(str(number), style="dim") for number in numbers]}
    for name, texts in {**numbered, title: names, **cells}.items():
        if name == title:
            table.add_column(name, min_width=12, ratio=1, overflow="fold")
        else:
            is_words = any(text.plain[:1].isalpha() and text.plain != NOT_DEFINED for text in texts)
            table.add_column(name, justify="left" if is_words else "right", no_wrap=True)
    for row in zip(*numbered.values(), names, *cells.values(), strict=True):
        table.add_row(*row)
    return table


def quantities(frame: pl.DataFrame, shown: Iterable[columns.Column]) -> dict[str, list[Text]]:
    """Cells of a frame by the columns' titles."""
    return {column.title: [Text(column.cell(row)) for row in frame.to_dicts()] for column in shown}


def _name(row: dict[str, Any]) -> Text:
    marks = facts.marks_of(row)
    if row["label"] or row["peak_token"] is None:
        name = plain(rankings.concept_name(row), "dim" if marks or not row["label"] else "")
    else:
        name = Text.assemble(("peak ", "dim"), plain(show_token(row["peak_token"]), "cyan"))
    marks = [*marks, *rankings.badges_of(row)]
    return Text.assemble(name, (f" [{', '.join(marks)}]", "dim italic")) if marks else name


LONGEST_NAME = 100
"""Characters of a slice's name."""


def slices_view(table: pl.DataFrame, count: int) -> Group:
    """Lay out the first slices of a table, and say how many there are.

    Parameters
    ----------
    table : DataFrame
        As of :func:`competency_gaps.findings.answer.slice_table`, in the order in which they are shown.
    """
    frame = table.head(count)
    names = [plain(words.cut_at_word(name, LONGEST_NAME)) for name in frame["name"]]
    shown = {
        "gap": [Text(NOT_DEFINED if gap is None else words.signed_points(gap)) for gap in frame["gap"]],
        "items": [Text(integer(items)) for items in frame["items"]],
        "kind": [Text(words.family_name(family)) for family in frame["family"]],
    }
    left = table.height - frame.height
    more = f" {integer(left)} more: {argument('limit')} {table.height}." if left else ""
    note = f"Points against the mean of each item's benchmark, on all items; nothing here is tested.{more}"
    return Group(table_of("slice", names, shown), plain(note, "dim"))


def print_listing(listing: Listing, console: Console, *, lines: int, limit: int | None = None, more: str = "") -> None:
    """Print a list of concepts.

    Parameters
    ----------
    listing : Listing
    console : rich.console.Console
    lines : int
        Lines of a screen, which the output fills at most; a single row is shown in any case.
    limit : int, optional
        Rows, however many lines they take; None: as many as the screen has room for.
    more : str
        More for the last line.
    """
    frame = listing.concepts
    count = min(lines if limit is None else limit, frame.height)
    while True:
        parts: list[RenderableType] = [] if listing.sentence is None else [plain(listing.sentence), Text()]
        shown = frame.head(count)
        names = [_name(row) for row in shown.to_dicts()]
        parts.append(table_of("concept", names, quantities(shown, listing.columns), shown["concept"].to_list()))
        left = frame.height - count
        hidden = [f"{integer(left)} more: {argument('limit')} {frame.height} lists them all."] * (left > 0)
        screen = Group(*parts, *(plain(line, "dim") for line in (*hidden, more) if line))
        if limit is not None or count < 2 or len(console.render_lines(screen)) <= lines:
            console.print(screen)
            return
        count -= 1
