"""Tables in a terminal: as many quantities as there is room for, and no header or value cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import polars as pl
from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.errors import argument
from competency_gaps.findings import words
from competency_gaps.presentation import columns, facts, rankings
from competency_gaps.presentation.rankings import Listing
from competency_gaps.text import NOT_DEFINED, integer, show_token, visible

NAME_WIDTH = 30
"""Characters of a name's line that no quantity may take."""
_BETWEEN = 3
"""Characters between two columns."""
VERDICT_STYLES = {"weak": "dark_orange", "strong": "dodger_blue2"}


def cut(name: str, most: int) -> str:
    """A name on one line, of at most ``most`` characters, with an ellipsis where it is cut."""
    shown = visible(" ".join(name.split()))
    return shown if len(shown) <= most else shown[: most - 1].rstrip() + "…"


def plain(text: str, style: str = "") -> Text:
    """Wrap foreign text: no markup is read in it, and no control reaches the terminal."""
    return Text(visible(text), style=style)


@dataclass(frozen=True)
class Cells:
    """One column of a table in a terminal."""

    title: str
    texts: list[Text]
    """A cell per row."""
    words: bool = False
    """Words, not numbers: aligned on the left."""

    @property
    def width(self) -> int:
        """Characters that the longest line of a cell or the title takes."""
        lines = (line for text in self.texts for line in text.plain.split("\n"))
        return max(cell_len(self.title), *map(cell_len, lines), 0)


def quantities(
    frame: pl.DataFrame, shown: Iterable[columns.Column], style: Mapping[str, str] | None = None
) -> list[Cells]:
    """Write the quantities of a frame.

    Parameters
    ----------
    frame : DataFrame
    shown : iterable of Column
        Columns of the frame.
    style : mapping, optional
        The style of some values, by the value.
    """
    rows = frame.to_dicts()
    styles = style or {}
    return [
        Cells(
            column.title, [Text(column.cell(row), styles.get(str(row[column.key]), "")) for row in rows], column.words
        )
        for column in shown
    ]


def fitted_table(
    names: Cells,
    shown: Sequence[Cells],
    *,
    numbers: Sequence[int] | None = None,
    width: int,
    keep: int = 1,
) -> Table:
    """Lay out named rows with as many quantities as there is room for.

    Parameters
    ----------
    names : Cells
        What the rows are called. A long name goes on in the next line.
    shown : sequence of Cells
        Quantities, the most important first; those without room are left out.
    numbers : sequence of int, optional
        The rows' numbers.
    width : int
        Width of the terminal.
    keep : int
        Number of leading quantities that are shown even if there is no room.
    """
    first = Cells("#", [Text(str(number)) for number in numbers]) if numbers is not None else None
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False)
    if first is not None:
        table.add_column(first.title, justify="right", no_wrap=True, style="dim")
    table.add_column(names.title, min_width=12, ratio=1, overflow="fold")
    room = width - min(names.width, NAME_WIDTH) - (first.width + _BETWEEN if first is not None else 0)
    used: list[Cells] = []
    for place, cells in enumerate(shown):
        if place < keep or cells.width + _BETWEEN <= room:
            used.append(cells)
            room -= cells.width + _BETWEEN
    for cells in used:
        table.add_column(cells.title, justify="left" if cells.words else "right", no_wrap=True)
    parts = [cells.texts for cells in ([first] if first is not None else []) + [names, *used]]
    for row in zip_longest(*parts):
        table.add_row(*row)
    return table


def concept_table(
    frame: pl.DataFrame,
    shown: Sequence[columns.Column],
    *,
    width: int,
    keep: int = 1,
) -> Table:
    """Lay out concepts, in the order given.

    Parameters
    ----------
    frame : DataFrame
        Rows of ``run.concepts``.
    shown : sequence of Column
        Quantities, the most important first; those that the frame lacks are left out.
    width : int
        Width of the terminal, which leaves out what has no room.
    keep : int
        Number of leading quantities that are shown even if there is no room.

    Returns
    -------
    rich.table.Table
        Number, name (the peak token where there is no label) with its marks and kind, and the quantities.
    """
    shown = [*shown[:keep], *columns.present(shown[keep:], frame)]
    names = Cells("concept", [_name(row) for row in frame.to_dicts()], words=True)
    return fitted_table(names, quantities(frame, shown), numbers=frame["concept"].to_list(), width=width, keep=keep)


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


def slices_view(table: pl.DataFrame, count: int, width: int) -> Group:
    """Lay out the first slices of a table, and say how many there are.

    Parameters
    ----------
    table : DataFrame
        As of :func:`competency_gaps.findings.answer.slice_table`, in the order in which they are shown.
    """
    frame = table.head(count)
    names = Cells("slice", [plain(words.cut_at_word(name, LONGEST_NAME)) for name in frame["name"]], words=True)
    gaps = (words.signed_points(gap) if gap is not None else NOT_DEFINED for gap in frame["gap"])
    shown = (
        Cells("gap", [Text(gap) for gap in gaps]),
        Cells("items", [Text(integer(items)) for items in frame["items"]]),
        Cells("kind", [Text(words.family_name(family)) for family in frame["family"]], words=True),
    )
    left = table.height - frame.height
    more = f" {integer(left)} more: {argument('limit')} {table.height}." if left else ""
    note = f"Points of 100 against the items' benchmarks, on all items: no choice, no test.{more}"
    return Group(fitted_table(names, shown, width=width, keep=2), plain(note, "dim"))


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
        parts.append(concept_table(frame.head(count), listing.columns, width=console.width, keep=listing.keep))
        left = frame.height - count
        hidden = [f"{integer(left)} more: {argument('limit')} {frame.height} lists all."] * (left > 0)
        shown = Group(*parts, *(plain(line, "dim") for line in (*hidden, more) if line))
        if limit is not None or count < 2 or len(console.render_lines(shown)) <= lines:
            console.print(shown)
            return
        count -= 1
