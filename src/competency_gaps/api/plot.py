"""Figures of a run on matplotlib axes, so that they can be restyled, combined and saved as anybody's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.report.findings import concept_name
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import shorten, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"weak": "#b34a00", "strong": "#17539f"}
"""Ends of the report's diverging scale; all else is grey."""
NAME_LENGTH = 50
"""Characters of a name on an axis, at most."""


@dataclass(frozen=True)
class Plots:
    """Figures of one run. Each takes an axes to draw on, or makes one, and gives it back.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """

    run: RunFolder

    def gaps(self, ax: Axes | None = None, *, top: int = 10) -> Axes:
        """Draw the gaps of the weak and strong concepts that lead a group, with their intervals, weakest on top.

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
        names = [concept_name(row) for row in shown.iter_rows(named=True)]
        return _intervals(ax, names, shown, "gap (points of score between 0 and 1)")

    def themes(self, ax: Axes | None = None) -> Axes:
        """Draw the gap of every theme with its interval, weakest on top.

        Raises
        ------
        UserError
            If the run has no themes.
        """
        results = self.run.theme_results
        if results is None:
            raise UserError("the run has no themes: put a dictionary with themes on it (Run.name).")
        shown = results.filter((pl.col("level") == "theme") & pl.col("gap").is_not_null()).sort("gap")
        return _intervals(ax, shown["name"].to_list(), shown, "gap (points of score between 0 and 1)")

    def overlap(self, ax: Axes | None = None) -> Axes:
        """Draw how many concepts each two benchmarks share: the Jaccard index of the concepts that they cover."""
        names = self.run.benchmarks["benchmark"].to_list()
        place = {name: i for i, name in enumerate(names)}
        share = np.ones((len(names), len(names)))
        for one, other, jaccard in self.run.overlap.select("benchmark_a", "benchmark_b", "jaccard").iter_rows():
            share[place[one], place[other]] = np.nan if jaccard is None else jaccard
        ax = ax or _new_axes(0.5 * len(names) + 3, 0.5 * len(names) + 2)
        picture = ax.imshow(share, vmin=0, vmax=1, cmap="viridis")
        ticks = [_short(name) for name in names]
        ax.set_xticks(range(len(names)), ticks, rotation=45, ha="right")
        ax.set_yticks(range(len(names)), ticks)
        ax.figure.colorbar(picture, ax=ax, label="share of concepts in both")
        return ax

    def coverage(self, ax: Axes | None = None) -> Axes:
        """Draw the part of the model's concepts that each benchmark exercises."""
        table = self.run.benchmarks.filter(pl.col("alive") > 0)
        table = table.with_columns(share=pl.col("covered") / pl.col("alive")).sort("share")
        ax = ax or _new_axes(7, 0.35 * table.height + 1.5)
        ax.barh([_short(name) for name in table["benchmark"]], table["share"].to_numpy(), color="#4c78a8")
        ax.set_xlim(0, 1)
        ax.set_xlabel("share of the model's concepts that occur in an item")
        return ax


def _intervals(ax: Axes | None, names: list[str], shown: pl.DataFrame, title: str) -> Axes:
    """Draw one line for each row: its gap and its interval."""
    ax = ax or _new_axes(8, 0.3 * shown.height + 1.5)
    places = np.arange(shown.height)[::-1]
    for place, row in zip(places, shown.iter_rows(named=True), strict=True):
        colour = COLOURS.get(row["performance_status"], "#888888")
        ax.plot([row["gap_low"], row["gap_high"]], [place, place], color=colour, linewidth=1.5)
        ax.plot(row["gap"], place, "o", color=colour, markersize=4)
    ax.axvline(0, color="#888888", linewidth=0.8)
    ax.set_yticks(places, [_short(name) for name in names])
    ax.set_xlabel(title)
    return ax


def _short(name: str | None) -> str:
    # A dollar sign would begin a formula.
    return shorten(visible(name or "without a name"), NAME_LENGTH).replace("$", r"\$")


def _new_axes(width: float, height: float) -> Axes:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot", "Drawing figures") from error
    axes: Axes = pyplot.subplots(figsize=(width, height), layout="constrained")[1]
    return axes
