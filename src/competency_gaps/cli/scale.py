"""``cgaps merge``: join parts or runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from competency_gaps.cli import options
from competency_gaps.cli.output import print_run, terminal, typed_command


def merge(
    folders: Annotated[list[Path], typer.Argument(help="All parts of one run (cgaps run --shard), or finished runs.")],
    out: Annotated[Path, typer.Option(help="Folder of the joined run.")],
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Join the parts of a run, or runs of one model and SAE over different benchmarks, without reading again."""
    import competency_gaps as cg

    print_run(cg.merge(folders, out, progress=terminal(quiet), command=typed_command()), json_=json_)
