"""Themes in a terminal."""

from __future__ import annotations

from typing import Any

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.report import columns
from competency_gaps.report.tables import Cells, concept_table, fitted_table, quantities
from competency_gaps.report.themes import Themes, is_automatic, theme_name
from competency_gaps.text import integer, plural, visible

TONES = {"weak": "dark_orange", "strong": "dodger_blue2"}
MOST = 8
"""Rows of the short table."""
MOST_SUBTHEMES = 5
"""Most subthemes on one screen, so that room is left for concepts."""


def short_table(themes: Themes, width: int) -> Group:
    """Lay out the weakest themes, then the strongest ones, at most eight in all."""
    weak = themes.weak.head(MOST - min(2, themes.strong.height))
    shown = pl.concat([weak, themes.strong.head(MOST - weak.height)])
    parts: list[RenderableType] = [Text(), Text("Themes", style="bold")]
    parts.append(theme_table(shown, width) if shown.height else Text("no theme is weak or strong", style="dim"))
    hidden = themes.weak.height + themes.strong.height - shown.height
    more = f" {integer(hidden)} more: cgaps show RUN --themes." if hidden else ""
    return Group(*parts, Text(visible(themes.caption() + more), style="dim"))


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
        frame, (columns.THEME_GAP, columns.PERFORMANCE_STATUS, columns.Q_VALUE), {**TONES, "typical": "dim"}
    )
    weak = Cells("weak of", [Text(f"{integer(row['weak_concepts'])} of {integer(row['ranked'])}") for row in rows])
    names = Cells(title, [_name(row) for row in rows], words=True)
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
    more = f" {plural(left, 'theme')} more: --limit {themes.themes.height} lists all." if left > 0 else ""
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
    parts: list[RenderableType] = [Text.assemble((f"theme {row['id']} ", "dim"), _name(row, "bold"))]
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
        parts.append(Text(f"{' and '.join(hidden)} more: --limit {most} lists all", style="dim"))
    return Group(*parts)


def _name(row: dict[str, Any], style: str = "") -> Text:
    auto = is_automatic(row)
    return Text.assemble(
        (visible(theme_name(row)), "dim" if auto else style), (" [auto]" if auto else "", "dim italic")
    )
