"""What the explorer's server answers: the page, the list of runs, their parts, a search, and the chat.

No path of a request reaches the file system: the page is a fixed list of files in memory, runs are found by their keys,
and the names of parts go through :class:`~competency_gaps.explorer.parts.Parts`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from competency_gaps.endpoint.endpoint import Endpoint
from competency_gaps.errors import CompetencyGapsError
from competency_gaps.explorer.opened import ChangedError, Opened, Shown, comparable, run_list
from competency_gaps.explorer.page_files import FILES
from competency_gaps.explorer.parts import NoSuchPartError, as_json
from competency_gaps.explorer.parts.models import against, paired_runs
from competency_gaps.explorer.parts.records.server import SearchResult
from competency_gaps.explorer.server.cache import PartCache
from competency_gaps.explorer.server.chat import chat_route, chat_state
from competency_gaps.explorer.server.security import Guard
from competency_gaps.explorer.server.sending import Pieces, while_there
from competency_gaps.text import visible

LONGEST_SEARCH = 1_000
"""Most characters of a text to search for."""
MOST_ROWS = 100_000
"""Most rows of a search's result."""
SEARCHES = 2
"""Searches that run at the same time; others wait [ours]."""
FIRST = ("run.json", "themes.json")
"""Parts of the first run that are made before the server answers: what the first view shows."""
NEXT = ("concepts.parquet", "concept/0.json", "item/0.json", "active/0.json", "items.parquet")
"""Parts that are made while the server is idle: what the other views need, and what the first detail reads for all."""
QUIET = 0.3
"""Seconds without a request after which the server counts as idle."""

log = logging.getLogger(__name__)


def make_app(
    opened: Sequence[Opened],
    page: Mapping[str, bytes],
    *,
    port: int,
    endpoint: Endpoint | None = None,
    answer_tokens: int | None = None,
) -> ASGIApp:
    """Make the server's application.

    Parameters
    ----------
    opened
        The runs to show.
    page
        The page's files, as :func:`~competency_gaps.explorer.page_files.page_files` reads them.
    port
        The port that the server listens on; requests to another one are refused.
    endpoint
        The endpoint that answers questions; None: there is no chat.
    answer_tokens
        Most tokens of one step of its model; None: as many as the chat gives it.
    """
    explorer = _Explorer(opened, page, endpoint)
    names = [("/", "index.html"), *((f"/{name}", name) for name in FILES if name != "index.html")]
    routes = [
        *(Route(path, explorer.page(name)) for path, name in names),
        Route("/data/runs.json", explorer.runs),
        Route("/data/{key}/search", explorer.search),
        Route("/data/{key}/{name:path}", explorer.part),
    ]
    if endpoint is not None:
        routes.append(chat_route(opened, endpoint, answer_tokens))
    handlers: dict[Any, Any] = {
        HTTPException: _refused,
        ChangedError: _changed,
        CompetencyGapsError: _failed,
        Exception: _broken,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers, lifespan=explorer.lifespan), port)


class _Explorer:
    """Handlers of the requests."""

    def __init__(self, opened: Sequence[Opened], page: Mapping[str, bytes], endpoint: Endpoint | None) -> None:
        self._files = page
        self._runs = as_json(run_list(opened, "served", chat_state(endpoint)))
        self._opened = {run.key: run for run in opened}
        self._against = {(run.key, against(other.key)): other for run, other in comparable(opened)}
        self._cache = PartCache()
        self._searches = asyncio.Semaphore(SEARCHES)
        self._asked = time.monotonic()

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Make the first parts before the first request."""
        key = next(iter(self._opened))
        for name in FIRST:
            await self._make(key, name)
        early = asyncio.create_task(self._make_next(key))
        yield
        early.cancel()

    async def _make_next(self, key: str) -> None:
        for name in NEXT:
            await self._quiet()
            await self._make(key, name)
        await self._quiet()
        with suppress(Exception):
            # The detail that takes longest: of the concept that is active in most items.
            sources = self._shown(key).parts.context.sources
            await self._make(key, f"concept/{int(sources.support.argmax())}.json")
        await self._quiet()
        with suppress(Exception):
            await anyio.to_thread.run_sync(self._shown(key).parts.context.sources.texts.keep)

    async def _quiet(self) -> None:
        while (wait := self._asked + QUIET - time.monotonic()) > 0:
            await asyncio.sleep(wait)

    async def _make(self, key: str, name: str) -> None:
        # A failure is reported when the part is requested.
        with suppress(Exception):
            await self._read(key, name)

    def page(self, name: str) -> Any:
        """The handler of one of the page's files."""
        content = self._files[name]

        async def answer(_: Request) -> Response:
            self._asked = time.monotonic()
            return Pieces(content, headers={"content-type": FILES[name]})

        return answer

    async def runs(self, _: Request) -> Response:
        """``data/runs.json``."""
        return _json(self._runs)

    async def part(self, request: Request) -> Response:
        """``data/KEY/NAME``."""
        self._asked = time.monotonic()
        key, name = request.path_params["key"], request.path_params["name"]
        try:
            content = await while_there(request, self._read(key, name))
        except NoSuchPartError:
            raise HTTPException(404, "This run has no such part.") from None
        return _json(content) if name.endswith(".json") else Pieces(content, media_type="application/octet-stream")

    async def search(self, request: Request) -> Response:
        """``data/KEY/search?q=TEXT``; it ends early if the client disconnects."""
        texts = self._shown(request.path_params["key"]).parts.context.sources.texts
        query = request.query_params.get("q", "")
        if len(query) > LONGEST_SEARCH:
            raise HTTPException(400, f"The text to search for is longer than {LONGEST_SEARCH:,} characters.")
        gone = threading.Event()

        async def search() -> SearchResult:
            async with self._searches:
                if gone.is_set():
                    return SearchResult([], 0)
                return await anyio.to_thread.run_sync(texts.search, query, MOST_ROWS, gone.is_set)

        try:
            # Shielded: a search counts as running until its thread has ended.
            rows = await while_there(request, asyncio.shield(search()))
        finally:
            gone.set()
        self._shown(request.path_params["key"])
        return _json(as_json(rows))

    async def _read(self, key: str, name: str) -> bytes:
        shown = self._shown(key)
        if (other := self._against.get((key, name))) is not None:
            return await self._compared(shown, other, f"{key}/{shown.number}/{name}")
        content = await self._cache.get(f"{key}/{shown.number}/{name}", lambda: shown.parts.read(name))
        # The run may have changed while it was read.
        self._shown(key)
        return content

    async def _compared(self, shown: Shown, other: Opened, name: str) -> bytes:
        candidate = other.now()
        contexts = candidate.parts.context, shown.parts.context
        content = await self._cache.get(f"{name}/{candidate.number}", lambda: as_json(paired_runs(*contexts)))
        self._shown(contexts[1].key)
        other.now()
        return content

    def _shown(self, key: str) -> Shown:
        if key not in self._opened:
            raise HTTPException(404, "There is no such run in this explorer.")
        return self._opened[key].now()


def _json(content: bytes, status: int = 200) -> Response:
    return Pieces(content, status, media_type="application/json")


async def _refused(_: Request, error: HTTPException) -> Response:
    sentence = "There is nothing at this address." if error.detail == "Not Found" else error.detail
    return _json(as_json({"error": sentence}), error.status_code)


async def _changed(_: Request, error: ChangedError) -> Response:
    return _json(as_json({"error": str(error)}), 409)


async def _failed(_: Request, error: CompetencyGapsError) -> Response:
    """An error whose message says what to do, such as that of a damaged run."""
    log.warning("%s", visible(str(error)))
    return _json(as_json({"error": visible(str(error))}), 500)


async def _broken(_: Request, error: Exception) -> Response:
    """A bug: the terminal gets the traceback, the client only the name of the error."""
    log.error("%s", visible("".join(traceback.format_exception(error))))
    return _json(as_json({"error": f"The server failed ({type(error).__name__}); its terminal says more."}), 500)
