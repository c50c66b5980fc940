"""``cgaps demo``: the embedded model, SAE and suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Run folder; the demo is resumed if it was stopped.")] = Path("demo-run"),
    model: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The model's .gguf file; by default fetched once."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the summary.")] = False,
) -> None:
    """Audit SmolLM2-135M-Instruct on twelve generated benchmarks, in a few minutes on a laptop."""
    from competency_gaps.cli.run import execute
    from competency_gaps.demo import demo_config, demo_outlook
    from competency_gaps.progress import Progress

    config, progress = demo_config(model), Progress(quiet=quiet)
    for line in demo_outlook(config).lines(out) if not quiet else ():
        progress.say(line)
    execute(config, out, quiet=quiet, json_=json_)
