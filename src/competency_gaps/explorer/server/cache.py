"""The parts that were requested last, kept in memory up to a limit in bytes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import anyio.to_thread

LIMIT = 256 * 2**20
"""Bytes kept."""
WORKERS = 4
"""Parts that are made at the same time."""


@dataclass
class _Making:
    """A part that is made, or waits to be."""

    task: asyncio.Task[bytes] | None = None
    requests: int = 0
    """How many wait for it."""
    begun: bool = False


class PartCache:
    """Makes parts in threads, each once, and drops those whose last request is longest ago.

    A part that no request waits for any more is not begun.

    Parameters
    ----------
    limit : int
        Bytes kept; a longer part is made at each request.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._making: dict[str, _Making] = {}
        self._workers = asyncio.Semaphore(WORKERS)

    async def get(self, name: str, make: Callable[[], bytes]) -> bytes:
        """A part, from memory or from ``make``; requests for a part that is being made wait for it."""
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        making = self._making.get(name)
        if making is None:
            making = self._making[name] = _Making()
            making.task = asyncio.create_task(self._make(name, make, making))
        assert making.task is not None
        making.requests += 1
        try:
            # One client that disconnects must not cancel the part for the others.
            return await asyncio.shield(making.task)
        finally:
            making.requests -= 1
            if not making.requests and not making.begun:
                self._forget(name, making)
                making.task.cancel()

    def _forget(self, name: str, making: _Making) -> None:
        if self._making.get(name) is making:
            del self._making[name]

    async def _make(self, name: str, make: Callable[[], bytes], making: _Making) -> bytes:
        try:
            async with self._workers:
                making.begun = True
                content = await anyio.to_thread.run_sync(make)
        finally:
            self._forget(name, making)
        if len(content) <= self._limit:
            self._kept[name] = content
            self._size += len(content)
            while self._size > self._limit:
                self._size -= len(self._kept.popitem(last=False)[1])
        return content
