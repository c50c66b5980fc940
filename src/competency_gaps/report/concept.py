"""One concept in a terminal, and the verdicts of robustness."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from competency_gaps.errors import UserError
from competency_gaps.presentation import columns, facts, rankings
from competency_gaps.report import tables
from competency_gaps.report.tables import plain
from competency_gaps.runs.open import Order, RunFolder
from competency_gaps.text import decimal, excerpt, integer, shorten, show_token

_FRAME = 6
"""Characters that a panel's frame takes on both sides."""
STATUS_STYLES = {
    **tables.VERDICT_STYLES,
    **dict.fromkeys(("missing", "under"), tables.VERDICT_STYLES["weak"]),
    "over": tables.VERDICT_STYLES["strong"],
}


def verdict_table(verdicts: Sequence[Mapping[str, str]]) -> Table:
    """Lay out the outcomes of the tests of robustness.

    Parameters
    ----------
    verdicts : sequence of mapping
        ``test``, ``sentence`` and ``tone`` (good, bad, open) of each.
    """
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
    for title in ("", "test", "outcome"):
        table.add_column(title)
    marks = {"good": ("✓", "green"), "bad": ("✗", "dark_orange"), "open": ("?", "dim")}
    for verdict in verdicts:
        mark, style = marks[verdict["tone"]]
        table.add_row(Text(mark, style=style), plain(verdict["test"]), plain(verdict["sentence"]))
    return table


def concept_panel(run: RunFolder, concept: int, *, examples: int = 3, width: int) -> Panel:
    """Lay out a concept in detail.

    Parameters
    ----------
    run : RunFolder
    concept : int
        Its number in the SAE.
    examples : int
        Best and worst items, each.
    width : int
        Width of the terminal, which cuts what quantities mean.

    Raises
    ------
    UserError
        The SAE has no such concept.
    """
    rows = run.concepts.filter(pl.col("concept") == concept)
    if rows.is_empty():
        last = run.concepts.height - 1
        raise UserError(
            f"There is no concept {concept} in this run: the SAE's concepts are 0 to {last}. "
            "Look one up by words of its label."
        )
    row = rows.row(0, named=True)
    within = run.concept_benchmarks.filter(pl.col("concept") == concept).to_dicts()
    groups = [] if row["missing"] else _groups(run, concept, examples, scored=row["chi_model"] is not None)
    marks = facts.marks_of(row)
    number = f"{concept} " if row["label"] else ""
    heading = Text.assemble((number, "dim"), plain(rankings.concept_name(row), "dim" if marks else "bold"))
    heading.append(f" [{', '.join(marks)}]" if marks else "", "dim italic")
    parts: list[RenderableType] = [heading, Text()]
    parts += [_facts(run, rows, width), Text(), _per_benchmark(run, within)]
    if not groups:
        parts.append(Text("No item of the suite activates this concept.", style="dim"))
    for title, many in groups:
        parts += [Text(title, style="bold"), *(_example(example) for example in many), Text()]
    return Panel(Group(*parts), padding=(1, 2))


def _facts(run: RunFolder, rows: pl.DataFrame, width: int) -> Group:
    """Its figures, each with the beginning of what it means, on one line."""
    row = rows.row(0, named=True)
    of_kind = (columns.KIND, columns.LEXICAL, columns.COHERENCE)
    shown = columns.present((*columns.CONCEPT, *columns.MISSING, *of_kind), rows)
    cells = [column.cell(row) for column in shown]
    taken = max(len(column.title) for column in shown) + max(map(len, cells)) + 4
    room = max(width - _FRAME - taken, 20)
    grid = Table.grid(padding=(0, 2))
    for column, cell in zip(shown, cells, strict=True):
        hint = textwrap.shorten(column.hint, room, placeholder=" …")
        grid.add_row(Text(column.title, style="dim"), Text(cell, style="bold"), Text(hint, style="dim"))
    lower = Table.grid(padding=(0, 2))
    lower.add_row(Text("peak token", style="dim"), plain(show_token(row["peak_token"]) or "N/A", "cyan"))
    path = " › ".join(region_path(run, row["concept"]))
    for name, value in (("label", facts.provenance(row)), ("region", path)):
        if value:
            lower.add_row(Text(name, style="dim"), plain(value))
    return Group(grid, lower)


def region_path(run: RunFolder, concept: int) -> list[str]:
    """Name the regions of the atlas in which a concept hangs, the coarsest first; empty where it is in none."""
    if run.regions is None:
        return []
    known = {number: above for number, *above in run.regions.select("region", "parent", "name").iter_rows()}
    region, path = run.concepts["region"][concept], list[str]()
    while region in known:
        region, name = known.pop(region)
        path.insert(0, name)
    return path


def _per_benchmark(run: RunFolder, within: list[dict[str, Any]]) -> Group:
    """A row for each benchmark that has the concept, and a line with those that miss it."""
    rows = [row for row in within if row["support"]]
    parts: list[RenderableType] = []
    if rows:
        frame = pl.DataFrame(rows, schema=run.concept_benchmarks.schema)
        tones = [STATUS_STYLES.get(row["performance_status"], "") for row in rows]
        names = [plain(shorten(row["benchmark"], 40), tone) for row, tone in zip(rows, tones, strict=True)]
        shown = tables.quantities(frame, columns.LISTED, STATUS_STYLES)
        parts += [tables.table_of("benchmark", names, shown), Text()]
    absent = [shorten(row["benchmark"], 40) for row in within if not row["support"]]
    if absent:
        parts += [plain(f"missing in {', '.join(absent)}", "dim"), Text()]
    return Group(*parts)


def _example(example: dict[str, Any]) -> Group:
    score = Text("unscored", style="dim")
    if example["score"] is not None:
        side = "strong" if example["score"] >= 0.5 else "weak"
        score = Text(f"score {decimal(example['score'])}", style=tables.VERDICT_STYLES[side])
    times = f" · {integer(example['repeats'])} items like it" if example["repeats"] > 1 else ""
    place = f"{shorten(example['benchmark'], 40)} · {shorten(example['item_id'], 60)}"
    where = plain(f"  {place} · saliency {decimal(example['ncas'])}{times}", "dim")
    cut = example["excerpt"]
    text = Text.assemble(
        (f"[{integer(cut.cut_before)} characters cut] … " if cut.cut_before else "", "dim"),
        plain(cut.before),
        plain(cut.peak, "black on yellow"),
        plain(cut.after),
        (f" … [{integer(cut.cut_after)} characters cut]" if cut.cut_after else "", "dim"),
    )
    lines: list[RenderableType] = [Text.assemble(score, where), Padding(text, (0, 0, 0, 2))]
    for name, value in (("response", example["response"]), ("expected", example["answer"])):
        if value is not None:
            lines.append(Padding(Text.assemble((f"{name}: ", "dim"), plain(shorten(value, 240))), (0, 0, 0, 2)))
    return Group(*lines)


TEXT_LIMIT = 420


def _examples(run: RunFolder, concept: int, order: Order, limit: int) -> list[dict[str, Any]]:
    """Items in which a concept is active, with the stretch of each text that is shown."""
    rows = run.concept_items(concept, order=order, limit=limit).to_dicts()
    for row in rows:
        own, peak = (row["own_start"], row["own_end"]), (row["peak_start"], row["peak_end"])
        row["excerpt"] = excerpt(row["text"] or "", own=own, peak=peak, limit=TEXT_LIMIT)
    return rows


def _groups(run: RunFolder, concept: int, limit: int, *, scored: bool) -> list[tuple[str, list[dict[str, Any]]]]:
    """Choose the lists of examples; no item is in two of them, and equal scores are not called best and worst."""
    best = _examples(run, concept, "best", limit) if scored else []
    worst = _examples(run, concept, "worst", limit) if scored else []
    if not best or not worst:
        groups = [("Where it is strongest", _examples(run, concept, "strongest", limit))]
    elif best[0]["score"] == worst[0]["score"]:
        groups = [("Every scored item has the same score", best)]
    else:
        seen = {(example["benchmark"], example["item_id"]) for example in best}
        rest = [example for example in worst if (example["benchmark"], example["item_id"]) not in seen]
        groups = [("Best items", best), ("Worst items", rest)]
    return [group for group in groups if group[1]]
