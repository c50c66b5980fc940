"""The models of a run in a terminal, and two of them, or two runs, compared; the comparison also as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.findings.words import short_name
from competency_gaps.report.tables import cut, plain
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import read_scores
from competency_gaps.stages.models import missing_of_models, models_table
from competency_gaps.text import integer, percent, plural

NAME = 36
"""Characters of a theme's name, at most."""
SURE = 0.05
"""False-discovery rate at which an item is listed."""
MOST_ITEMS = 10
"""Items of a list, at most."""
MODEL = 60
"""Characters of a model's name, at most."""


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
        named = Text(cut(short_name(row["model"]), MODEL) + (" (reads the items)" if row["reads"] else ""))
        shown.add_row(named, mean, spread, integer(row["scored"]), integer(row["unscored"]))
    ways = "One model: --model MODEL; less the scores of models of its level: --model MODEL --against peers."
    notes = [plain(note, "dim") for note in (*_missing(run), f"{ways} Two models: cgaps compare RUN --models A B.")]
    return Group(plain(head), Text(), shown, Text(), *notes)


def _missing(run: RunFolder) -> list[str]:
    """Say of which models scores are missing on harder, or easier, items than elsewhere."""
    apart = {model: own for model, own in missing_of_models(run).items() if own.with_difficulty}
    if not apart:
        return []
    named = "; ".join(
        f"{short_name(model)} {100 * own.gap:+.1f} ({100 * own.low:+.1f} to {100 * own.high:+.1f})"
        for model, own in apart.items()
    )
    return [
        "Some models' scores are not missing by chance. On the items that the model named has no score of, the others "
        f"score more (+) or less (-) than on other items of the same benchmarks, in points of 100: {named}."
    ]


def only_models(run: RunFolder) -> bool:
    """Whether a run has scores of other models, and none of its own."""
    return bool(np.isnan(run.outcomes).all()) and read_scores(run.base).height > 0


def items_of_models(facts: pl.DataFrame) -> RenderableType:
    """Say how items tell models apart, and list those that look broken, the surest first.

    Parameters
    ----------
    facts : DataFrame
        As :func:`competency_gaps.stages.models.item_models` gives them.
    """
    tested = facts.filter(pl.col("p_value").is_not_null())
    middle = float(np.median(tested["discrimination"].to_numpy())) if tested.height else 0.0
    head = (
        f"{plural(facts.height, 'item')}, {tested.height:,} with enough models that differ on them. Median "
        f"discrimination {middle:.2f}; it is below 0 on "
        f"{plural(tested.filter(pl.col('discrimination') < 0).height, 'item')}. Right for all models: "
        f"{facts.filter(pl.col('mean') == 1).height:,}; wrong for all: {facts.filter(pl.col('mean') == 0).height:,}."
    )
    lists = (
        ("Strong models wrong, weak ones right", "q_value", ("mean", "discrimination", "q_value")),
        ("Models that agree on what the key calls wrong", "alike_q", ("wrong", "alike", "alike_q")),
    )
    parts: list[RenderableType] = [plain(head)]
    for title, column, columns in lists:
        odd = facts.filter(pl.col(column) <= SURE).sort(column)
        parts += [Text(), plain(f"{title} (false-discovery rate {percent(SURE, 1)}): {plural(odd.height, 'item')}")]
        if odd.height:
            table = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False)
            for name in ("benchmark", "item", *columns):
                table.add_column(name)
            for row in odd.head(MOST_ITEMS).iter_rows(named=True):
                cells = (f"{row[name]:.2g}" if isinstance(row[name], float) else str(row[name]) for name in columns)
                table.add_row(Text(cut(row["benchmark"], NAME)), Text(cut(row["item_id"], NAME)), *cells)
            parts.append(table)
    return Group(*parts)


def cells_of_models(cells: pl.DataFrame, *, against_peers: bool, absent: Sequence[str] = ()) -> RenderableType:
    """List the themes, or groups of concepts, on which each model stands out, gaps in points of 100.

    Parameters
    ----------
    cells : DataFrame
        As :func:`~competency_gaps.stages.matrix.model_themes` or :func:`~competency_gaps.stages.matrix.model_groups`
        gives them.
    absent
        Models that have no scores against peers.
    """
    models = cells["model"].unique(maintain_order=True).to_list()
    key = "group" if "group" in cells.columns else "theme"
    if not models:
        return plain("No concept stands out for any model, so there are no groups of concepts.")
    what = "scores against peers" if against_peers else "scores"
    cells_tested = f"all {cells['p_value'].is_not_null().sum():,} tested cells"
    count = plural(cells[key].n_unique(), key)
    head = (
        f"Gaps of {plural(len(models), 'model')} on {count}, {what}, in points of 100 at equal length; false "
        "discoveries are controlled over "
        + (cells_tested if key == "theme" else "all models and all concepts, of which the groups were chosen")
        + "."
    )
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False)
    for name in ("model", "weak", "strong"):
        shown.add_column(name)
    apart = cells.filter(pl.col("status").is_in(("weak", "strong")))["model"].unique().to_list()
    plain_models = [model for model in models if model not in apart]
    for model in (model for model in models if model in apart):
        own = cells.filter(pl.col("model") == model)
        sides = (_listed(own.filter(pl.col("status") == status), key, status) for status in ("weak", "strong"))
        shown.add_row(Text(cut(short_name(model), MODEL)), *sides)
    left = ", ".join(cut(short_name(model), MODEL) for model in absent)
    note = [plain(f"Without enough peers of their level: {left}.", "dim")] if left else []
    if plain_models:
        nothing = ", ".join(cut(short_name(model), MODEL) for model in plain_models)
        note.insert(0, plain(f"Nothing stands out for {nothing}."))
    return Group(plain(head), Text(), *([shown] if apart else []), *note)


def _listed(cells: pl.DataFrame, key: str, status: str) -> Text:
    rows = cells.sort("gap", descending=status == "strong").iter_rows(named=True)
    names = ((str(row["name"] or f"{'concept' if key == 'group' else key} {row[key]}"), row["gap"]) for row in rows)
    texts = [f"{cut(name, NAME)} {100 * gap:+.1f}" for name, gap in names]
    return Text("; ".join(texts), "red" if status == "weak" else "green")
