"""Serve runs to a browser on this machine, until the process is interrupted."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from competency_gaps.config import AskConfig
from competency_gaps.errors import MissingExtraError, UserError, argument

HOST = "127.0.0.1"
"""Always the loopback address: any account of this machine can read the run and use the chat, other machines cannot."""
PORT = 8742
NEARBY = 50
"""Ports that are tried, beginning with the one asked for."""


def serve(
    runs: Sequence[Path],
    *,
    port: int = PORT,
    dictionary: Path | None = None,
    ask: AskConfig | None = None,
    on_start: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve runs to this machine until Ctrl-C.

    Parameters
    ----------
    runs
        Run folders.
    port
        The next free one is taken if it is not free; 0: any.
    dictionary
        Of the SAE's concepts; None: that of each run.
    ask
        An endpoint that answers questions in plain language; None: there is no chat.
    on_start
        Called with the port once the server answers.

    Raises
    ------
    MissingExtraError
        If the server's packages are not installed.
    UserError
        If a run cannot be opened, or no port near ``port`` is free.
    """
    for package in ("starlette", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "explore", "The explorer")
    import uvicorn

    from competency_gaps.endpoint import Asking
    from competency_gaps.explorer.opened import open_runs
    from competency_gaps.explorer.page_files import page_files
    from competency_gaps.explorer.server.app import make_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                on_start(taken)

    endpoint = None if ask is None else Asking.of(ask).endpoint
    opened = open_runs(runs, dictionary)
    with _listen(port) as listener:
        taken = int(listener.getsockname()[1])
        # The application reports errors; uvicorn would log each request too.
        config = uvicorn.Config(
            make_app(
                opened,
                page_files(),
                port=taken,
                endpoint=endpoint,
                answer_tokens=None if ask is None else ask.answer_tokens,
            ),
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
        with contextlib.suppress(KeyboardInterrupt):  # how it ends
            Server(config).run(sockets=[listener])


def _listen(port: int) -> socket.socket:
    """Take the port, or the next free one."""
    for candidate in range(port, min(port + NEARBY, 65536)) if port else [0]:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # A port in TIME_WAIT may be taken; one that a server listens on may not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen(128)
        except PermissionError:
            listener.close()
            raise UserError(
                f"{argument('port')} {candidate} needs an administrator's rights: give one from 1024 to 65535."
            ) from None
        except OSError:
            listener.close()
            continue
        return listener
    raise UserError(
        f"{argument('port')} {port}: it and the {NEARBY - 1} after it are taken. Give another, or 0 for any."
    )
