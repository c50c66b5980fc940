"""The models of a run in a terminal, and two of them, or two runs, compared; the comparison also as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.errors import argument
from competency_gaps.files import write_atomic
from competency_gaps.findings.words import short_name
from competency_gaps.report.tables import cut, plain
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import read_scores
from competency_gaps.stages.compare import ALPHA, Comparison
from competency_gaps.stages.models import missing_of_models, models_table
from competency_gaps.text import integer, percent, plural, shorten, visible

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


_COLUMNS = ("change (interval)", "better:worse", "p", "visible")

NAMED = 4
"""Losses that the verdict names, at most."""


def sentences(made: Comparison) -> list[str]:
    """Say what the comparison shows: the verdict, the whole, what got worse and better, and what did not pair."""
    candidate, baseline = short_name(made.candidate), short_name(made.baseline)
    row = made.overall.row(by_predicate=pl.col("weighting") == "items", named=True)
    lines = [_verdict(made, candidate, baseline)]
    lines.append(
        f"Over all {plural(made.paired, 'item')} that both are scored on, {candidate} differs by {_interval(row)}: "
        f"better on {row['better']:,} and worse on {row['worse']:,} of {plural(row['clusters'], 'cluster')}. A "
        f"difference of {100 * row['detectable']:.1f} points could have been seen."
    )
    for row in made.overall.filter(weighting="benchmarks").iter_rows(named=True):
        lines.append(
            f"If each of the {made.benchmarks.height:,} benchmarks counts the same, it differs by {_interval(row)}; "
            f"{100 * row['detectable']:.1f} points could have been seen. {argument('fail_on')} regression tests both, "
            "and each benchmark by itself."
        )
    frames = (("benchmark", made.benchmarks), ("theme", made.themes), ("concept", made.concepts))
    for status in ("worse", "better"):
        counts = [(int((frame["status"] == status).sum()), frame.height, what) for what, frame in frames]
        parts = [f"{plural(count, what)} of {height:,}" for count, height, what in counts if count]
        if parts:
            lines.append(f"{status.capitalize()}: {', '.join(parts)}.")
    for what, frame in frames[1:]:
        if not frame.height:
            continue
        apart = frame.filter(pl.col("gap_q") <= ALPHA)
        lines.append(
            f"{plural(apart.height, what)} of {frame.height:,} {'differs' if apart.height == 1 else 'differ'} more or "
            "less than the other items do (marked *)."
        )
    lost = made.items.filter(pl.col("difference") < 0)
    if lost.height:
        named = ", ".join(f"{row['benchmark']}: {row['item_id']}" for row in lost.head(NAMED).iter_rows(named=True))
        lines.append(f"{plural(lost.height, 'item')} got worse, such as {named}; {argument('json')} lists them all.")
    for name, only in ((candidate, made.only_candidate), (baseline, made.only_baseline)):
        if only:
            lines.append(f"{plural(len(only), 'item')} scored for {name} alone, such as {only[0]}: not compared.")
    for row in made.missing.iter_rows(named=True):
        lines += _missing_scores(
            row, short_name(row["model"]), baseline if row["model"] == made.candidate else candidate
        )
    return lines


def _missing_scores(row: dict[str, Any], name: str, other: str) -> list[str]:
    """Say on which items a model's scores are missing, where that depends on difficulty or concepts."""
    parts = []
    if row["p_value"] is not None and row["p_value"] <= ALPHA:
        parts.append(
            f"{other} scores {_points(row['gap'])} points there ({_points(row['low'])} to {_points(row['high'])}) "
            "against other items of the same benchmarks and about equal length"
        )
    if row["concepts"]:
        parts.append(f"they go with {row['concepts']:,} of {plural(row['tested'], 'tested concept')}")
    if not parts:
        return []
    return [
        f"The {row['share']:.1%} of items that {name} has no score of are not like the others: {'; '.join(parts)}. The "
        "differences are those on the items scored for both."
    ]


def _verdict(made: Comparison, candidate: str, baseline: str) -> str:
    if made.verdict == "not comparable":
        return f"Cannot tell: {'; '.join(made.reasons)}."
    beyond = f" of more than {100 * made.min_effect:g} points" if made.min_effect else ""
    if made.verdict == "regression":
        more = len(made.reasons) - NAMED
        named = ", ".join(made.reasons[:NAMED]) + (f" and {more} more" if more > 0 else "")
        return f"{candidate} has lost against {baseline}{beyond}: {named}."
    return f"No loss{beyond} of {candidate} against {baseline} is shown."


def comparison_view(made: Comparison, *, limit: int) -> RenderableType:
    """Lay out a comparison: sentences, then benchmarks, themes and concepts, the greatest loss first."""
    parts: list[RenderableType] = [plain(sentence) for sentence in sentences(made)]
    for title, frame, name in _lists(made, limit):
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, header_style="dim")
        table.add_column("")
        for column in _COLUMNS:
            table.add_column(column, justify="right", no_wrap=True)
        for row in frame.iter_rows(named=True):
            style = {"worse": "red", "better": "green"}.get(row["status"], "")
            table.add_row(Text(cut(name(row), NAME)), *(Text(cell, style) for cell in _cells(row)))
        parts += [Text(), table]
    note = "Points of 100, 95% intervals; visible: the smallest difference found with a power of 0.8."
    return Group(*parts, Text(), plain(note, "dim"))


def write_markdown(made: Comparison, path: Path, *, limit: int) -> None:
    """Write a comparison as Markdown of about one screen."""
    lines = [f"## {_safe(short_name(made.candidate))} against {_safe(short_name(made.baseline))}", ""]
    lines += [line for sentence in sentences(made) for line in (_safe(sentence), "")]
    for title, frame, name in _lists(made, limit):
        lines += [f"| {title} | {' | '.join(_COLUMNS)} |", f"| --- |{' ---: |' * len(_COLUMNS)}"]
        for row in frame.iter_rows(named=True):
            mark = {"worse": "▼ ", "better": "▲ "}.get(row["status"], "")
            lines.append(f"| {mark}{_safe(name(row))} | {' | '.join(_cells(row))} |")
        lines.append("")
    text = "\n".join(lines)
    write_atomic(path, lambda part: _write(part, text))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _lists(made: Comparison, limit: int) -> list[tuple[str, pl.DataFrame, Callable[[dict[str, Any]], str]]]:
    """Title, rows and name of a row of each list that has rows; of concepts those that differ."""
    changed = made.concepts.filter((pl.col("status") != "same") | (pl.col("gap_q") <= ALPHA))
    lists: list[tuple[str, pl.DataFrame, Callable[[dict[str, Any]], str]]] = [
        ("Benchmarks", made.benchmarks, lambda row: str(row["benchmark"])),
        ("Themes", made.themes, lambda row: str(row["name"] or f"theme {row['theme']}") + _star(row)),
        ("Concepts", changed, lambda row: str(row["label"] or f"concept {row['concept']}") + _star(row)),
    ]
    return [(title, _extreme(frame, limit), name) for title, frame, name in lists if frame.height]


def _extreme(frame: pl.DataFrame, limit: int) -> pl.DataFrame:
    """The rows that differ most surely from the other items, or at all, the greatest loss first."""
    order = ["q_value", "p_value"] if "gap_q" not in frame.columns else ["gap_q", "q_value", "p_value"]
    return frame.sort(order, nulls_last=True).head(limit).sort("difference")


def _star(row: dict[str, Any]) -> str:
    return " *" if row["gap_q"] is not None and row["gap_q"] <= ALPHA else ""


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        f"{_points(row['difference'])} ({_points(row['low'])}, {_points(row['high'])})",
        f"{row['better']:,}:{row['worse']:,}",
        f"{row['p_value']:.2g}",
        f"{100 * row['detectable']:.1f}",
    ]


def _interval(row: dict[str, Any]) -> str:
    ends = f"{_points(row['low'])} to {_points(row['high'])}"
    return f"{_points(row['difference'])} points of 100 (95% interval {ends}, p {row['p_value']:.2g})"


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}"


def _safe(text: str) -> str:
    """Text that Markdown and HTML take literally, on one line."""
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", escape(shorten(visible(" ".join(text.split())), 500), quote=False))
