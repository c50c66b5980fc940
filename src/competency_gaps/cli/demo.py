"""``cgaps demo``: the embedded model, SAE and suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from competency_gaps.config import RunConfig, parse_config, read_yaml


def demo(
    out: Annotated[Path, typer.Option(help="Run folder; the demo is resumed if it was stopped.")] = Path("demo-run"),
    model: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The model's .gguf file; by default it is found or fetched."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the summary.")] = False,
) -> None:
    """Audit SmolLM2-135M-Instruct on twelve generated benchmarks, in a few minutes on a laptop."""
    from competency_gaps.cli.run import execute
    from competency_gaps.embedded import DEMO_CONFIG

    data = read_yaml(DEMO_CONFIG)
    if model is not None:
        data["model"]["name"] = str(model)
    config = parse_config(RunConfig, data, "the demo's configuration")
    execute(config, out, quiet=quiet, json_=json_)
