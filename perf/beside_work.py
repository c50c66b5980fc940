"""How fast a suite is read alone and beside two busy processes: one batch on all cores, or one batch on each core.

    python perf/beside_work.py [CONFIG.yaml] [--rounds 3] [--sample 60] [--set a.b=value ...]

Some items of a configuration's first benchmark (default: the demo's) are read for scores and concepts, one way after
the other in turns, so that drift in the machine's speed affects all alike; then again beside two processes of the same
priority that never rest. Threads that share a batch wait for each other after each operation, spinning unless
``GOMP_SPINCOUNT`` says otherwise. Printed are medians, and of each way's speed over that of the first in the same
round. A run that something else disturbs says little: the machine's load is printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from competency_gaps.model.batches import MAX_READERS

WAYS = {
    "one batch on all cores": ("", 1),
    "the same, resting early": ("GOMP_SPINCOUNT=100", 1),
    "one batch on each core": ("", MAX_READERS),
}
"""What a child's environment sets, and most batches that are read at once."""
NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_SCORER", "OMP_NUM_THREADS", "KMP_BLOCKTIME")
"""Variables of OpenMP that children do not inherit."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sample", type=int, default=60, help="items that are read in each turn")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        read_when_told(args)
        return
    with ExitStack() as stack:
        settings = dict.fromkeys(setting for setting, _ in WAYS.values())
        children = {setting: stack.enter_context(child(setting)) for setting in settings}
        for setting, readers in WAYS.values():
            tell(children[setting], readers)  # loads kernels
        for title, busy in (("alone", 0), ("beside two busy processes", 2)):
            print(f"{title}: {os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}", flush=True)
            rates = measure(children, args.rounds, busy)
            first = rates[next(iter(WAYS))]
            for way, values in rates.items():
                ratio = statistics.median(value / other for value, other in zip(values, first, strict=True))
                spread = f"{statistics.median(values):7,.0f} tokens/s ({min(values):,.0f}-{max(values):,.0f})"
                print(f"  {way:<24} {spread}, {ratio:.2f} of the first", flush=True)
        for process in children.values():
            assert process.stdin is not None
            process.stdin.close()


def child(setting: str) -> subprocess.Popen[str]:
    """A process that reads the items whenever it is told to."""
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    environment |= dict([setting.split("=")] if setting else [])
    return subprocess.Popen(
        [sys.executable, __file__, *sys.argv[1:], "--child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )


def measure(children: dict[str, subprocess.Popen[str]], rounds: int, busy: int) -> dict[str, list[float]]:
    """Tokens per second of each way, round by round."""
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        for number in range(rounds):
            order = list(WAYS.items())
            for way, (setting, readers) in order if number % 2 == 0 else reversed(order):
                rates[way].append(tell(children[setting], readers))
    finally:
        for other in others:
            other.kill()
            other.wait()
    return rates


def tell(process: subprocess.Popen[str], readers: int) -> float:
    """Let a child read so many batches at once; its tokens per second."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{readers}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def read_when_told(args: argparse.Namespace) -> None:
    """Read the items for each line of standard input, which is answered with tokens per second."""
    from competency_gaps.embedded import DEMO_CONFIG
    from competency_gaps.items.config import RunConfig, parse_config, read_yaml
    from competency_gaps.model import batches
    from competency_gaps.pipeline.extraction import ShardReader, plan_suite
    from competency_gaps.pipeline.setting import set_up
    from competency_gaps.util.progress import Progress

    file = args.config or DEMO_CONFIG
    config = parse_config(RunConfig, read_yaml(file, args.set), str(file))
    first = config.benchmarks[0].model_copy(update={"sample": args.sample})
    setting = set_up(config.model_copy(update={"benchmarks": [first]}), Progress(quiet=True))
    plans = plan_suite(setting.prepared, 256)
    tokens = sum(len(item.tokens.ids) for item in setting.prepared[first.name])
    with tempfile.TemporaryDirectory() as folder:
        reader = ShardReader(Path(folder), setting)
        for line in sys.stdin:
            batches.MAX_READERS = int(line)
            begin = time.perf_counter()
            for plan in plans:
                for shard in plan.shards:
                    reader.write(shard, reader.read(plan, shard, lambda items: None))
            print(tokens / (time.perf_counter() - begin), flush=True)


if __name__ == "__main__":
    main()
