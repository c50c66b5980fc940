"""Parts that were asked for lately, kept in memory up to a number of bytes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import anyio.to_thread

LIMIT = 256 * 2**20
"""Bytes kept."""
WORKERS = 4
"""Parts that are made at once."""


class PartCache:
    """Makes parts in threads, each once at a time, and forgets those longest not asked for.

    Parameters
    ----------
    limit : int
        Bytes kept; a part that is longer is made each time.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._making: dict[str, asyncio.Task[bytes]] = {}
        self._workers = asyncio.Semaphore(WORKERS)

    async def get(self, name: str, make: Callable[[], bytes]) -> bytes:
        """A part, from memory or from ``make``; who asks while it is being made waits for the same one."""
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        task = self._making.get(name)
        if task is None:
            task = self._making[name] = asyncio.create_task(self._make(name, make))
            task.add_done_callback(lambda _: self._making.pop(name, None))
        # One asker who goes away must not take the part from the others.
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
