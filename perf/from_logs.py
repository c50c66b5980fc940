"""How long the first and a later answer from logs take, as a ratio to importing NumPy, SciPy and polars.

    python perf/from_logs.py [LOGS [MODEL]] [--rounds 3]

``cgaps show`` of drawn logs (880 items, six models), and of other logs, all their models and one of them, each with an
empty cache and then from it. The floor, ``import numpy, scipy.stats, polars``, is what any program has to import that
makes statistics of a table. Printed are medians of processor seconds (user and system) of one thread, in turns with the
floor.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from startup import processor_seconds

ROOT = Path(__file__).resolve().parents[1]
FLOOR = "import numpy, scipy.stats, scipy.sparse, polars"
SHOW = """
import sys
sys.modules["huggingface_hub"] = None  # as without the extra "texts": the first answer is the only one
from competency_gaps.cli.app import main
main()
"""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}  # an installed package is compiled, a checkout at the first turn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="*", help="Logs, and one of their models.")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "drawn"
        subprocess.run([sys.executable, str(ROOT / "examples/drawn_logs.py"), str(drawn)], check=True)
        asked = [[str(drawn)], *([args.logs[:1]] if args.logs else []), *([args.logs] if args.logs[1:] else [])]
        took: dict[str, list[float]] = {}
        for turn in range(args.rounds + 1):
            spent = {"floor": processor_seconds([FLOOR], **ONE_THREAD, **BYTECODE)}
            for words in asked:
                cache = str(Path(folder) / f"cache-{turn}-{'-'.join(words).replace('/', '_')}")
                for state in ("first", "again"):
                    spent[f"show {' '.join(words)}, {state}"] = processor_seconds(
                        [SHOW, "show", *words], CGAPS_CACHE=cache, **ONE_THREAD, **BYTECODE
                    )
            for name, value in spent.items() if turn else ():  # the first turn reads files into memory
                took.setdefault(name, []).append(value)
    floor = statistics.median(took["floor"])
    for name, seconds in took.items():
        middle = statistics.median(seconds)
        print(f"{name.replace(str(drawn), 'drawn logs'):<70} {middle:6.2f} s, {middle / floor:5.2f} of the floor")


if __name__ == "__main__":
    main()
