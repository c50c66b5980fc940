"""``cgaps explore``: look at finished runs in a browser."""

from __future__ import annotations

import importlib.util
import socket
import threading
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from competency_gaps.cli.asking import AskOptions, asks
from competency_gaps.cli.options import ConfiguredDictionary
from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.text import plural

if TYPE_CHECKING:
    import uvicorn

HOST = "127.0.0.1"
"""Never another: what is served is for this machine; any account of it can read the run and ask the chat."""
PORT = 8742
NEARBY = 50
"""Ports that are tried, from the one that was asked for."""


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
    _check_packages()
    asked = ask.config()
    import uvicorn

    from competency_gaps.endpoint.asking import Asking
    from competency_gaps.explorer.opened import open_runs
    from competency_gaps.explorer.server.app import make_app

    opened = open_runs(runs, dictionary)
    listener = _listen(port)
    found = int(listener.getsockname()[1])
    app = make_app(opened, port=found, endpoint=None if asked is None else Asking.of(asked).endpoint)
    # Faults are told by the application; what uvicorn would add is that requests came, and that it ended.
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    address = f"http://{HOST}:{found}/"
    said = threading.Thread(target=_say, args=(server, address, len(opened), port, found, open_), daemon=True)
    said.start()
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # how it ends
    finally:
        listener.close()
        # A thread that still prints while Python ends would end it with a fault.
        server.should_exit = True
        said.join()


def _check_packages() -> None:
    for package in ("starlette", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "explore", "'cgaps explore'")


def _listen(port: int) -> socket.socket:
    """Take the port, or the next free one.

    Raises
    ------
    UserError
        If none is free nearby, or the port is not for everyone.
    """
    for candidate in range(port, min(port + NEARBY, 65536)) if port else [0]:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # A port that an ended server left waiting is free; one that a server listens on is not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen(128)
        except PermissionError:
            listener.close()
            raise UserError(f"--port {candidate} is not for every user: give one from 1024 to 65535.") from None
        except OSError:
            listener.close()
            continue
        return listener
    raise UserError(f"--port {port}: it and the {NEARBY - 1} after it are taken. Give another, or 0 for any.")


def _say(server: uvicorn.Server, address: str, count: int, asked: int, found: int, open_: bool) -> None:
    """Print the address once the server answers."""
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.02)
    console = Console()
    if asked and asked != found:
        console.print(f"Port {asked} is taken.", markup=False, highlight=False)
    line = f"{plural(count, 'run')} at {address} (Ctrl-C ends)"
    console.print(line, markup=False, highlight=False, soft_wrap=True)
    if open_:
        webbrowser.open(address)
