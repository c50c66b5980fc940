"""Parts that a server keeps: made once at a time, bounded, forgotten in the right order."""

from __future__ import annotations

import asyncio
import threading

import pytest

from competency_gaps.explorer.server.cache import WORKERS, PartCache


def test_a_part_is_made_once_and_kept():
    made, waiting = [], threading.Event()

    def make() -> bytes:
        waiting.wait(5)
        made.append(1)
        return b"part"

    async def ask() -> list[bytes]:
        cache = PartCache(100)
        early = [asyncio.create_task(cache.get("a", make)) for _ in range(5)]
        await asyncio.sleep(0.05)
        early[0].cancel()  # who goes away takes nothing from the others
        waiting.set()
        return [*await asyncio.gather(*early[1:]), await cache.get("a", make)]

    assert asyncio.run(ask()) == [b"part"] * 5
    assert made == [1]


def test_the_cache_is_bounded_and_forgets_the_oldest():
    made: list[str] = []

    def maker(name: str, size: int):
        def make() -> bytes:
            made.append(name)
            return b"x" * size

        return make

    async def ask() -> None:
        cache = PartCache(100)
        await cache.get("a", maker("a", 40))
        await cache.get("b", maker("b", 40))
        await cache.get("a", maker("a", 40))
        await cache.get("c", maker("c", 40))  # pushes b out, which was asked for longest ago
        await cache.get("a", maker("a", 40))
        await cache.get("huge", maker("huge", 101))  # not kept, and pushes nobody out
        await cache.get("c", maker("c", 40))
        await cache.get("b", maker("b", 40))
        await cache.get("huge", maker("huge", 101))

    asyncio.run(ask())
    assert made == ["a", "b", "c", "huge", "b", "huge"]


def test_a_part_that_failed_is_tried_again():
    calls: list[int] = []

    def make() -> bytes:
        calls.append(1)
        if len(calls) == 1:
            raise KeyError("a")
        return b"part"

    async def ask() -> bytes:
        cache = PartCache()
        with pytest.raises(KeyError):
            await cache.get("a", make)
        return await cache.get("a", make)

    assert asyncio.run(ask()) == b"part"


def test_a_part_that_nobody_waits_for_any_more_is_not_begun():
    begun: list[str] = []
    first = threading.Event()

    def maker(name: str):
        def make() -> bytes:
            begun.append(name)
            first.wait(5)
            return name.encode()

        return make

    async def ask() -> bytes:
        cache = PartCache()
        busy = [asyncio.create_task(cache.get(f"busy{i}", maker(f"busy{i}"))) for i in range(WORKERS)]
        gone = [asyncio.create_task(cache.get("gone", maker("gone"))) for _ in range(2)]
        both = [asyncio.create_task(cache.get("wanted", maker("wanted"))) for _ in range(2)]
        await asyncio.sleep(0.05)
        for task in (*gone, both[0]):
            task.cancel()
        await asyncio.sleep(0.05)
        again = asyncio.create_task(cache.get("again", maker("again")))
        first.set()
        await asyncio.gather(*busy, again)
        assert await both[1] == b"wanted"
        assert sorted(begun[WORKERS:]) == ["again", "wanted"]
        return await cache.get("gone", maker("gone"))

    assert asyncio.run(ask()) == b"gone"
