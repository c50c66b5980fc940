"""``cgaps explore``, ``cgaps export`` and ``cgaps mcp``: finished runs in a browser, and for assistants."""

from __future__ import annotations

import importlib.util
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from competency_gaps.cli.options import AskOptions, ConfiguredDictionary, JsonOption, QuietOption, asks
from competency_gaps.cli.output import print_json, print_line, terminal
from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.explorer.server.serve import HOST, PORT, serve
from competency_gaps.text import plural


@asks(only=("base_url", "model", "key_env", "timeout", "answer_tokens"))
def explore(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders; several can be compared.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; the next free one if taken; 0: any.")] = PORT,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = False,
    dictionary: ConfiguredDictionary = None,
    *,
    ask: AskOptions,
) -> None:
    """Look at runs in a browser: tables, map, items, comparisons. Served to this machine only, until Ctrl-C.

    Other accounts of this machine can read it too. Through ssh, forward the same port: ssh -L 8742:localhost:8742 HOST.

    With --base-url and --model, questions in plain language are answered by that endpoint; nothing else is sent.
    """

    def announce(taken: int) -> None:
        address = f"http://{HOST}:{taken}/"
        if port and port != taken:
            print_line(f"Port {port} is taken.")
        print_line(f"{plural(len(runs), 'run')} at {address} (Ctrl-C ends)")
        if open_:
            webbrowser.open(address)

    serve(runs, port=port, dictionary=dictionary, ask=ask.config(), on_start=announce)


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

    Paths are reduced to their last part; a judge's address and key are left out.

    With --redact, these remain: labels, which can repeat words of the texts that they were made from; names of
    benchmarks, themes and files; and scopes stated in the configuration.
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
            "Labels, names of benchmarks, themes and files, and scopes of the configuration are in it: check them "
            "before you share it, because they can repeat words of the texts they describe.",
        )
    for line in lines:
        print_line(line)


def mcp(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    dictionary: ConfiguredDictionary = None,
) -> None:
    """Answer an assistant's read-only queries about runs, over standard input and output (MCP)."""
    if importlib.util.find_spec("mcp") is None:
        raise MissingExtraError("mcp", "explore", "'cgaps mcp'")
    import anyio

    from competency_gaps.explorer.mcp_server import make_server, serve_stdio
    from competency_gaps.explorer.opened import open_runs

    anyio.run(serve_stdio, make_server(open_runs(runs, dictionary)))
