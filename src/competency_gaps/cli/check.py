"""``cgaps check``: does what a run found hold on other draws of its items, and in another run?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from competency_gaps.cli import shared
from competency_gaps.cli.shared import print_json, print_line, terminal


def check(
    run: shared.RunArgument,
    other: Annotated[
        Path | None,
        typer.Argument(metavar="OTHER", help="A second run on the same items: another SAE or layer, or a repeat."),
    ] = None,
    model: shared.OutcomeModelOption = None,
    against: shared.AgainstOption = None,
    quiet: shared.QuietOption = False,
    json_: shared.JsonOption = False,
) -> None:
    """Test whether a run's results hold on subsamples of its items, and in another run."""
    from competency_gaps.report.tables import verdict_table

    opened = shared.open_outcome(run, model, against)
    outcome = opened.check(against=other, progress=terminal(quiet))
    if json_:
        print_json({"run": str(opened.path), **outcome})
        return
    Console().print(verdict_table(outcome["verdicts"]))
    if opened.report_file.is_file():
        print_line(f"Report: {opened.report_file.resolve()}")
