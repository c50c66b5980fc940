"""Tables in a terminal: as many quantities as there is room for, and no header or value cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import polars as pl
from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.errors import argument
from competency_gaps.presentation import columns, facts, rankings
from competency_gaps.presentation.themes import Themes, is_automatic, theme_name
from competency_gaps.text import integer, plural, show_token, visible

NAME_WIDTH = 30
"""Characters of a name's line that no quantity may take."""
_BETWEEN = 3
"""Characters between two columns."""
VERDICT_STYLES = {"weak": "dark_orange", "strong": "dodger_blue2"}
MOST_SUBTHEMES = 5
"""Most subthemes on one screen, so that room is left for concepts."""


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
    width: int | None = None,
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
    width : int, optional
        Width of the terminal; None: every quantity is shown.
    keep : int
        Number of leading quantities that are shown even if there is no room.
    """
    first = Cells("#", [Text(str(number)) for number in numbers]) if numbers is not None else None
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False)
    if first is not None:
        table.add_column(first.title, justify="right", no_wrap=True, style="dim")
    table.add_column(names.title, min_width=12, ratio=1, overflow="fold")
    used = list(shown)
    if width is not None:
        room = width - min(names.width, NAME_WIDTH) - (first.width + _BETWEEN if first is not None else 0)
        used = _fitting(shown, room, keep)
    for cells in used:
        table.add_column(cells.title, justify="left" if cells.words else "right", no_wrap=True)
    parts = [cells.texts for cells in ([first] if first is not None else []) + [names, *used]]
    for row in zip_longest(*parts):
        table.add_row(*row)
    return table


def _fitting(shown: Sequence[Cells], room: int, keep: int) -> list[Cells]:
    used = list(shown[:keep])
    room -= sum(cells.width + _BETWEEN for cells in used)
    for cells in shown[keep:]:
        if cells.width + _BETWEEN <= room:
            used.append(cells)
            room -= cells.width + _BETWEEN
    return used


def concept_table(
    frame: pl.DataFrame,
    shown: Sequence[columns.Column] = columns.CONCEPT,
    *,
    width: int | None = None,
    keep: int = 1,
) -> Table:
    """Lay out concepts, in the order given.

    Parameters
    ----------
    frame : DataFrame
        Rows of ``run.concepts``.
    shown : sequence of Column
        Quantities, the most important first; those that the frame lacks are left out.
    width : int, optional
        Width of the terminal, which leaves out what has no room; None: every quantity is shown.
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


def theme_table(frame: pl.DataFrame, width: int | None = None) -> Table:
    """Lay out themes or subthemes, in the order given.

    Parameters
    ----------
    frame : DataFrame
        Rows of ``run.theme_results``.
    width : int, optional
        Width of the terminal, which leaves out what has no room; None: every quantity is shown.

    Returns
    -------
    rich.table.Table
        Number, name (dim where automatic), gap with its interval, the verdict, weak of ranked concepts, and q.
    """
    rows = frame.to_dicts()
    title = "theme" if "theme" in frame["level"].to_list() else "subtheme"
    gap, verdict, q_value = quantities(
        frame, (columns.THEME_GAP, columns.PERFORMANCE_STATUS, columns.Q_VALUE), {**VERDICT_STYLES, "typical": "dim"}
    )
    weak = Cells("weak of", [Text(f"{integer(row['weak_concepts'])} of {integer(row['ranked'])}") for row in rows])
    names = Cells(title, [_theme_cell(row) for row in rows], words=True)
    numbers = frame["id"].to_list()
    return fitted_table(names, (gap, verdict, weak, q_value), numbers=numbers, width=width, keep=2)


def themes_view(themes: Themes, count: int, width: int | None = None) -> Group:
    """Lay out the first themes, and say how many there are.

    Parameters
    ----------
    themes : Themes
    count : int
        How many of them.
    width : int, optional
        Width of the terminal; None: every quantity is shown.
    """
    left = themes.themes.height - count
    more = f" {plural(left, 'more theme')}: {argument('limit')} {themes.themes.height} lists all." if left > 0 else ""
    caption = Text(visible(themes.caption() + more), style="dim")
    return Group(theme_table(themes.themes.head(count), width), Text(), caption)


def theme_view(
    themes: Themes,
    row: dict[str, Any],
    concepts: pl.DataFrame,
    *,
    subthemes: int | None = None,
    count: int,
    width: int | None = None,
) -> Group:
    """Lay out one theme: its figures, its subthemes, and its first concepts.

    Parameters
    ----------
    themes : Themes
    row : dict
        The theme's row.
    concepts : DataFrame
        All of its rows of ``run.concepts``.
    subthemes : int, optional
        How many of its subthemes; None: all.
    count : int
        How many of its concepts.
    width : int, optional
        Width of the terminal; None: every quantity is shown.
    """
    parts: list[RenderableType] = [Text.assemble((f"theme {row['id']} ", "dim"), _theme_cell(row, "bold"))]
    figures = (columns.THEME_GAP, columns.PERFORMANCE, columns.Q_VALUE)
    facts = ", ".join(f"{column.title} {column.cell(row)}" for column in figures)
    weak = f"{integer(row['weak_concepts'])} weak in {plural(row['weak_groups'], 'group')}"
    counts = (
        f"{columns.PERFORMANCE_STATUS.cell(row)}; {facts}; {plural(row['concepts'], 'concept')}, of which "
        f"{integer(row['ranked'])} ranked: {weak}, {integer(row['strong_concepts'])} strong, "
        f"{integer(row['missing_concepts'])} missing"
    )
    parts.append(Text(visible(counts)))
    children = themes.children(row["id"])
    shown = children.head(children.height if subthemes is None else subthemes)
    if shown.height:
        parts += [Text(), theme_table(shown, width)]
    wanted = (columns.GAP, columns.PERFORMANCE_STATUS, columns.N_EFF)
    parts += [Text(), concept_table(concepts.head(count), wanted, width=width, keep=2)]
    left = {"subtheme": children.height - shown.height, "concept": concepts.height - count}
    hidden = [plural(number, noun) for noun, number in left.items() if number > 0]
    if hidden:
        most = max(children.height, concepts.height)
        parts.append(Text(f"{' and '.join(hidden)} more: {argument('limit')} {most} lists all", style="dim"))
    return Group(*parts)


def _theme_cell(row: dict[str, Any], style: str = "") -> Text:
    auto = is_automatic(row)
    return Text.assemble(
        (visible(theme_name(row)), "dim" if auto else style), (" [auto]" if auto else "", "dim italic")
    )
