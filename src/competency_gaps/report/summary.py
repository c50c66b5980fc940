"""The same findings in a terminal."""

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
from competency_gaps.report import columns, findings, headline, judged, labels, page
from competency_gaps.report.protocol import RunView
from competency_gaps.report.theme_tables import short_table
from competency_gaps.report.themes import read_run_themes, theme_path
from competency_gaps.text import decimal, integer, percent, shorten, show_token, visible

TONES = {"weak": "dark_orange", "strong": "dodger_blue2", "": "bold"}
STATUS_STYLES = {
    **dict.fromkeys(("missing", "under", "weak"), "dark_orange"),
    **dict.fromkeys(("over", "strong"), "dodger_blue2"),
}


def plain(text: str, style: str = "") -> Text:
    """Wrap foreign text: no markup is read in it, and no control reaches the terminal."""
    return Text(visible(text), style=style)


def print_summary(run: RunView, console: Console, *, top: int = 8) -> None:
    """Print a run's findings, its benchmarks and the ends of the rankings.

    Parameters
    ----------
    run : RunView
    console : rich.console.Console
    top : int
        Concepts per table.
    """
    view = headline.overview(run)
    ranked = findings.ranking(run.concepts, run.manifest["evidence"])
    console.print(
        Panel(
            _headline(run, view, ranked),
            title=plain(headline.question(view), "bold"),
            title_align="left",
            padding=(1, 2),
        )
    )
    warning = page.gate_warning(run.manifest)
    if warning is not None:
        console.print(plain(warning, "bold dark_orange"))
    themes = read_run_themes(run)
    if themes is not None:
        console.print(short_table(themes))
    console.print(_benchmarks(run))
    labelled = labels.dictionary_fact(run)
    if labelled is not None:
        console.print(Padding(plain(f"labelled: {labelled.value} ({labelled.note})", "dim"), (0, 2)))
    for group in findings.left_out(run.items, run.manifest["benchmarks"]):
        where = ", ".join(f"{shorten(name, 40)} {integer(count)}" for name, count in group.benchmarks)
        line = f"{integer(group.count)} {group.kind}: {group.reason} ({where})"
        console.print(Padding(plain(line, "dim"), (0, 2)))
    for line in judged.figure_lines(run.manifest):
        console.print(Padding(plain(line, "dim"), (0, 2)))
    for title, frame, short in (
        ("Weak concepts", ranked.weak_leaders.head(top), columns.SHORT_LEADERS),
        ("Strong concepts", ranked.strong_leaders.head(top), columns.SHORT_LEADERS),
        ("Least covered concepts", findings.least_covered(run.concepts, top), columns.SHORT_COVERAGE),
    ):
        console.print(_titled(title, concept_table(frame, short) if frame.height else Text("none", style="dim")))
    absent = findings.missing(run.concepts)
    if absent.height:
        title = f"Missing in every benchmark ({integer(min(top, absent.height))} of {integer(absent.height)} ranked)"
        console.print(_titled(title, concept_table(absent.head(top), columns.MISSING)))
    console.print()
    for note in (ranked.caption("weak"), findings.left_out_note(run.concepts), findings.caution(ranked)):
        console.print(plain(note, "dim"))


def _titled(title: str, table: RenderableType) -> Group:
    return Group(Text(), Text(title, style="bold"), table)


def _headline(run: RunView, view: headline.Overview, ranked: findings.Ranking) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    for finding in headline.findings(run, view, ranked):
        grid.add_row(plain(finding.number, TONES[finding.tone]), plain(finding.sentence))
    return grid


def _benchmarks(run: RunView) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
    table.add_column("benchmark", min_width=10)
    for title in ("items", "excluded", "unscored", "score", "missing of alive"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in run.benchmarks.iter_rows(named=True):
        table.add_row(
            plain(shorten(row["benchmark"], 40)),
            integer(row["items"]),
            integer(row["excluded"]),
            integer(row["kept"] - row["scored"]),
            decimal(row["mean_score"]),
            f"{row['missing']:,} of {row['alive']:,} {percent(row['missing'], row['alive']):>4}",
        )
    return table


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
    for one in verdicts:
        mark, style = marks[one["tone"]]
        table.add_row(Text(mark, style=style), plain(one["test"]), plain(one["sentence"]))
    return table


def concept_table(frame: pl.DataFrame, shown: Sequence[columns.Column] = columns.CONCEPT) -> Table:
    """Lay out concepts, in the order given.

    Parameters
    ----------
    frame : DataFrame
        Rows of ``run.concepts``.
    shown : sequence of Column
        Quantities; those that the frame lacks are left out.

    Returns
    -------
    rich.table.Table
        Number, name (the peak token where there is no label), the quantities, and flags if any concept bears one.
    """
    used = columns.present(shown, frame)
    flags = [", ".join(flag for flag in findings.flags_of(row) if flag != "missing") for row in frame.to_dicts()]
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
    table.add_column("#", justify="right", no_wrap=True, style="dim")
    table.add_column("concept", min_width=12, ratio=1)
    for column in used:
        table.add_column(column.title, justify="right", no_wrap=True)
    if any(flags):
        table.add_column("flags")
    for row, flag in zip(frame.iter_rows(named=True), flags, strict=True):
        table.add_row(
            str(row["concept"]),
            _name(row),
            *(column.cell(row) for column in used),
            *([plain(flag, "dim")] * any(flags)),
        )
    return table


def _name(row: dict[str, Any]) -> Text:
    if row["label"] or row["peak_token"] is None:
        marks = labels.marks_of(row)
        name = plain(findings.concept_name(row), "dim" if marks or not row["label"] else "")
        return Text.assemble(name, (f" {', '.join(marks)}", "dim italic")) if marks else name
    return Text.assemble(("peak ", "dim"), plain(show_token(row["peak_token"]), "cyan"))


def concept_panel(run: RunView, concept: int, *, examples: int = 3, wide: bool = True) -> Panel:
    """Lay out all that is known of one concept.

    Parameters
    ----------
    run : RunView
    concept : int
        Its number in the SAE.
    examples : int
        Best and worst items, each.
    wide : bool
        Every quantity per benchmark; otherwise what fits 80 columns.

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
    detail = findings.detail(run, row, run.concept_benchmarks.filter(pl.col("concept") == concept), examples)
    parts: list[RenderableType] = [_facts(run, rows, detail.flags), Text(), _per_benchmark(run, detail, wide=wide)]
    if not detail.groups:
        parts.append(Text("No item of the suite activates this concept.", style="dim"))
    for title, many in detail.groups:
        parts += [Text(title, style="bold"), *(_example(one) for one in many), Text()]
    marks = labels.marks_of(row)
    heading = Text.assemble((f"{concept} ", "dim"), plain(detail.name, "dim" if marks else "bold"))
    heading.append("".join(f" {mark}" for mark in marks), "dim italic")
    return Panel(Group(*parts), title=heading, title_align="left", padding=(1, 2))


def _facts(run: RunView, rows: pl.DataFrame, flags: list[str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    row = rows.row(0, named=True)
    for column in columns.present((*columns.CONCEPT, *columns.MISSING), rows):
        grid.add_row(
            Text(column.title, style="dim"),
            Text(column.cell(row), style="bold"),
            Text(column.hint, style="dim"),
        )
    grid.add_row(Text("peak token", style="dim"), plain(show_token(row["peak_token"]) or "N/A", "cyan"), Text())
    grid.add_row(Text("flags", style="dim"), plain(", ".join(flags) or "none"), Text())
    themes = read_run_themes(run)
    path = theme_path(themes.of_concept(row["concept"])) or "in none" if themes is not None else None
    for name, value in (("label", labels.provenance(row)), ("theme", path)):
        if value is not None:
            grid.add_row(Text(name, style="dim"), plain(value), Text())
    return grid


def _per_benchmark(run: RunView, detail: findings.ConceptDetail, *, wide: bool) -> Group:
    """A row for each benchmark that has the concept, and a line with those that miss it."""
    shown = columns.present(columns.PER_BENCHMARK if wide else columns.SHORT[:3], run.concept_benchmarks)
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
    table.add_column("benchmark")
    for column in shown:
        table.add_column(column.title, justify="right", no_wrap=True)
    for row in detail.benchmarks:
        if not row["support"]:
            continue
        styles = [STATUS_STYLES.get(str(row[column.key]), "") for column in shown]
        cells = [Text(column.cell(row), style=style) for column, style in zip(shown, styles, strict=True)]
        name = plain(shorten(row["benchmark"], 40), STATUS_STYLES.get(row["performance_status"], ""))
        table.add_row(name, *cells)
    absent = [shorten(row["benchmark"], 40) for row in detail.benchmarks if not row["support"]]
    note = [plain(f"missing in {', '.join(absent)}", "dim"), Text()] if absent else []
    return Group(*([table] if table.row_count else []), *note)


def _example(one: findings.Example) -> Group:
    score = Text("unscored", style="dim")
    if one.score is not None:
        score = Text(f"score {decimal(one.score)}", style=TONES["strong" if one.score >= 0.5 else "weak"])
    where = plain(f"  {shorten(one.benchmark, 40)} · {one.item_id} · saliency {decimal(one.saliency)}", "dim")
    cut = one.excerpt
    text = Text.assemble(
        (f"[{integer(cut.cut_before)} characters cut] … " if cut.cut_before else "", "dim"),
        plain(cut.before),
        plain(cut.peak, "black on yellow"),
        plain(cut.after),
        (f" … [{integer(cut.cut_after)} characters cut]" if cut.cut_after else "", "dim"),
    )
    lines: list[RenderableType] = [Text.assemble(score, where), Padding(text, (0, 0, 0, 2))]
    for name, value in (("response", one.response), ("expected", one.answer)):
        if value is not None:
            lines.append(Padding(Text.assemble((f"{name}: ", "dim"), plain(value)), (0, 0, 0, 2)))
    return Group(*lines)
