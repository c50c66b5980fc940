"""Compare one worker of Ray with two, each of one thread, in one run: the ratio of their reading times.

    OMP_NUM_THREADS=1 python perf/workers.py [CONFIG.yaml] [--rounds 3] [--limit 40] [--set a.b=value ...]

The cluster is started once, and workers are timed from the first that is ready, so that loading does not count. Rounds
alternate between one and two workers; medians are printed. Needs two free cores; the default is the demo,
of which ``--limit`` items of each benchmark are read, and nothing after that is done.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from competency_gaps.embedded import DEMO_CONFIG
from competency_gaps.items.config import RayWorkers, RunConfig, parse_config, read_yaml
from competency_gaps.pipeline import run as pipeline
from competency_gaps.pipeline.on_ray import Fit, Pool, cluster, read_on_ray
from competency_gaps.util.progress import Progress


class ReadEverything(Exception):
    """Ends a run where reading ends."""


class Times(Progress):
    """Notes when workers are ready and when reading ends."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.ready: list[float] = []

    def say(self, text: str) -> None:
        """Note a line about a worker."""
        if re.match("a worker reads", text):
            self.ready.append(time.perf_counter())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?", default=DEMO_CONFIG)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=40, help="items per benchmark")
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    config = parse_config(RunConfig, read_yaml(args.config, args.set), str(args.config))
    some = [benchmark.model_copy(update={"sample": args.limit}) for benchmark in config.benchmarks]
    # The gate is passed before anything is read, and takes longer than that.
    sae = config.sae.model_copy(update={"gate_tokens": 256, "force": True})
    config = config.model_copy(update={"benchmarks": some, "sae": sae})
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with cluster(RayWorkers(workers=2, threads=1)) as ray:
        for _ in range(args.rounds):
            for workers, times in seconds.items():
                times.append(read(config, workers, ray))
                print(f"{workers} worker(s): {times[-1]:.2f} s", flush=True)
    one, two = (statistics.median(seconds[workers]) for workers in (1, 2))
    print(f"1 : 2 workers of one thread: {one / two:.2f} (target >= 1.7)")


def read(config: RunConfig, workers: int, ray: Any) -> float:
    """Seconds from when all workers were ready to the end of reading."""
    times, ends = Times(), list[float]()
    stop, give = Pool.stop, Pool._give

    def stopped(pool: Pool) -> None:
        ends.append(time.perf_counter())
        stop(pool)
        raise ReadEverything

    def together(pool: Pool) -> None:
        if not pool.loading:  # all begin at once
            give(pool)

    with (
        patch.object(Pool, "stop", stopped),
        patch.object(Pool, "_give", together),
        tempfile.TemporaryDirectory() as folder,
        contextlib.suppress(ReadEverything),
    ):
        pipeline.run(
            config, Path(folder) / "run", times, engine=lambda work: read_on_ray(work, ray, Fit(workers, 1, 0.0))
        )
    return ends[0] - times.ready[-1]


if __name__ == "__main__":
    main()
