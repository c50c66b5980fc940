"""The models of a run in a terminal: how each does, and on which themes."""

from __future__ import annotations

import numpy as np
import polars as pl
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.errors import argument
from competency_gaps.findings.answer_parts import short_name
from competency_gaps.report.tables import plain
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import read_scores
from competency_gaps.stages.models import models_table
from competency_gaps.text import integer, percent, plural


def models_view(run: RunFolder) -> RenderableType:
    """List the models that a run has scores of, the best first."""
    table = models_table(run)
    lens = short_name(str(run.manifest["model"]["name"]))
    head = f"{plural(table.height, 'model')} on {plural(run.items.height, 'item')}; concepts as {lens} reads the items."
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False)
    for name, side in (("model", "left"), ("mean", "right"), ("95% interval", "right"), ("scored", "right")):
        shown.add_column(name, justify=side)  # type: ignore[arg-type]
    shown.add_column("unscored", justify="right")
    for row in table.sort("mean", descending=True, nulls_last=True).iter_rows(named=True):
        mean = "none" if row["mean"] is None else percent(row["mean"], 1)
        spread = "" if row["mean"] is None else f"{percent(row['low'], 1)} to {percent(row['high'], 1)}"
        named = Text(short_name(row["model"]) + (" (reads the items)" if row["reads"] else ""))
        shown.add_row(named, mean, spread, integer(row["scored"]), integer(row["unscored"]))
    ways = (
        f"One: {argument('as')} MODEL; against models of its level: {argument('as')} MODEL {argument('against_peers')}."
    )
    return Group(plain(head), Text(), shown, Text(), plain(f"{ways} Two: cgaps compare RUN --models A B.", "dim"))


def only_models(run: RunFolder) -> bool:
    """Whether a run has scores of other models, and none of its own."""
    return bool(np.isnan(run.outcomes).all()) and read_scores(run.base).height > 0


def theme_matrix(cells: pl.DataFrame) -> RenderableType:
    """Draw models against themes: gaps in points of 100, bold where they pass the rate over all cells."""
    themes = cells.select("theme", "name").unique(maintain_order=True)
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False)
    shown.add_column("theme")
    models = cells["model"].unique(maintain_order=True).to_list()
    for model in models:
        shown.add_column(Text(short_name(model)), justify="right")
    held = {(row["model"], row["theme"]): row for row in cells.iter_rows(named=True)}
    for number, name in themes.iter_rows():
        row = [held[model, number] for model in models]
        shown.add_row(Text(str(name or number)), *(_cell(cell["gap"], cell["status"]) for cell in row))
    return shown


def _cell(gap: float | None, status: str) -> Text:
    if gap is None:
        return Text("")
    style = {"weak": "bold red", "strong": "bold green"}.get(status, "dim")
    return Text(f"{100 * gap:+.1f}", style)
