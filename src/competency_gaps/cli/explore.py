"""``cgaps explore``, ``cgaps export`` and ``cgaps mcp``: finished runs in a browser, and for assistants."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from competency_gaps.cli import shared
from competency_gaps.cli.shared import print_json, print_line, terminal
from competency_gaps.util.errors import UserError, needed
from competency_gaps.util.text import plural


def explore(
    runs: shared.RunsArgument,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port, or the next free one; 0: any.")] = 8742,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = False,
) -> None:
    """Explore runs in a browser; serves this machine only, until Ctrl-C.

    Other users of this machine can read the page too. On a remote machine, forward the port: ssh -L
    8742:localhost:8742 HOST.
    """
    with needed(None, "explore", "The explorer"):
        from competency_gaps.view.page.server import HOST, serve

    def announce(taken: int) -> None:
        address = f"http://{HOST}:{taken}/"
        if port and port != taken:
            print_line(f"Port {port} is in use.")
        print_line(f"{plural(len(runs), 'run')} at {address} (Ctrl-C to stop)")
        if open_:
            webbrowser.open(address)

    serve(runs, port=port, on_start=announce)


def export(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="RUN|LOGS... [DIR]", help="Run folders or logs, then the folder to write to."),
    ],
    one_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a single HTML file: answer, tables, and concepts with examples."),
    ] = None,
    no_texts: Annotated[
        bool,
        typer.Option(
            "--no-texts", help="Leave out prompts, responses and expected answers (but keep ids, groups and labels)."
        ),
    ] = False,
    as_json: shared.JsonOption = False,
) -> None:
    """Write runs as a page to mail or to put on a web server.

    Replaces an older export in DIR, and touches no folder that holds anything else.

    Only the last part of each path is written, and never a judge's address or key. --no-texts keeps labels (which can
    repeat words of the texts behind them), ids and groups of items (even if one is the question itself), entries of
    lists, names and stated scopes.
    """
    import competency_gaps as cg

    runs, out = (paths, one_file) if one_file is not None else (paths[:-1], paths[-1])
    if not runs:
        raise UserError(f"only one folder is given, {str(out)!r}: give the run folders, then the folder to write to.")
    done = cg.export(runs, out, one_file=one_file is not None, texts=not no_texts, progress=terminal(quiet=as_json))
    if as_json:
        facts = {"path": str(done.path), "files": done.files, "bytes": done.size, "runs": done.runs}
        print_json({**facts, "texts": not no_texts})
        return
    start = done.path / "index.html" if one_file is None else done.path
    print_line(f"Export: {done.path}, {done.size / 1e6:,.1f} MB in {plural(done.files, 'file')}")
    print_line(f"Open {start} in a browser, or put it on a web server.")


def mcp(
    runs: shared.RunsArgument,
) -> None:
    """Answer an assistant's questions about runs (MCP over standard input and output)."""
    import anyio

    from competency_gaps.view.page.opened import open_runs

    with needed(None, "explore", "'cgaps mcp'"):
        from competency_gaps.view.page.mcp_server import make_server, serve_stdio
    anyio.run(serve_stdio, make_server(open_runs(runs)))
