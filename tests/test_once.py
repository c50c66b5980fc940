"""Values that are made once, however many threads ask."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from competency_gaps.once import made_once


class Thing:
    def __init__(self, fails: int = 0) -> None:
        self.made: list[str] = []
        self.fails = fails

    @made_once
    def slow(self) -> object:
        """Takes a while."""
        self.made.append("slow")
        time.sleep(0.05)
        return object()

    @made_once
    def nested(self) -> object:
        self.made.append("nested")
        return self.slow

    @made_once
    def failing(self) -> str:
        if self.fails:
            self.fails -= 1
            raise ValueError("not yet")
        return "there"


def test_many_threads_get_the_same_value():
    thing, start = Thing(), threading.Barrier(8)

    def ask(number: int) -> object:
        start.wait()
        return thing.nested if number % 2 else thing.slow

    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(ask, range(8)))
    assert len({id(value) for value in values}) == 1
    assert sorted(thing.made) == ["nested", "slow"]


def test_objects_do_not_wait_for_each_other():
    things = [Thing() for _ in range(8)]
    start = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        assert len({id(value) for value in pool.map(lambda thing: thing.slow, things)}) == 8
    assert time.monotonic() - start < 8 * 0.05


def test_what_failed_is_made_again():
    thing = Thing(fails=1)
    with pytest.raises(ValueError, match="not yet"):
        _ = thing.failing
    assert thing.failing == "there"


def test_it_says_what_it_is():
    assert Thing.slow.__doc__ == "Takes a while."
