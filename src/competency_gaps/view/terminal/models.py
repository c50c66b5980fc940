"""The models of a run in a terminal, and the slices that tell them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich import box
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from competency_gaps.findings.finding import MAX_FINDINGS, Answer, Finding, ModelSlices
from competency_gaps.runs.open import RunFolder
from competency_gaps.util.errors import argument
from competency_gaps.util.text import integer, percent, plural, visible
from competency_gaps.view import words
from competency_gaps.view.terminal.tables import VERDICT_STYLES, cut, cut_names, plain
from competency_gaps.view.words import short_name

MODEL = 60
"""Characters of a model's name, at most."""


def models_view(run: RunFolder) -> RenderableType:
    """List the models that a run has scores of, the best first."""
    from competency_gaps.findings.model_scores import models_table

    table = models_table(run)
    head = f"{plural(table.height, 'model')} on {plural(run.items.height, 'item')}"
    head += f"; {short_name(run.reader)} read the items for concepts." if run.reader else "."
    figures = (Column(name, justify="right") for name in ("mean", "95% interval", "scored", "unscored"))
    shown = Table("model", *figures, box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False)
    called = cut_names(table["model"], MODEL)
    for row in table.sort("mean", descending=True, nulls_last=True).iter_rows(named=True):
        mean = "none" if row["mean"] is None else percent(row["mean"], 1)
        spread = "" if row["mean"] is None else f"{percent(row['low'], 1)} to {percent(row['high'], 1)}"
        named = Text(called[row["model"]] + (" (reads the items)" if row["reads"] else ""))
        shown.add_row(named, mean, spread, integer(row["scored"]), integer(row["unscored"]))
    ways = "One model: cgaps show RUN MODEL. Two models: cgaps compare RUN A B."
    notes = [plain(note, "dim") for note in (*_missing(run), ways)]
    return Group(plain(head), Text(), shown, Text(), *notes)


def _missing(run: RunFolder) -> list[str]:
    """Name the models whose missing scores fall on harder, or easier, items."""
    from competency_gaps.findings.model_scores import missing_of_models

    apart = {model: trend for model, trend in missing_of_models(run).items() if trend.with_difficulty}
    if not apart:
        return []
    named = "; ".join(
        f"{short_name(model)} {words.signed_points(trend.gap)} ({words.interval(trend.low, trend.high)})"
        for model, trend in apart.items()
    )
    return [
        "Some models' missing scores are not random. On the items without a score for the model, the others score "
        f"higher (+) or lower (−) than on the rest of the same benchmarks, in points: {named}."
    ]


MAX_SLICES = 8
"""Slices that are listed."""
WHOLE = 0.9
"""Share of the items from which a mean of the scored ones stands for all."""
PARTLY = "*: scored on less than 90% of the items. "
SLICE = 20
"""Characters that long names of models leave to a column of slices."""


def models_page(
    answers: Mapping[str, Answer], slices: ModelSlices, width: int, limit: int | None = None
) -> RenderableType:
    """Lay out the models of a run, a line each with the first slice of both sides; then what tells models apart.

    Parameters
    ----------
    answers
        By model.
    width : int
        Characters of a line.
    limit : int, optional
        Slices.
    """
    ordered = sorted(answers.values(), key=lambda answer: -1.0 if answer.mean is None else answer.mean, reverse=True)
    models = [answer.model for answer in ordered]
    called = cut_names(models, min(max(width - 2 * SLICE - 12, 12), MODEL))
    wide = max(map(len, called.values()))
    room = max((width - wide - 13) // 2, 12)
    lines = _grid(("", "score", "weakest", "strongest"), wide, 6, room, room)
    for answer in ordered:
        extremes = (
            Text(_slice_text(side[0], room) if side else "   –", style)
            for side, style in zip(words.sides(answer), VERDICT_STYLES.values(), strict=True)
        )
        mean = "" if answer.mean is None else f"{100 * answer.mean:.1f}" + _star(answer.scored, answer.items)
        lines.add_row(called[answer.model], mean, *extremes)
    beside = "its peers (the nearest in score)" if any(row.kind == "peers" for row in ordered) else "its own average"
    head = f"Where {plural(len(ordered), 'model')} stand out, each against {beside}, in points expected on new items:"
    both = [side[:1] for answer in ordered for side in words.sides(answer)]
    notes = "" if all(both) else f"“–”: none among the lines of its list, {MAX_FINDINGS} at most. "
    notes += f"“?”: {words.UNSURE} " if any(words.unsure(one) for side in both for one in side) else ""
    notes += PARTLY if any(_star(row.scored, row.items) for row in answers.values()) else ""
    apart = slices.slices.head(limit or MAX_SLICES)
    heads = ("differ most on", "lowest", "highest") if apart.height else ("no slice tells them apart", "", "")
    needed = max((len(visible(name)) for name in apart["name"]), default=0)
    called = cut_names(models, min(max((width - min(needed, SLICE) - 18) // 2, 12), MODEL))
    wide = max(map(len, called.values())) + 6
    first = max(min(needed, width - 2 * wide - 6), 16)
    table = _grid(heads, first, wide, wide)
    for number, name in apart.select("slice", "name").iter_rows():
        row = slices.cells.filter(pl.col("slice") == number, pl.col("gap").is_not_null()).sort("gap")
        if row.is_empty():
            continue
        ends = (row.row(end, named=True) for end in (0, -1))
        texts = (f"{words.signed_points(one['gap']):>4} {called[one['model']]}" for one in ends)
        styled = (Text(text, style) for text, style in zip(texts, VERDICT_STYLES.values(), strict=True))
        table.add_row(words.cut_at_word(visible(name), first), *styled)
    more = f" To see {words.see_all(slices.slices.height, 'slices')}." if slices.slices.height > apart.height else ""
    notes += f"Who scores best: {argument('by')} COLUMN. One model: cgaps show RUN MODEL. "
    notes += "Two: cgaps compare RUN A B. "
    notes += f"Items scored: {argument('list')} models.{more}"
    return Group(
        plain(head, "bold"),
        lines,
        Text("\nSlices that tell models apart, in the same points:", "bold"),
        table,
        plain(notes, "dim"),
    )


def best_view(table: pl.DataFrame, column: str, width: int, limit: int | None = None) -> RenderableType:
    """Return a view of which model scores best on each category of a column, and which do as well within noise.

    Parameters
    ----------
    table
        From :func:`~competency_gaps.findings.models.scores_by`.
    column
        Name of the column.
    width : int
        Characters of a line.
    limit : int, optional
        Maximum number of categories.
    """
    parts = sorted(table.partition_by("category", maintain_order=True), key=lambda row: -row["items"][0])
    name = min(max(len(visible(category)) for category in table["category"].unique()), max(width - 64, 14))
    called = cut_names(table["model"].unique(maintain_order=True), min(MODEL, max((width - name - 28) // 2, 20)))
    wide = max(map(len, called.values()))
    rest = max(width - name - 6 - 11 - wide - 8, 15)
    shown = _grid((column, "items", "best score", "", "as good"), name, 6, 11, wide, rest)
    for part in parts[:limit]:
        best, *others = _likely_best(part).iter_rows(named=True)
        names = [called[row["model"]] + _star(row["scored"], row["items"]) for row in others]
        as_good = ", ".join(names) if names else "surely the best"
        if len(as_good) > rest:
            as_good = f"{plural(len(names), 'other model')}"
        category = words.cut_at_word(visible(part["category"][0]), name)
        first = called[best["model"]] + _star(best["scored"], best["items"])
        cells = (category, integer(best["items"]), _score(best), first, as_good)
        shown.add_row(*map(Text, cells))
    head = f"Which of {plural(table['model'].n_unique(), 'model')} scores best, by {column}, in points of 100:"
    note = "In brackets 95% intervals. As good: within noise; no model surely scores more on the same items. "
    note += PARTLY if (table["scored"] < WHOLE * table["items"]).any() else ""
    more = f" To see {words.see_all(len(parts), 'categories')}." if limit and limit < len(parts) else ""
    return Group(plain(head, "bold"), shown, plain(f"{note}All models: {argument('slice')} NAME.{more}", "dim"))


def _likely_best(part: pl.DataFrame) -> pl.DataFrame:
    """The models that may be the best of a category; those that are scored on most of its items first."""
    likely = part.filter("may_be_best") if part["may_be_best"].any() else part.head(1)
    return likely.sort(pl.col("scored") < WHOLE * pl.col("items"), maintain_order=True)


def _star(scored: int, items: int) -> str:
    """A mark for a mean that rests on fewer than ``WHOLE`` of the items."""
    return "*" if scored < WHOLE * items else ""


def scores_view(table: pl.DataFrame, slices: ModelSlices, limit: int | None = None) -> RenderableType:
    """List the models by their scores on one slice, with their gaps there if it tells the models apart."""
    category, items = table["category"][0], table["items"][0]
    called, best = cut_names(table["model"], MODEL), table["may_be_best"].sum()
    gaps = {row["model"]: row for row in slices.cells.filter(name=category).iter_rows(named=True)}
    figures = (
        Column(name, justify="right") for name in ("score", "95% interval", "scored", *(["gap"] if gaps else []))
    )
    shown = Table("model", *figures, "", box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False)
    for row in table.head(limit or table.height).iter_rows(named=True):
        mean = "none" if row["mean"] is None else percent(row["mean"], 1)
        spread = "" if row["mean"] is None else f"{percent(row['low'], 1)} to {percent(row['high'], 1)}"
        gap = gaps.get(row["model"], {}).get("gap")
        points = [] if not gaps else ["none" if gap is None else words.signed_points(gap)]
        verdict = ("surely the best" if best == 1 else "may be the best") if row["may_be_best"] else ""
        shown.add_row(*map(Text, (called[row["model"]], mean, spread, integer(row["scored"]), *points, verdict)))
    head = f"Scores on {visible(category)}, {plural(items, 'item')}:"
    note = "May be the best: no other model surely scores more on the same items."
    if gaps:
        against = "its peers" if "peers" in slices.cells["against"].to_list() else "its own average"
        note += f" Gap: expected on new items, against {against}; a weak model can have the highest."
    return Group(plain(head, "bold"), Text(), shown, Text(), plain(note, "dim"))


def _score(row: Mapping[str, Any]) -> str:
    """A mean with its interval: ``57 (52–61)``."""
    if row["mean"] is None:
        return "none"
    return f"{100 * row['mean']:.0f} ({100 * row['low']:.0f}–{100 * row['high']:.0f})"


def _grid(heads: Sequence[str], *widths: int) -> Table:
    """A table without lines whose columns have these widths."""
    columns = (Column(no_wrap=True, overflow="ellipsis", width=characters) for characters in widths)
    table = Table.grid(*columns, padding=(0, 2, 0, 0))
    table.add_row(*(Text(head, style="dim") for head in heads))
    return table


def _slice_text(first: Finding, room: int) -> str:
    """The points and name of a slice in at most ``room`` characters."""
    points = f"{words.points_of(first):>4}{'?' if words.unsure(first) else ' '}"
    name, most = visible(first.name), room - 6
    group, _, within = name.partition(": ")
    if len(name) <= most or name.startswith("“") or not within:
        return f"{points} {words.cut_at_word(name, most)}"
    # What is in one group must not look like the group itself, nor several like the first of them.
    whole = words.cut_at_word(name, most)
    if len(whole) > len(group) + 2:
        return f"{points} {whole}"
    return f"{points} {cut(name, most) if ' and ' in group else words.cut_at_word(within, most)}"
