"""``cgaps show``, ``cgaps concept``, ``cgaps report``: read a finished run; none needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console

from competency_gaps.cli.output import print_json, rows, run_document
from competency_gaps.errors import UserError, nearest
from competency_gaps.report import columns
from competency_gaps.report.columns import Column
from competency_gaps.runs.open import Run, open_run

RunArgument = Annotated[Path, typer.Argument(help="Run folder.")]
WIDE = 130
"""Columns of a terminal in which every quantity of a concept has room."""
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def show(
    run: RunArgument,
    benchmark: Annotated[str | None, typer.Option(help="One benchmark's concepts.")] = None,
    sort: Annotated[
        str | None, typer.Option(help="Column, a leading '-' for highest first; by default weak concepts by gap.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows.")] = 20,
    all_: Annotated[
        bool, typer.Option("--all", help="Also flagged concepts, and those with too little data to test.")
    ] = False,
    themes: Annotated[bool, typer.Option("--themes", help="All themes of the run's dictionary.")] = False,
    theme: Annotated[int | None, typer.Option(help="One theme: its subthemes and its concepts.")] = None,
    json_: JsonOption = False,
) -> None:
    """List concepts with coverage and performance, or themes; undefined values come last."""
    opened = open_run(run)
    if themes or theme is not None:
        if benchmark is not None or sort is not None or all_:
            raise UserError("--themes and --theme list the whole suite: leave out --benchmark, --sort and --all.")
        _themes(opened, theme, limit, json_=json_)
        return
    table = _concepts(opened, benchmark)
    column = (sort or "gap").removeprefix("-")
    if column not in table.columns:
        raise UserError(
            f"--sort {sort!r}: there is no such column.{nearest(column, table.columns)} "
            f"Known: {', '.join(table.columns)}"
        )
    if not all_:
        table = _chosen(table, column, only_weak=sort is None)
    # Every concept, and no order asked for: by number, for what has too little data is not ranked.
    keys = ["concept"] if all_ and sort is None else [column, "concept"]
    descending = [(sort or "").startswith("-"), False][-len(keys) :]
    table = table.sort(keys, descending=descending, nulls_last=True).head(limit)
    if json_:
        print_json({**run_document(opened), "benchmark": benchmark, "rows": rows(table)})
        return
    from competency_gaps.report.summary import concept_table, print_summary

    console = Console()
    if benchmark is None and sort is None and not all_:
        print_summary(opened, console, top=limit)
        return
    if not table.height:
        note = "no concept qualifies: --sort gap lists all that were tested, --all every concept"
        Console(stderr=True).print(note, highlight=False, markup=False)
    console.print(concept_table(table, _shown(column, console.width)))


def _themes(run: Run, theme: int | None, limit: int, *, json_: bool) -> None:
    """Print all themes, or one with its subthemes and concepts."""
    from competency_gaps.report import theme_tables
    from competency_gaps.report.summary import concept_table
    from competency_gaps.report.themes import asked_theme, read_run_themes

    found = read_run_themes(run)
    if found is None:
        raise UserError(
            f"the run {run.path} has no themes. Group the concepts of its dictionary with 'cgaps themes', then put it "
            "on the run with 'cgaps name'."
        )
    if theme is None:
        if json_:
            print_json({**run_document(run), "themes": rows(found.themes), "subthemes": rows(found.subthemes)})
        else:
            theme_tables.print_themes(found, Console())
        return
    row = asked_theme(found, theme)
    listed = found.concepts(theme, run.concepts.drop("tau", strict=False)).head(limit)
    if json_:
        children = rows(found.children(theme))
        print_json({**run_document(run), "theme": row, "subthemes": children, "rows": rows(listed)})
        return
    shown = (columns.GAP, columns.PERFORMANCE_STATUS, columns.N_EFF)
    theme_tables.print_theme(found, row, concept_table(listed, shown), listed.height, Console())


def _shown(column: str, width: int) -> list[Column]:
    """Every quantity where there is room; else the short list and what the table is sorted by."""
    if width >= WIDE:
        return list(columns.CONCEPT)
    return list(columns.SHORT) + [one for one in columns.CONCEPT if one.key == column and one not in columns.SHORT]


def _chosen(table: pl.DataFrame, column: str, *, only_weak: bool) -> pl.DataFrame:
    """Unflagged concepts; the weak ones if nothing else was asked, and only tested ones where performance is asked."""
    table = table.filter(pl.col("ranked"))
    if only_weak:
        return table.filter(pl.col("performance_status") == "weak")
    if column.startswith(("chi_model", "gap", "p_value", "q_value", "performance")):
        return table.filter(pl.col("q_value").is_not_null())
    return table


def concept(
    run: RunArgument,
    concept_id: Annotated[int, typer.Argument(metavar="ID", help="Concept.")],
    limit: Annotated[int, typer.Option(min=1, help="Items of each kind.")] = 3,
    json_: JsonOption = False,
) -> None:
    """Show one concept: its scores per benchmark, and the items behind them."""
    opened = open_run(run)
    opened.check_concept(concept_id)
    if not json_:
        from competency_gaps.report import concept_panel

        console = Console()
        console.print(concept_panel(opened, concept_id, examples=limit, wide=console.width >= WIDE))
        return
    from competency_gaps.report.themes import read_run_themes

    found = read_run_themes(opened)
    print_json(
        {
            **opened.concepts.row(concept_id, named=True),
            **({} if found is None else {"themes": found.of_concept(concept_id)}),
            "benchmarks": rows(opened.concept_benchmarks.filter(pl.col("concept") == concept_id).drop("concept")),
            "items": {
                "strongest": rows(opened.concept_items(concept_id, order="strongest", limit=limit)),
                "best": rows(opened.concept_items(concept_id, order="best", limit=limit)),
                "worst": rows(opened.concept_items(concept_id, order="worst", limit=limit)),
            },
        }
    )


def report(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(help="HTML file; by default report.html in the run folder.")] = None,
    json_: JsonOption = False,
) -> None:
    """Write the HTML report again."""
    from competency_gaps.report import write_report

    opened = open_run(run)
    path = write_report(opened, out or opened.path / "report.html")
    if json_:
        print_json({"report": str(path)})
    else:
        Console().print(f"Report: {path.resolve()}", highlight=False, markup=False, soft_wrap=True)


def _concepts(run: Run, benchmark: str | None) -> pl.DataFrame:
    if benchmark is None:
        return run.concepts.drop("tau")
    known = run.benchmarks["benchmark"].to_list()
    if benchmark not in known:
        raise UserError(
            f"the run has no benchmark {benchmark!r}; it has {', '.join(known)}.{nearest(benchmark, known)}"
        )
    own = run.concept_benchmarks.filter(pl.col("benchmark") == benchmark).drop("benchmark")
    marks = [name for name in ("label_kind", "label_score", "label_scored_by") if name in run.concepts.columns]
    facts = run.concepts.select(
        "concept", "label", *marks, "alive", "dense", "template", "exact_token", "ranked", "peak_token"
    )
    return facts.join(own, on="concept", how="left", maintain_order="left")
