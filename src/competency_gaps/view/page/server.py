"""Runs served to a browser on this machine: the page, the list of runs, their parts, and a search.

No path of a request reaches the file system: the page is a fixed list of files in memory, runs are found by their keys,
and the names of parts go through :class:`~competency_gaps.view.page.parts.Parts`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from competency_gaps.util.errors import CompetencyGapsError, UserError, argument
from competency_gaps.util.text import visible
from competency_gaps.view.page.opened import ChangedError, Opened, Shown, open_runs
from competency_gaps.view.page.page_files import FILES, page_files
from competency_gaps.view.page.parts import NoSuchPartError, as_json
from competency_gaps.view.page.parts.answers import against, paired_runs
from competency_gaps.view.page.parts.records.details import ListedRun, RunList
from competency_gaps.view.page.security import Guard

HOST = "127.0.0.1"
"""Always the loopback address: any account of this machine can read the run, other machines cannot."""
PORT = 8742
MAX_PORTS = 50
"""Ports that are tried, beginning with the one asked for."""
CACHE_BYTES = 256 * 2**20
"""Bytes of parts that are kept in memory."""
MAX_ROWS = 100_000
"""Rows of a search's result, at most."""
AT_ONCE = 4
"""Parts and searches that are made at once; others wait [ours]."""

log = logging.getLogger(__name__)


def serve(
    runs: Sequence[Path],
    *,
    port: int = PORT,
    on_start: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve runs to this machine until Ctrl-C.

    Parameters
    ----------
    runs
        Run folders.
    port
        The next free one is taken if it is not free; 0: any.
    on_start
        Called with the port once it accepts connections.

    Raises
    ------
    UserError
        If a run cannot be opened, or no port near ``port`` is free.
    """

    opened = open_runs(runs)
    with _listen(port) as listener:
        taken = int(listener.getsockname()[1])
        app = make_app(opened, page_files(), port=taken)
        # The application reports errors; uvicorn would log each request too.
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
        with contextlib.suppress(KeyboardInterrupt):  # how it ends
            on_start(taken)
            uvicorn.Server(config).run(sockets=[listener])


def _listen(port: int) -> socket.socket:
    """Return a socket that listens on the port, or on the next free one."""
    for candidate in range(port, min(port + MAX_PORTS, 65536)) if port else [0]:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # A port in TIME_WAIT may be taken; one that a server listens on may not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen(128)
            return listener
        except OSError:
            listener.close()
    raise UserError(
        f"{argument('port')} {port}: neither this port nor the next ones are free. Give another, or 0 for any."
    )


def make_app(opened: Sequence[Opened], page: Mapping[str, bytes], *, port: int) -> ASGIApp:
    """Make the server's application.

    Parameters
    ----------
    opened
        The runs to show.
    page
        The page's files, as :func:`~competency_gaps.view.page.page_files.page_files` reads them.
    port
        The port that the server listens on; requests to another one are refused.
    """
    explorer = _Explorer(opened, page)
    routes = [
        *(Route("/" if name == "index.html" else f"/{name}", explorer.page) for name in FILES),
        Route("/data/runs.json", explorer.runs),
        Route("/data/{key}/search", explorer.search),
        Route("/data/{key}/{name:path}", explorer.part),
    ]
    handlers: Mapping[Any, Any] = {HTTPException: _refused, CompetencyGapsError: _failed, Exception: _broken}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), port)


class _Explorer:
    """Answers requests."""

    def __init__(self, opened: Sequence[Opened], page: Mapping[str, bytes]) -> None:
        self._page = page
        self._runs = as_json(RunList([ListedRun(run.key, run.title) for run in opened], "served"))
        self._opened = {run.key: run for run in opened}
        self._against = {(run.key, against(other.key)): other for run, other in permutations(opened, 2)}
        self._kept: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self._locks: WeakValueDictionary[tuple[Any, ...], asyncio.Lock] = WeakValueDictionary()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def page(self, request: Request) -> Response:
        """One of the page's files."""
        name = request.url.path.removeprefix("/") or "index.html"
        return Response(self._page[name], media_type=FILES[name])

    async def runs(self, _: Request) -> Response:
        """``data/runs.json``."""
        return _json(self._runs)

    async def part(self, request: Request) -> Response:
        """``data/KEY/NAME``."""
        name = request.path_params["name"]
        try:
            content = await self._read(request.path_params["key"], name)
        except NoSuchPartError:
            raise HTTPException(404, "This run has no such part.") from None
        kind = "application/json" if name.endswith(".json") else "application/octet-stream"
        return Response(content, media_type=kind)

    async def search(self, request: Request) -> Response:
        """``data/KEY/search?q=TEXT``."""
        key, query = request.path_params["key"], request.query_params.get("q", "")
        context = self._shown(key).parts.context
        async with self._room:
            rows = await anyio.to_thread.run_sync(context.search, query, MAX_ROWS)
        self._shown(key)
        return _json(as_json(rows))

    async def _read(self, key: str, name: str) -> bytes:
        """Make or recall a part; fails if the run changes meanwhile."""
        shown = self._shown(key)
        other = self._against.get((key, name))
        if other is None:
            content = await self._get((key, shown.added, name), lambda: shown.parts.read(name))
        else:
            candidate = other.now()
            contexts = candidate.parts.context, shown.parts.context
            made_of = (key, shown.added, candidate.added, name)
            content = await self._get(made_of, lambda: as_json(paired_runs(*contexts)))
            other.now()
        # The run may have changed while it was read.
        self._shown(key)
        return content

    async def _get(self, made_of: tuple[Any, ...], make: Callable[[], bytes]) -> bytes:
        """Return a part from memory, or make it in a thread, once for all requests that wait for it."""
        async with self._locks.setdefault(made_of, asyncio.Lock()):
            if made_of not in self._kept:
                async with self._room:
                    self._kept[made_of] = await anyio.to_thread.run_sync(make)
            content = self._kept[made_of]
            self._kept.move_to_end(made_of)
            while sum(map(len, self._kept.values())) > CACHE_BYTES:
                self._kept.popitem(last=False)
            return content

    def _shown(self, key: str) -> Shown:
        """Return what is shown now of the run with this key."""
        if key not in self._opened:
            raise HTTPException(404, "There is no such run here.")
        return self._opened[key].now()


def _json(content: bytes, status: int = 200) -> Response:
    """A response of JSON."""
    return Response(content, status, media_type="application/json")


def _sentence(sentence: str, status: int) -> Response:
    """An error as JSON."""
    return _json(as_json({"error": visible(sentence)}), status)


async def _refused(_: Request, error: Any) -> Response:
    """An address that does not exist, or a method that is not allowed."""
    nothing = "There is nothing at this address."
    return _sentence(nothing if error.detail == "Not Found" else error.detail, error.status_code)


async def _failed(_: Request, error: CompetencyGapsError) -> Response:
    """An error whose message says what to do, such as that of a damaged run."""
    log.warning("%s", visible(str(error)))
    return _sentence(str(error), 409 if isinstance(error, ChangedError) else 500)


async def _broken(_: Request, error: Exception) -> Response:
    """A bug: the terminal gets the traceback, the client only the name of the error."""
    log.error("%s", visible("".join(traceback.format_exception(error))))
    return _sentence(f"The server failed ({type(error).__name__}); its terminal says more.", 500)
