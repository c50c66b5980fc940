"""Charts of a run on matplotlib axes: ``run.plot`` for restyling in a notebook, and the report's as SVG."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from markupsafe import Markup, escape
from rich.cells import cell_len, set_cell_size

from competency_gaps.errors import UserError
from competency_gaps.presentation.rankings import concept_name
from competency_gaps.presentation.themes import theme_name
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME_LENGTH = 40
"""Length of a name on an axis, at most; a wide letter (Chinese, say) counts twice."""
WEAK, STRONG, NEUTRAL = "#b34a00", "#17539f", "#888888"
_PAGE_COLOURS = {WEAK: "var(--weak)", STRONG: "var(--accent)", NEUTRAL: "var(--faint)", "#000000": "var(--faint)"}
"""The report's own colours, which follow the reader's light or dark setting; black text has no colour in the SVG."""


def _notebook_axes(width: float, height: float) -> Axes:
    """Make a figure that a notebook shows, in inches."""
    from matplotlib import pyplot

    axes: Axes = pyplot.subplots(figsize=(width, height), layout="constrained")[1]
    return axes


def _page_axes(width: float, height: float) -> Axes:
    """Make a figure that no window shows and nothing keeps, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained").subplots()


@dataclass(frozen=True)
class Plots:
    """Charts of one run. Each takes an axes to draw on, or makes one, and returns it."""

    run: RunFolder
    new_axes: Callable[[float, float], Axes] = _notebook_axes
    """Makes the axes, from a width and a height in inches."""

    def gaps(self, ax: Axes | None = None, *, top: int = 10) -> Axes:
        """Draw the net gaps of the weak and strong concepts that lead a group, with their intervals, weakest on top.

        Parameters
        ----------
        ax
            Where to draw; None makes a figure.
        top
            Concepts of each verdict, at most.
        """
        concepts = self.run.concepts.filter(pl.col("leader") == pl.col("concept"))
        weak = concepts.filter(pl.col("performance_status") == "weak").sort("gap").head(top)
        strong = concepts.filter(pl.col("performance_status") == "strong").sort("gap", descending=True).head(top)
        shown = pl.concat([weak, strong.reverse()])
        return self._intervals(ax, shown, [concept_name(row) for row in shown.iter_rows(named=True)])

    def themes(self, ax: Axes | None = None, *, top: int | None = None) -> Axes:
        """Draw the net gaps of the themes with their intervals, weakest on top.

        Parameters
        ----------
        ax
            Where to draw; None makes a figure.
        top
            Themes from either end, at most; None: all.

        Raises
        ------
        UserError
            If the run has no themes.
        """
        results = self.run.theme_results
        if results is None:
            raise UserError("the run has no themes: put a dictionary with themes on it (Run.name).")
        shown = results.filter((pl.col("level") == "theme") & pl.col("gap").is_not_null()).sort("gap")
        if top is not None and shown.height > 2 * top:
            shown = pl.concat([shown.head(top), shown.tail(top)])
        return self._intervals(ax, shown, [theme_name(row) for row in shown.iter_rows(named=True)])

    def overlap(self, ax: Axes | None = None) -> Axes:
        """Draw how many concepts each two benchmarks share: the Jaccard index of the concepts that they cover."""
        names = self.run.benchmarks["benchmark"].to_list()
        place = {name: i for i, name in enumerate(names)}
        share = np.ones((len(names), len(names)))
        for first, second, jaccard in self.run.overlap.select("benchmark_a", "benchmark_b", "jaccard").iter_rows():
            share[place[first], place[second]] = np.nan if jaccard is None else jaccard
        ax = ax or self.new_axes(0.5 * len(names) + 3, 0.5 * len(names) + 2)
        picture = ax.imshow(share, vmin=0, vmax=1, cmap="viridis")
        ticks = [_short(name) for name in names]
        ax.set_xticks(range(len(names)), ticks, rotation=45, ha="right", parse_math=False)
        ax.set_yticks(range(len(names)), ticks, parse_math=False)
        ax.figure.colorbar(picture, ax=ax, label="share of concepts in both")
        return ax

    def coverage(self, ax: Axes | None = None) -> Axes:
        """Draw the part of the model's concepts that each benchmark exercises."""
        table = self.run.benchmarks.filter(pl.col("alive") > 0)
        table = table.with_columns(share=pl.col("covered") / pl.col("alive")).sort("share")
        ax = ax or self.new_axes(7, 0.35 * table.height + 1.5)
        places = np.arange(table.height)
        ax.barh(places, table["share"].to_numpy(), color=STRONG)
        ax.set_yticks(places, [_short(name) for name in table["benchmark"]], parse_math=False)
        ax.set_xlim(0, 1)
        ax.set_xlabel("share of the model's concepts that occur in an item")
        return ax

    def _intervals(self, ax: Axes | None, shown: pl.DataFrame, names: Sequence[str]) -> Axes:
        """Draw one line for each row: its gap and its interval."""
        ax = ax or self.new_axes(7, 0.3 * shown.height + 1)
        places = np.arange(shown.height)[::-1]
        for place, row in zip(places, shown.iter_rows(named=True), strict=True):
            colour = {"weak": WEAK, "strong": STRONG}.get(row["performance_status"], NEUTRAL)
            ax.plot([row["gap_low"], row["gap_high"]], [place, place], color=colour, linewidth=1.5)
            ax.plot(row["gap"], place, "o", color=colour, markersize=4)
        ax.axvline(0, color=NEUTRAL, linewidth=0.8)
        ax.set_yticks(places, [_short(name) for name in names], parse_math=False)
        ax.set_xlabel("net gap (scores lie between 0 and 1)")
        return ax


def _short(name: str) -> str:
    text = visible(name)
    return text if cell_len(text) <= NAME_LENGTH else f"{set_cell_size(text, NAME_LENGTH - 1).rstrip()}…"


def page_svg(run: RunFolder, draw: Callable[[Plots], Axes], description: str) -> Markup:
    """Draw a chart for an HTML page.

    Parameters
    ----------
    run : RunFolder
    draw : callable
        Draws one of the charts.
    description : str
        What the chart shows, for readers who do not see it; each chart of a page has its own.

    Returns
    -------
    Markup
        An ``svg`` element, the same bytes for the same run and description.
    """
    from matplotlib import style

    written = io.StringIO()
    # Text stays text. The salt makes ids the same in every process, and different in every chart of a page.
    settings = {"svg.fonttype": "none", "svg.hashsalt": description}
    with style.context(["default", settings]), warnings.catch_warnings():
        # matplotlib measures with its own font, which lacks many scripts; a browser has fonts for them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        axes = draw(Plots(run, _page_axes))
        axes.spines[["top", "right"]].set_visible(False)
        figure = axes.get_figure(root=True)
        assert figure is not None
        figure.savefig(
            written, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    svg = written.getvalue()
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg[svg.index("<svg") :])
    svg = svg.replace("<svg ", f'<svg class="figure" role="img" aria-label="{escape(visible(description))}" ', 1)
    svg = svg.replace("*{", ".figure *{", 1)
    for colour, variable in _PAGE_COLOURS.items():
        svg = svg.replace(f": {colour}", f": {variable}")
    return Markup(svg)
