"""``cgaps robustness``: does a finished run hold up? Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from competency_gaps.cli.options import JsonOption, QuietOption, RunArgument
from competency_gaps.cli.output import print_json, print_line, terminal


def robustness(
    run: RunArgument,
    against: Annotated[
        Path | None, typer.Option(help="Another run of the same items: another SAE or layer, or the same again.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draws and splits.")] = 0,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Test a run as a whole: subsampling, ablation, held-out items, another run. Results go into its folder."""
    from competency_gaps import open_run
    from competency_gaps.report.summary import verdict_table

    opened = open_run(run)
    outcome = opened.robustness(against=against, seed=seed, progress=terminal(quiet))
    if json_:
        print_json({"run": str(opened.path), **outcome})
        return
    Console().print(verdict_table(outcome["verdicts"]))
    print_line(f"Report: {opened.report_file.resolve()}")
