"""``cgaps show``, ``cgaps concept``, ``cgaps report``: read a finished run; none needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console

from competency_gaps.cli.output import print_json, rows, run_document
from competency_gaps.errors import UserError, nearest
from competency_gaps.runs.open import Run, open_run

RunArgument = Annotated[Path, typer.Argument(help="Run folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
MIN_N_EFF = 20.0


def show(
    run: RunArgument,
    benchmark: Annotated[str | None, typer.Option(help="One benchmark's concepts.")] = None,
    sort: Annotated[str, typer.Option(help="Column; a leading '-' for highest first.")] = "chi_model",
    limit: Annotated[int, typer.Option(min=1, help="Rows.")] = 20,
    all_: Annotated[
        bool, typer.Option("--all", help="Also flagged concepts and those with little data (n_eff below 20).")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """List concepts with coverage and performance; undefined values come last."""
    opened = open_run(run)
    table = _concepts(opened, benchmark)
    if not all_:
        enough = pl.col("n_eff") >= MIN_N_EFF
        if not sort.lstrip("-").startswith(("chi_model", "n_eff", "support")):
            enough = pl.lit(True)
        ranked = table.filter(pl.col("ranked"))
        table = ranked.filter(enough)
        if not table.height and ranked.height:
            table = ranked
            message = f"no concept reaches n_eff {MIN_N_EFF:.0f} here, so those with less are shown"
            Console(stderr=True).print(message, highlight=False, markup=False)
    column = sort.removeprefix("-")
    if column not in table.columns:
        raise UserError(
            f"--sort {sort!r}: there is no such column.{nearest(column, table.columns)} "
            f"Known: {', '.join(table.columns)}"
        )
    table = table.sort([column, "concept"], descending=[sort.startswith("-"), False], nulls_last=True).head(limit)
    if json_:
        print_json({**run_document(opened), "benchmark": benchmark, "rows": rows(table)})
        return
    from competency_gaps.report import concept_table, print_summary

    console = Console()
    if benchmark is None and sort == "chi_model":
        print_summary(opened, console)
    console.print(concept_table(table))


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

        Console().print(concept_panel(opened, concept_id, examples=limit))
        return
    print_json(
        {
            **opened.concepts.row(concept_id, named=True),
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
    facts = run.concepts.select("concept", "label", "alive", "dense", "template", "exact_token", "ranked", "peak_token")
    return facts.join(own, on="concept", how="left", maintain_order="left")
