"""``cgaps export``: runs as a folder that a browser opens without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from competency_gaps.cli.options import ConfiguredDictionary, JsonOption, QuietOption
from competency_gaps.cli.output import print_json, print_line, terminal
from competency_gaps.errors import UserError


def export(
    paths: Annotated[
        list[Path], typer.Argument(metavar="RUN... DIR", help="Run folders, then the folder to write to.")
    ],
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
            help="Leave out prompts, responses, answers and what may quote them; items and entries of lists have "
            "numbers for ids.",
        ),
    ] = False,
    dictionary: ConfiguredDictionary = None,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Write a static explorer: tables, map, details and items of runs, to be mailed or put on any web server.

    An older export in DIR is replaced; a folder that holds anything else is left alone.

    Of files and folders only the last names are in it, of a judge neither address nor key.

    With --redact stay labels, which can hold words of the texts that they were made from; names of benchmarks, themes
    and files; and scopes that the configuration states.
    """
    *runs, folder = paths
    if not runs:
        raise UserError(f"only {str(folder)!r} is given: name the run folders, then the folder to write to.")
    import competency_gaps as cg

    done = cg.export(runs, folder, redact=redact, dictionary=dictionary, progress=terminal(quiet))
    if json_:
        facts = {"folder": str(done.folder), "files": done.files, "bytes": done.size, "runs": done.runs}
        print_json({**facts, "redacted": redact})
        return
    left_out = ", without prompts, responses and answers" if redact else ""
    lines: tuple[str, ...] = (
        f"Export: {done.folder}, {done.size / 1e6:,.1f} MB in {done.files:,} files{left_out}",
        f"Open {done.folder / 'index.html'} in a browser, or put the folder on any web server.",
    )
    if redact:
        lines = (
            *lines,
            "Items have numbers instead of ids, and no groups; entries of lists have numbers. The command line, "
            "settings of free text, typed scopes and what reasons and warnings quote are left out.",
            "Labels, names of benchmarks, themes and files, and scopes of the configuration are in it: look at them "
            "before you share, they can hold words of the texts they describe.",
        )
    for line in lines:
        print_line(line)
