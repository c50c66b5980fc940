"""How long commands take to start, as a ratio to importing what they print with.

    python perf/startup.py [RUN] [MODEL]

Each command runs in turns with its floor, ``python -c "import typer, rich"``, in processes of their own; printed are
the medians of processor seconds (user and system, which other work on the machine hardly changes) and their ratio.
With a finished run, ``cgaps show`` as well: its answer is kept since the first, unmeasured turn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

FLOOR = "import typer, rich"
CGAPS = "from competency_gaps.cli.app import main; main()"
LIBRARIES = "import typer, rich, typer._adapters, numpy, polars"
"""What reading a run cannot do without: typer's own adapters import pydantic."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="*", help="A run, and one of its models.")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    commands = [["--help"], ["sae", "google/gemma-2-2b"], *([["show", *args.run]] if args.run else [])]
    asked = {"floor": [FLOOR], "NumPy, polars, pydantic": [LIBRARIES]}
    asked |= {f"cgaps {' '.join(words)}": [CGAPS, *words] for words in commands}
    took: dict[str, list[float]] = {name: [] for name in asked}
    for turn in range(args.rounds + 1):
        for name, code in asked.items():
            spent = processor_seconds(code)
            if turn:  # the first one reads files into memory
                took[name].append(spent)
    floor = statistics.median(took["floor"])
    for name, seconds in took.items():
        middle = statistics.median(seconds)
        print(f"{name:<40} {middle:5.2f} s, {middle / floor:4.1f} of the floor", flush=True)


def processor_seconds(code: list[str], **environment: str) -> float:
    """User and system seconds of one process, which has some variables more in its environment."""
    process = subprocess.Popen(
        [sys.executable, "-c", *code], stdout=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, code
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
