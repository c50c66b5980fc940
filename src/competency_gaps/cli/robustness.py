"""``cgaps robustness``: does a finished run hold up? Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from competency_gaps.cli.output import print_json
from competency_gaps.runs.open import open_folder


def robustness(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    against: Annotated[
        Path | None, typer.Option(help="Another run of the same items: another SAE or layer, or the same again.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draws and splits.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Test a run as a whole: subsampling, ablation, held-out items, another run. Results go into its folder."""
    from competency_gaps.progress import Progress
    from competency_gaps.report import write_report
    from competency_gaps.report.summary import verdict_table
    from competency_gaps.robustness import assess

    opened, progress = open_folder(run), Progress(quiet=quiet)
    found = assess(opened, progress, against=open_folder(against) if against else None, seed=seed)
    with progress.stage("writing the report"):
        report = write_report(opened, opened.path / "report.html")
    if json_:
        print_json({"run": str(opened.path), **found})
        return
    console = Console()
    console.print(verdict_table(found["verdicts"]))
    console.print(f"Report: {report.resolve()}", highlight=False, markup=False, soft_wrap=True)
