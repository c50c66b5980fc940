"""``cgaps demo``: the embedded model, SAE and suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from competency_gaps.cli.command_line import typed_command
from competency_gaps.cli.options import QuietOption
from competency_gaps.cli.output import print_run, terminal


def demo(
    out: Annotated[Path, typer.Option(help="Run folder; the demo is resumed if it was stopped.")] = Path("demo-run"),
    model: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The model's .gguf file; by default fetched once."),
    ] = None,
    quiet: QuietOption = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the summary.")] = False,
) -> None:
    """Audit SmolLM2-135M-Instruct on twelve generated benchmarks, in a few minutes on a laptop."""
    from competency_gaps.demo import run_demo

    print_run(run_demo(out, model=model, progress=terminal(quiet), command=typed_command()), json_=json_)
