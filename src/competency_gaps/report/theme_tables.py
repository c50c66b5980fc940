"""Themes in a terminal."""

from __future__ import annotations

from typing import Any

import polars as pl
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.report import columns
from competency_gaps.report.themes import Themes, is_automatic, theme_name
from competency_gaps.text import integer, plural, visible

TONES = {"weak": "dark_orange", "strong": "dodger_blue2"}
MOST = 8
"""Rows of the short table."""


def short_table(themes: Themes) -> Group:
    """Lay out the weakest themes, then the strongest ones, at most eight in all."""
    weak = themes.weak.head(MOST - min(2, themes.strong.height))
    shown = pl.concat([weak, themes.strong.head(MOST - weak.height)])
    parts: list[RenderableType] = [Text(), Text("Themes", style="bold")]
    parts.append(theme_table(shown) if shown.height else Text("no theme is weak or strong", style="dim"))
    hidden = themes.weak.height + themes.strong.height - shown.height
    more = f" {integer(hidden)} more: cgaps show RUN --themes." if hidden else ""
    return Group(*parts, Text(visible(themes.caption() + more), style="dim"))


def theme_table(frame: pl.DataFrame) -> Table:
    """Lay out themes or subthemes, in the order given.

    Parameters
    ----------
    frame : DataFrame
        Rows of ``run.theme_results``.

    Returns
    -------
    rich.table.Table
        Number, name (dim where automatic), gap with its interval, weak of ranked concepts, q, and the verdict.
    """
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
    table.add_column("#", justify="right", no_wrap=True, style="dim")
    table.add_column("theme" if "theme" in frame["level"].to_list() else "subtheme", min_width=20, ratio=1)
    for title in ("gap", "weak of", "q", "verdict"):
        table.add_column(title, justify="left" if title == "verdict" else "right", no_wrap=True)
    for row in frame.iter_rows(named=True):
        verdict = columns.PERFORMANCE_STATUS.cell(row)
        table.add_row(
            str(row["id"]),
            _name(row),
            columns.THEME_GAP.cell(row),
            f"{integer(row['weak_concepts'])} of {integer(row['ranked'])}",
            columns.Q_VALUE.cell(row),
            Text(visible(verdict), style=TONES.get(verdict, "dim")),
        )
    return table


def print_themes(themes: Themes, console: Console) -> None:
    """Print all themes."""
    console.print(theme_table(themes.themes))
    console.print(Text(themes.caption(), style="dim"))


def print_theme(themes: Themes, row: dict[str, Any], concepts: RenderableType, shown: int, console: Console) -> None:
    """Print one theme: its figures, its subthemes, and its concepts.

    Parameters
    ----------
    themes : Themes
    row : dict
        The theme's row.
    concepts : rich renderable
        The table of its concepts.
    shown : int
        How many of them it lists.
    console : rich.console.Console
    """
    console.print(Text.assemble((f"theme {row['id']} ", "dim"), _name(row, "bold")))
    told = (columns.THEME_GAP, columns.PERFORMANCE, columns.Q_VALUE)
    facts = ", ".join(f"{one.title} {one.cell(row)}" for one in told)
    weak = f"{integer(row['weak_concepts'])} weak in {plural(row['weak_groups'], 'group')}"
    counts = (
        f"{columns.PERFORMANCE_STATUS.cell(row)}; {facts}; {plural(row['concepts'], 'concept')}, of which "
        f"{integer(row['ranked'])} ranked: {weak}, {integer(row['strong_concepts'])} strong, "
        f"{integer(row['missing_concepts'])} missing"
    )
    console.print(Text(visible(counts)))
    children = themes.children(row["id"])
    if children.height:
        console.print(theme_table(children))
    console.print(concepts)
    left = row["concepts"] - shown
    if left > 0:
        console.print(Text(f"{plural(left, 'concept')} more: --limit {row['concepts']} lists all", style="dim"))


def _name(row: dict[str, Any], style: str = "") -> Text:
    auto = is_automatic(row)
    return Text.assemble((visible(theme_name(row)), "dim" if auto else style), (" auto" if auto else "", "dim italic"))
