"""Workers of Ray beside a command that is killed: they are killed as well, or must end by themselves."""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from competency_gaps.pipeline import extraction, on_ray
from competency_gaps.pipeline.on_ray import Fault, ShardWorker

PLACE = Path(tempfile.gettempdir()) / f"kr{os.getpid()}"
"""Where Ray keeps sockets and logs, by which its processes are known; their paths must be short."""
_PATIENCE = 60.0
"""Seconds in which Ray's processes end after their driver."""
_LATEST = 2.0
"""Seconds after its driver at which a worker is killed at the latest."""


class SmallShards(ShardWorker):
    """A worker that cuts benchmarks into shards as its driver does."""

    items = 0

    def load(self) -> str | Fault:
        """Load everything."""
        extraction.SHARD_ITEMS = extraction.GENERATED_ITEMS = self.items
        return super().load()


def cut_small(items: int) -> None:
    """Let the workers of this process's cluster cut benchmarks into shards of so many items."""
    import ray

    SmallShards.items = items
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    vars(on_ray)["ShardWorker"] = SmallShards  # which it takes from another module


def kill_some(rng: random.Random) -> bool:
    """Kill some of the workers, at once or a moment later; whether there were any."""
    time.sleep(rng.choice((0.0, rng.random() * _LATEST)))
    workers = [number for number, name in _running() if name.startswith("ray::")]
    for number in rng.sample(workers, rng.randint(1, len(workers)) if workers else 0):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    return bool(workers)


def left_running() -> list[str]:
    """Names of the processes of Ray that do not end."""
    until = time.monotonic() + _PATIENCE
    while (running := _running()) and time.monotonic() < until:
        time.sleep(0.5)
    return [name for _, name in running]


def _running() -> list[tuple[int, str]]:
    """Number and name of each process of Ray: those that have a file in its place open."""
    return [
        (int(folder.name), name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and (name := _name_if_of_ray(folder))
    ]


def _name_if_of_ray(process: Path) -> str:
    """The name of a process; empty if it has ended or is none of Ray's."""
    with suppress(OSError):
        if any(str(file.readlink()).startswith(f"{PLACE}/") for file in (process / "fd").iterdir()):
            return (process / "comm").read_text().strip()
    return ""
