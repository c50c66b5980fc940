"""The parts that were requested last, kept in memory up to a limit in bytes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import anyio.to_thread

LIMIT = 256 * 2**20
"""Bytes kept."""
WORKERS = 4
"""Parts that are made at the same time."""


class PartCache:
    """Makes parts in threads, each once, and drops those whose last request is longest ago.

    Parameters
    ----------
    limit : int
        Bytes kept; a longer part is made at each request.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._making: dict[str, asyncio.Task[bytes]] = {}
        self._workers = asyncio.Semaphore(WORKERS)

    async def get(self, name: str, make: Callable[[], bytes]) -> bytes:
        """A part, from memory or from ``make``; requests for a part that is being made wait for it."""
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        task = self._making.get(name)
        if task is None:
            task = self._making[name] = asyncio.create_task(self._make(name, make))
            task.add_done_callback(lambda _: self._making.pop(name, None))
        # One client that disconnects must not cancel the part for the others.
        return await asyncio.shield(task)

    async def _make(self, name: str, make: Callable[[], bytes]) -> bytes:
        async with self._workers:
            content = await anyio.to_thread.run_sync(make)
        if len(content) <= self._limit:
            self._kept[name] = content
            self._size += len(content)
            while self._size > self._limit:
                self._size -= len(self._kept.popitem(last=False)[1])
        return content
