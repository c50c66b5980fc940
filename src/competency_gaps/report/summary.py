"""All tables of a run, and one concept, in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from competency_gaps.errors import UserError
from competency_gaps.findings.answer import RunAnswer, answer
from competency_gaps.presentation import columns, facts, rankings
from competency_gaps.presentation.themes import read_run_themes
from competency_gaps.report import answer_view, tables
from competency_gaps.report.cards import ConceptView, concept_detail
from competency_gaps.report.tables import Cells, plain
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import decimal, integer, percent, shorten, show_token

_FRAME = 6
"""Characters that a panel's frame takes on both sides."""
STATUS_STYLES = {
    **tables.VERDICT_STYLES,
    **dict.fromkeys(("missing", "under"), tables.VERDICT_STYLES["weak"]),
    "over": tables.VERDICT_STYLES["strong"],
}


def print_summary(run: RunFolder, console: Console, *, top: int = 8) -> None:
    """Print the answer of a run, its benchmarks and the ends of the rankings.

    Parameters
    ----------
    run : RunFolder
    console : rich.console.Console
    top : int
        Concepts per table.
    """
    given = answer(run)
    ranked = rankings.ranking(run.concepts, run.manifest["evidence"])
    console.print(Panel(_answer(run, given), padding=(1, 2)))
    themes = read_run_themes(run)
    if themes is not None:
        console.print(tables.short_table(themes, console.width))
    console.print(Text(), _benchmarks(run), Text(), sep="\n")
    labelled = facts.dictionary_fact(run)
    if labelled is not None:
        console.print(Padding(plain(f"labelled: {labelled.value} ({labelled.note})", "dim"), (0, 2)))
    for group in rankings.left_out(run.items, run.manifest["benchmarks"]):
        where = ", ".join(f"{shorten(name, 40)} {integer(count)}" for name, count in group.benchmarks)
        line = f"{integer(group.count)} {group.kind}: {group.reason} ({where})"
        console.print(Padding(plain(line, "dim"), (0, 2)))
    for line in facts.figure_lines(run.manifest):
        console.print(Padding(plain(line, "dim"), (0, 2)))
    for title, frame, shown in (
        ("Weak concepts", ranked.weak_leaders.head(top), columns.LEADERS),
        ("Strong concepts", ranked.strong_leaders.head(top), columns.LEADERS),
        ("Least covered concepts", rankings.least_covered(run.concepts, top), columns.LEAST_COVERED),
    ):
        table = tables.concept_table(frame, shown, width=console.width) if frame.height else Text("none", style="dim")
        console.print(_titled(title, table))
    absent = rankings.missing(run.concepts)
    if absent.height:
        title = f"Missing in every benchmark ({integer(min(top, absent.height))} of {integer(absent.height)} ranked)"
        table = tables.concept_table(absent.head(top), columns.MISSING, width=console.width, unmarked=("missing",))
        console.print(_titled(title, table))
    console.print()
    for note in (ranked.caption("weak"), rankings.left_out_note(run.concepts), rankings.caution(ranked)):
        console.print(plain(note, "dim"))


def _titled(title: str, table: RenderableType) -> Group:
    return Group(Text(), Text(title, style="bold"), table)


def _answer(run: RunFolder, given: RunAnswer) -> Group:
    """The whole answer: every finding, and every statement."""
    parts: list[RenderableType] = [*answer_view.head(given), Text()]
    if run.findings.height:
        parts.append(answer_view.findings_list(answer_view.in_order(run.findings), whole=True))
    else:
        parts += [answer_view.statement_text(statement) for statement in given.findings]
    rest = (*given.notes, *given.scope, *given.confidence)
    return Group(*parts, Text(), *(answer_view.statement_text(statement) for statement in rest))


def _benchmarks(run: RunFolder) -> Table:
    rows = run.benchmarks.sort("mean_score", "benchmark", nulls_last=True).to_dicts()
    missing = (f"{row['missing']:,} of {row['alive']:,} {percent(row['missing'], row['alive']):>4}" for row in rows)
    figures = {
        "items": [integer(row["items"]) for row in rows],
        "excluded": [integer(row["excluded"]) for row in rows],
        "unscored": [integer(row["kept"] - row["scored"]) for row in rows],
        "score": [decimal(row["mean_score"]) for row in rows],
        "missing of alive": list(missing),
    }
    names = Cells("benchmark", [plain(shorten(row["benchmark"], 40)) for row in rows], words=True)
    return tables.fitted_table(
        names, [Cells(title, [Text(cell) for cell in cells]) for title, cells in figures.items()]
    )


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


def concept_panel(run: RunFolder, concept: int, *, examples: int = 3, width: int | None = None) -> Panel:
    """Lay out a concept in detail.

    Parameters
    ----------
    run : RunFolder
    concept : int
        Its number in the SAE.
    examples : int
        Best and worst items, each.
    width : int, optional
        Width of the terminal, which leaves out quantities per benchmark; None: all are shown.

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
            "Look one up with: cgaps show"
        )
    row = rows.row(0, named=True)
    detail = concept_detail(run, row, run.concept_benchmarks.filter(pl.col("concept") == concept), examples)
    marks = facts.marks_of(row)
    heading = Text.assemble((f"{concept} ", "dim"), plain(rankings.concept_name(row), "dim" if marks else "bold"))
    heading.append(f" [{', '.join(marks)}]" if marks else "", "dim italic")
    parts: list[RenderableType] = [heading, Text()]
    parts += [_facts(run, rows), Text(), _per_benchmark(run, detail, width)]
    if not detail.groups:
        parts.append(Text("No item of the suite activates this concept.", style="dim"))
    for title, many in detail.groups:
        parts += [Text(title, style="bold"), *(_example(example) for example in many), Text()]
    return Panel(Group(*parts), padding=(1, 2))


def _facts(run: RunFolder, rows: pl.DataFrame) -> Table:
    grid = Table.grid(padding=(0, 2))
    row = rows.row(0, named=True)
    of_kind = (columns.KIND, columns.LEXICAL, columns.COHERENCE, columns.STABILITY)
    for column in columns.present((*columns.CONCEPT, *columns.MISSING, *of_kind), rows):
        grid.add_row(
            Text(column.title, style="dim"),
            Text(column.cell(row), style="bold"),
            Text(column.hint, style="dim"),
        )
    grid.add_row(Text("peak token", style="dim"), plain(show_token(row["peak_token"]) or "N/A", "cyan"), Text())
    themes = read_run_themes(run)
    path = None if themes is None else themes.path(row["concept"])
    for name, value in (("label", facts.provenance(row)), ("theme", path)):
        if value is not None:
            grid.add_row(Text(name, style="dim"), plain(value), Text())
    return grid


def _per_benchmark(run: RunFolder, detail: ConceptView, width: int | None) -> Group:
    """A row for each benchmark that has the concept, and a line with those that miss it."""
    rows = [row for row in detail.benchmarks if row["support"]]
    parts: list[RenderableType] = []
    if rows:
        frame = pl.DataFrame(rows, schema=run.concept_benchmarks.schema)
        shown = columns.present(columns.ONE_BENCHMARK, run.concept_benchmarks)
        tones = [STATUS_STYLES.get(row["performance_status"], "") for row in rows]
        names = [plain(shorten(row["benchmark"], 40), tone) for row, tone in zip(rows, tones, strict=True)]
        room = None if width is None else width - _FRAME
        table = tables.fitted_table(
            Cells("benchmark", names, words=True),
            tables.quantities(frame, shown, STATUS_STYLES),
            width=room,
            keep=3,
        )
        parts += [table, Text()]
    absent = [shorten(row["benchmark"], 40) for row in detail.benchmarks if not row["support"]]
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
