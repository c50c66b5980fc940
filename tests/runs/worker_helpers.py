"""Workers that read shards in this process, in any order and with deaths."""

from __future__ import annotations

import pickle
import random
from types import SimpleNamespace

from core_helpers import RayErrors


class RayHere:
    """What a pool needs of Ray, without other processes.

    A call runs when its answer is taken, and whose answer comes next is drawn. Some workers die: before they do what
    they were asked, or after it and before they answer.
    """

    exceptions = RayErrors

    def __init__(self, draw: random.Random, deaths: int) -> None:
        self._draw, self._deaths = draw, deaths
        self._asked: list = []
        self.started = 0

    def put(self, value):
        return value

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 3}}]

    def remote(self, kind):
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *given: self._start(kind, given)))

    def _start(self, kind, given):
        self.started += 1
        worker = kind(*sent(given))
        return SimpleNamespace(
            **{
                name: SimpleNamespace(remote=lambda *given, name=name: self._ask(worker, name, given))
                for name in ("load", "read")
            }
        )

    def _ask(self, worker, name, given):
        self._asked.append((getattr(worker, name), sent(given)))
        return len(self._asked) - 1

    def wait(self, calls, num_returns, timeout):
        return [self._draw.choice(calls)], []

    def get(self, call):
        do, given = self._asked[call]
        dies = self._deaths > 0 and self._draw.random() < 0.4
        if dies and self._draw.random() < 0.5:
            return self._die()
        answer = sent(do(*given))
        return self._die() if dies else answer

    def _die(self):
        self._deaths -= 1
        raise self.exceptions.RayError("its process was killed")

    def kill(self, worker):
        pass


def sent(value):
    """A value as it comes out of another process."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - its own bytes
