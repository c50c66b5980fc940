"""How fast activations are read alone and beside a busy process, with and without threads that spin while they wait.

    python perf/beside_work.py [--rounds 3] [--seconds 4]

The embedded model and SAE read texts in one child process per setting of OpenMP, one child after the other in turns,
so that drift in the machine's speed affects all alike; then again beside one process of the same priority that never
rests. Printed are medians, and each setting's speed over that of no setting. ``cgaps`` sets ``GOMP_SPINCOUNT=100``
where it starts beside other work, and nothing alone. A run that something else disturbs says little.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack

SETTINGS = ("", "GOMP_SPINCOUNT=100", "OMP_WAIT_POLICY=PASSIVE")
"""Environments of the children; the first, empty, is how it was."""
NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS", "KMP_BLOCKTIME")
"""Variables of OpenMP that children do not inherit."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        read_when_told()
        return
    with ExitStack() as stack:
        children = {setting: stack.enter_context(child(setting)) for setting in SETTINGS}
        for process in children.values():
            tell(process, 0.5)  # loads kernels
        for title, busy in (("alone", False), ("beside one busy process", True)):
            rates = measure(children, args.rounds, args.seconds, busy=busy)
            before = statistics.median(rates[""])
            for setting, values in rates.items():
                middle = statistics.median(values)
                spread = f"{min(values):,.0f}-{max(values):,.0f}"
                name = setting or "no setting"
                print(
                    f"{title}: {name:<24} {middle:8,.0f} tokens/s ({spread}), {middle / before:.2f} of no setting",
                    flush=True,
                )
        for process in children.values():
            assert process.stdin is not None
            process.stdin.close()


def child(setting: str) -> subprocess.Popen[str]:
    """A process that reads texts whenever it is told to."""
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    environment |= dict([setting.split("=")] if setting else [])
    return subprocess.Popen(
        [sys.executable, __file__, "--child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )


def measure(
    children: dict[str, subprocess.Popen[str]], rounds: int, seconds: float, *, busy: bool
) -> dict[str, list[float]]:
    """Tokens per second of each child, round by round."""
    rates: dict[str, list[float]] = {setting: [] for setting in children}
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        for number in range(rounds):
            order = list(children.items())
            for setting, process in order if number % 2 == 0 else reversed(order):
                rates[setting].append(tell(process, seconds))
    finally:
        if other is not None:
            other.kill()
            other.wait()
    return rates


def tell(process: subprocess.Popen[str], seconds: float) -> float:
    """Let a child read for some seconds; its tokens per second."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def read_when_told() -> None:
    """Read items until standard input ends: a line of seconds is answered with tokens per second."""
    import numpy as np

    from competency_gaps.activations.extract import Extractor, ItemTokens
    from competency_gaps.config import ModelConfig, SAEConfig
    from competency_gaps.sae.load import load_pair

    pair = load_pair(ModelConfig(name="embedded"), SAEConfig(folder="embedded:smollm2-135m-instruct-l15-8k"))
    extractor = Extractor(pair.lm, pair.hook, pair.sae, "mean", None, True)
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(np.log(120), 0.7, 4), 16, 800).astype(int)
    items = [
        ItemTokens(i, rng.integers(100, 40_000, n).astype(np.int32), np.zeros((n, 2), np.int32), np.arange(n) >= n // 2)
        for i, n in enumerate(lengths)
    ]
    for line in sys.stdin:
        begin, read = time.perf_counter(), 0
        while time.perf_counter() - begin < float(line):
            extractor.rows(items, lambda count: None)
            read += int(lengths.sum())
        print(read / (time.perf_counter() - begin), flush=True)


if __name__ == "__main__":
    main()
