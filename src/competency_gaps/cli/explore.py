"""``cgaps explore``: look at finished runs in a browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from competency_gaps.cli.asking import AskOptions, asks
from competency_gaps.cli.options import ConfiguredDictionary
from competency_gaps.cli.output import print_line
from competency_gaps.explorer.server.serve import HOST, PORT, serve
from competency_gaps.text import plural


@asks(only=("base_url", "model", "key_env", "timeout"))
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
