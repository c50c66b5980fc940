"""``cgaps merge`` and ``cgaps prune``: join parts or runs, and make a run smaller."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from competency_gaps.cli import options
from competency_gaps.cli.output import print_json, print_line, print_run, terminal, typed_command
from competency_gaps.text import plural, size


def merge(
    folders: Annotated[list[Path], typer.Argument(help="All parts of one run (cgaps run --shard), or finished runs.")],
    out: Annotated[Path, typer.Option(help="Folder of the joined run.")],
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Join the parts of a run, or runs of one model and SAE over different benchmarks, without reading again."""
    import competency_gaps as cg

    print_run(cg.merge(folders, out, progress=terminal(quiet), command=typed_command()), json_=json_)


def prune(run: options.RunArgument, json_: options.JsonOption = False) -> None:
    """Remove the rows of single items of a finished run: its tables and activations by concept are kept."""
    import competency_gaps as cg

    pruned = cg.prune(run)
    if json_:
        print_json({"run": str(run), "files": pruned.files, "bytes": pruned.bytes})
        return
    print_line(f"{size(pruned.bytes)} freed ({pruned.bytes:,} bytes in {plural(pruned.files, 'file')}).")
    print_line(
        "The run opens as before. No longer possible with it: activations of tokens and rows of items, exemplars and "
        "themes from its items, robustness, match by tags or by its items, probe, merge, and making its tables anew."
    )
