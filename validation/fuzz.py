"""Read mutated files with every reader, in a process with limited memory and time, and see that it is refused or read.

    python validation/fuzz.py [--minutes 10] [--jobs 1] [--seed 0] [--only run taxonomy ...] [--keep FOLDER]

Each case copies small valid files, changes one to three of them (flipped bytes, ends cut off, inserted, repeated and
removed pieces, zeros, invalid UTF-8, huge declared numbers, deep nesting, values of another kind), and reads all that
is there. These are faults of the package, and end in status 1:

- an exception that is no CompetencyGapsError, and a message of more than 20,000 characters;
- a process that dies, and a case that takes longer than ``--seconds``;
- more memory than ``--megabytes`` beyond what the process had before (on Linux);
- a file outside of the case's folder that is opened or changed, a program that is started, a pickle, a connection.

A process that ends because polars asks for memory that no machine has, by a length in a Parquet file, is counted
apart: nothing in Python can refuse such a file before (``docs/guarantees.md``).

A fault is named with its reader and seed, and its files are kept below ``--keep``. Mutations, samples and readers lie
in ``tests/fuzzing``, where the test suite draws a few of them.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "fuzzing"))
_OUT_OF_MEMORY = ("memory allocation of ", "polars")
"""What polars writes where it ends the process, and a part of its stack."""
_START_SECONDS = 300
"""In which a process imports, writes its samples and reads them as they are."""


@dataclass
class Tally:
    """What came of a reader's cases; a fault is printed when it is first seen."""

    name: str
    results: Counter[str] = field(default_factory=Counter)
    """``read``, ``refused``, ``ended`` by polars, and ``fault``."""
    faults: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Fault -> the seed of its first case, and how the files were changed."""

    def add(self, said: dict[str, Any]) -> None:
        """Count a case."""
        self.results[said["result"]] += 1
        if said["what"] and said["what"] not in self.faults:
            self.faults[said["what"]] = (said["seed"], "; ".join(said["mutations"]))
            print(f"{self.name}, seed {said['seed']}: {said['what']} ({'; '.join(said['mutations'])})", flush=True)


def child(name: str, seed: int, first: int, seconds: float, megabytes: int, work: Path, keep: Path) -> None:
    """Read cases until it is time; writes a line before and after each."""
    from fuzz_cases import Cases

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    faulthandler.enable()
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    cases = Cases(name, work)
    cases.whole()
    os.chdir(work / "outside")
    _limit_memory(megabytes)
    out.write("ready\n")
    known: set[str] = set()
    number = first
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        own = f"{seed}.{number}"
        out.write(f"{own}\n")
        outcome = cases.run(own)
        out.write(json.dumps({"seed": own, **outcome._asdict()}) + "\n")
        if outcome.what and outcome.what not in known:
            known.add(outcome.what)
            cases.prepare(own)
            cases.keep(keep / name.replace(" ", "-") / own)
        number += 1


def _limit_memory(megabytes: int) -> None:
    """Let the process take no more than so much beyond what it has."""
    if sys.platform != "linux":
        return
    import resource

    status = Path("/proc/self/status").read_text(encoding="ascii")
    held = int(next(line for line in status.splitlines() if line.startswith("VmData")).split()[1]) << 10
    limit = held + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def fuzz(name: str, args: argparse.Namespace, keep: Path, stopped: threading.Event) -> Tally:
    """Cases of one reader for as long as is asked, in as many processes as die."""
    tally, number, left = Tally(name), 0, 60 * args.minutes
    while left > 0 and not stopped.is_set():
        with tempfile.TemporaryDirectory() as folder:
            number, spent = _until_it_ends(name, args, number, left, Path(folder), keep, tally)
        left -= spent
    return tally


def _until_it_ends(
    name: str, args: argparse.Namespace, number: int, left: float, folder: Path, keep: Path, tally: Tally
) -> tuple[int, float]:
    """Cases in one process, until it is time or the process is at an end.

    Gives the number of the next case, and the seconds spent on cases.
    """
    work, errors = folder / "work", folder / "errors.txt"
    options = (args.seed, number, left, args.megabytes, work, keep)
    command = [sys.executable, __file__, "--child", name, *map(str, options)]
    # Unbuffered: a line that is read ahead is there, but the pipe that is waited for is empty.
    with (
        errors.open("wb") as said,
        subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=said) as process,
    ):
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            seed, seconds, hanging, began = None, float(_START_SECONDS), False, time.monotonic()
            while True:
                if not selector.select(seconds):
                    hanging = True
                    process.send_signal(signal.SIGABRT)  # faulthandler writes where it is
                    break
                line = process.stdout.readline().decode().strip()
                if not line:
                    break
                if line.startswith("{"):
                    tally.add(json.loads(line))
                    number, seed = number + 1, None
                elif line == "ready":
                    seconds, began = float(args.seconds), time.monotonic()
                else:
                    seed = line
        process.wait()
    spent = time.monotonic() - began
    if seed is None and process.returncode == 0:
        return number, max(spent, left)
    text = errors.read_text(encoding="utf-8", errors="replace")
    if seed is None:
        raise SystemExit(f"{name}: the process ends before its cases: {text[-3000:]}")
    if not hanging and process.returncode == -signal.SIGABRT and all(part in text for part in _OUT_OF_MEMORY):
        tally.add({"result": "ended", "what": "", "seed": seed, "mutations": []})
        return number + 1, spent
    how = f"takes longer than {args.seconds} s" if hanging else f"dies with status {process.returncode}"
    place = next((line.strip() for line in text.splitlines() if "competency_gaps" in line and "File" in line), "")
    tally.add({"result": "fault", "what": f"{how}, {place or text[-200:]}", "seed": seed, "mutations": []})
    shutil.copytree(work / "case", keep / name.replace(" ", "-") / seed, dirs_exist_ok=True)
    return number + 1, spent


def table(tallies: dict[str, Tally]) -> str:
    """Markdown: cases, refused, read, ended by polars, and faults of each reader."""
    rows = ["| reader | cases | refused | read | ended by polars | faults |", "| --- | --- | --- | --- | --- | --- |"]
    for name, tally in tallies.items():
        results = tally.results
        counts = " | ".join(f"{results[what]:,}" for what in ("refused", "read", "ended", "fault"))
        rows.append(f"| {name} | {results.total():,} | {counts} |")
    return "\n".join(rows)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        name, seed, first, seconds, megabytes, work, keep = sys.argv[2:]
        child(name, int(seed), int(first), float(seconds), int(megabytes), Path(work), Path(keep))
        return
    from fuzz_readers import READERS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="of each reader")
    parser.add_argument("--jobs", type=int, default=1, help="readers at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(READERS), default=list(READERS), help="readers")
    parser.add_argument("--seconds", type=float, default=60, help="that a case may take")
    parser.add_argument("--megabytes", type=int, default=1024, help="that cases may take")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-faults"), help="where files with faults are kept")
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    tallies, stopped = {}, threading.Event()
    with ThreadPoolExecutor(args.jobs) as pool:
        begun = {name: pool.submit(fuzz, name, args, args.keep.resolve(), stopped) for name in args.only}
        try:
            for name, tally in begun.items():
                tallies[name] = tally.result()
        finally:
            stopped.set()
            print(table(tallies))
    sys.exit(1 if any(tally.faults for tally in tallies.values()) else 0)


if __name__ == "__main__":
    main()
