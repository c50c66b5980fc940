"""Answers to clients that read slowly or go away: neither may hold memory or work that others need."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PIECE = 256 * 2**10
"""Bytes handed to the connection at a time: about what a client that does not read holds in memory."""
LOOK = 0.2
"""Poll interval for client disconnects while an answer is made, in seconds."""
GONE = 499
"""Status of an answer that nobody reads."""

T = TypeVar("T")


class Pieces(Response):
    """An answer that is sent piece by piece, the next piece when the connection has taken most of the last.

    A connection copies what it cannot send yet: whole tables would be copied once for every client that reads slowly.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        content = bytes(self.body)
        for first in range(0, max(1, len(content)), PIECE):
            more = first + PIECE < len(content)
            piece = content[first : first + PIECE]
            await send({"type": "http.response.body", "body": piece, "more_body": more})


async def while_there(request: Request, work: Awaitable[T]) -> T:
    """Wait for an answer as long as the client does.

    Raises
    ------
    HTTPException
        If the client disconnects before; the work is cancelled.
    """
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=LOOK))[0]:
            if await request.is_disconnected():
                raise HTTPException(GONE, "The client disconnected.")
        return task.result()
    finally:
        task.cancel()
