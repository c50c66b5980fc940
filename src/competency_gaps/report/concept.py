"""One concept in a terminal, and the verdicts of robustness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from competency_gaps.presentation import columns, facts, rankings
from competency_gaps.report import tables
from competency_gaps.report.tables import plain
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import decimal, excerpt, integer, shorten, show_token

SHOWN = (
    *(columns.GAP, columns.PERFORMANCE_STATUS, columns.PERFORMANCE, columns.SUPPORT, columns.N_EFF, columns.COVERAGE),
    *(columns.LIFT, columns.KIND),
)
"""Figures of a concept; the page and ``--json`` have all."""
TEXT_LIMIT = 420
"""Characters of an item."""


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


def concept_view(run: RunFolder, concept: int, *, examples: int = 3) -> Group:
    """Lay out a concept: its name, its figures, and the items in which it is strongest.

    Parameters
    ----------
    run : RunFolder
    concept : int
        Its number in the SAE.
    examples : int
        Items.

    Raises
    ------
    UserError
        The SAE has no such concept.
    """
    run.check_concept(concept)
    row = run.concepts.row(concept, named=True)
    marks = facts.marks_of(row)
    number = f"{concept} " if row["label"] else ""
    heading = Text.assemble((number, "dim"), plain(rankings.concept_name(row), "dim" if marks else "bold"))
    heading.append(f" [{', '.join(marks)}]" if marks else "", "dim italic")
    grid = Table.grid(padding=(0, 2))
    for column in columns.present(SHOWN, run.concepts[concept : concept + 1]):
        grid.add_row(
            Text(column.title, style="dim"), Text(column.cell(row), tables.VERDICT_STYLES.get(row[column.key], ""))
        )
    path = " › ".join(region_path(run, concept))
    for name, value in (
        ("peak token", show_token(row["peak_token"])),
        ("label", facts.provenance(row)),
        ("region", path),
    ):
        if value:
            grid.add_row(Text(name, style="dim"), plain(value))
    items = run.concept_items(concept, limit=examples).to_dicts()
    parts = [Text(), Text("Where it is strongest" if items else "No item activates this concept.", style="dim")]
    return Group(heading, Text(), grid, *parts, *map(_example, items))


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


def _example(example: dict[str, Any]) -> Group:
    score = Text("unscored", style="dim")
    if example["score"] is not None:
        side = "strong" if example["score"] >= 0.5 else "weak"
        score = Text(f"score {decimal(example['score'])}", style=tables.VERDICT_STYLES[side])
    times = f" · {integer(example['repeats'])} items like it" if example["repeats"] > 1 else ""
    place = f"{shorten(example['benchmark'], 40)} · {shorten(example['item_id'], 60)}"
    where = plain(f"  {place} · saliency {decimal(example['ncas'])}{times}", "dim")
    own, peak = (example["own_start"], example["own_end"]), (example["peak_start"], example["peak_end"])
    cut = excerpt(example["text"] or "", own=own, peak=peak, limit=TEXT_LIMIT)
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
