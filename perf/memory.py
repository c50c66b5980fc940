"""Compare the peak memory of runs with few and with many items, report included, each in its own process.

    python perf/memory.py [--small 250] [--large 2000]

Items are generated arithmetic questions with given scores, so that extraction dominates.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import competency_gaps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=250)
    parser.add_argument("--large", type=int, default=2000)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        run(args.child)
        return
    peaks = {}
    for count in (args.small, args.large):
        command = [sys.executable, __file__, "--child", str(count)]
        made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        peaks[count] = float(made.stdout.strip().splitlines()[-1])
        print(f"{count:6d} items: peak {peaks[count]:.2f} GiB")
    ratio = peaks[args.large] / peaks[args.small]
    print(f"{args.large / args.small:.0f} times the items: {ratio:.2f} times the memory (target: about 1)")


def run(count: int) -> None:
    """Make a run of ``count`` items and print the peak memory in GiB."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "items.jsonl"
        text = "What is {} plus {}, and then minus {}?"
        rows = (
            {"id": str(i), "prompt": text.format(i, i * 7 % 1000, i % 13) * (1 + i % 3), "score": i % 2}
            for i in range(count)
        )
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        config = {
            "model": {"name": "embedded:smollm2-135m-instruct"},
            "sae": {"folder": "embedded:smollm2-135m-instruct-l15-8k", "gate_tokens": 2048},
            "benchmarks": [{"name": "sums", "source": {"kind": "file", "path": str(file)}, "scorer": "imported"}],
        }
        competency_gaps.run(config, Path(folder) / "run")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


if __name__ == "__main__":
    main()
