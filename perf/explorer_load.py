"""Load the explorer's server: many clients at once, slow ones, ones that break off, and requests that make no sense.

    python perf/synthetic_run.py /tmp/synth --concepts 65536 --benchmarks 10 --items 20000 --nonzeros 8000000
    python perf/explorer_load.py /tmp/synth                          # 200 clients for 2 minutes
    python perf/explorer_load.py RUN --clients 40 --minutes 0.1

``cgaps explore`` runs as a process of its own. Each client asks for one part or search after the other: most read the
answer at once, some a few kilobytes at a time, some close the connection before or within the answer, some ask for what
does not exist or is no HTTP. Prints requests per second, times, answers that were not as expected, and the server's
memory and open files, sampled each second.

Exits with 1 if an answer is a 5xx or else not as expected, a connection is refused, the server ends or writes a
traceback, its memory (RssAnon: without pages of mapped files, which the system takes back) in the second half exceeds
that of the first by more than ``--growth`` MiB, or files stay open.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from explorer_requests import Target, break_off, connect, head, nonsense, sense, sip, what_to_ask

CLIENTS = {"reads at once": 0.7, "reads slowly": 0.1, "breaks off": 0.1, "makes no sense": 0.1}
"""What a client does next, and how often."""
PATIENCE = 60.0
"""Seconds to wait for an answer; longer is an error."""
SETTLE = 3.0
"""Seconds after the last client until files are counted again."""
FILES_LEFT = 10
"""Files that the server may have open in addition at the end: mapped tables and threads' handles."""


class Usage(NamedTuple):
    """The server at a moment."""

    seconds: float
    resident: float
    """MiB, pages of mapped files included."""
    own: float
    """MiB without them."""
    files: int
    threads: int


@dataclass
class Results:
    """What clients saw."""

    seconds: list[float] = field(default_factory=list)
    """Of answers that were read at once, whole."""
    counts: Counter[str] = field(default_factory=Counter)
    """Finished requests by kind of client."""
    errors: Counter[str] = field(default_factory=Counter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--growth", type=float, default=64.0, help="MiB by which memory may grow in the second half")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryFile("w+") as log, served(args.run, log) as (process, port):
        target = what_to_ask(args.run, port, random.Random(args.seed))
        print(f"{args.clients} clients, {60 * args.minutes:.0f} s", flush=True)
        results, usage = asyncio.run(load(target, process.pid, args.clients, 60 * args.minutes, args.seed))
        ended = process.poll()
        log.seek(0)
        text = log.read()
    faults = report(results, usage, args.growth)
    if ended is not None:
        faults.append(f"the server ended with {ended}")
    if "Traceback" in text:
        faults.append(f"the server wrote a traceback: {text[:4000]}")
    for fault in faults:
        print(f"FAULT: {fault}")
    raise SystemExit(1 if faults else 0)


@contextmanager
def served(run: Path, log: IO[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``cgaps explore`` as a process, and its port; what it reports goes to ``log``."""
    code = "from competency_gaps.cli.app import main; main()"
    command = [sys.executable, "-c", code, "explore", str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            port = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())  # type: ignore[union-attr]
            if port is None:
                process.wait()
                log.seek(0)
                raise SystemExit(f"the server did not start: {log.read()}")
            yield process, int(port[1])
        finally:
            process.terminate()


async def load(target: Target, process: int, clients: int, seconds: float, seed: int) -> tuple[Results, list[Usage]]:
    """Let the clients ask until the time is over; sample the server each second, and at last when all have gone."""
    results, usage = Results(), [used(process, 0.0)]
    end = time.monotonic() + seconds
    tasks = [asyncio.create_task(client(target, random.Random(f"{seed} {i}"), end, results)) for i in range(clients)]
    start = time.monotonic()
    while not all(task.done() for task in tasks):
        await asyncio.sleep(1.0)
        with suppress(OSError):  # the server ended: main() says so
            usage.append(used(process, time.monotonic() - start))
    await asyncio.gather(*tasks)
    await asyncio.sleep(SETTLE)
    with suppress(OSError):
        usage.append(used(process, time.monotonic() - start))
    return results, usage


def used(process: int, seconds: float) -> Usage:
    """Memory, open files and threads of a process."""
    text = Path(f"/proc/{process}/status").read_text()
    resident, own, threads = (
        int(value[1]) if (value := re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)) else 0
        for name in ("VmRSS", "RssAnon", "Threads")
    )
    return Usage(seconds, resident / 1024, own / 1024, len(list(Path(f"/proc/{process}/fd").iterdir())), threads)


async def client(target: Target, rng: random.Random, end: float, results: Results) -> None:
    """Ask for one thing after the other."""
    while time.monotonic() < end:
        kind = rng.choices(list(CLIENTS), list(CLIENTS.values()))[0]
        try:
            async with asyncio.timeout(PATIENCE):
                await request(kind, target, rng, results)
            results.counts[kind] += 1
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            results.errors[f"{kind}: {type(error).__name__} {error}"[:200]] += 1


async def request(kind: str, target: Target, rng: random.Random, results: Results) -> None:
    """One request on a connection of its own."""
    if kind == "makes no sense":
        asked, expected = nonsense(target, rng)
    else:
        asked, expected = sense(target, rng, large=kind == "reads slowly"), (200,)
    began = time.perf_counter()
    reader, writer = await connect(target.port, slow=kind == "reads slowly")
    try:
        writer.write(asked)
        await writer.drain()
        if kind == "breaks off":
            await break_off(reader, rng)
            return
        status, length = await head(reader)
        if status not in expected:
            results.errors[f"{status} for {asked.splitlines()[0][:80]!r}"] += 1
        if kind == "reads slowly":
            await sip(reader, length or 0, rng)
            return
        body = await (reader.read() if length is None else reader.readexactly(length))
        if status >= 400 and not body:
            raise ValueError(f"an error without a message for {asked[:60]!r}")
        if kind == "reads at once":
            results.seconds.append(time.perf_counter() - began)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def report(results: Results, usage: list[Usage], growth: float) -> list[str]:
    """Print the figures; gives what is wrong with them."""
    seconds, (first, *during), last = sorted(results.seconds), usage[:-1], usage[-1]
    total, length = sum(results.counts.values()), during[-1].seconds
    half = [[sample.own for sample in during if (sample.seconds > length / 2) == late] for late in (False, True)]
    grown = max(half[1]) - max(half[0])
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, the clients' own included")
    print(f"{total:,} requests, {total / length:,.0f} a second; {dict(results.counts)}")
    if len(seconds) > 1:
        cuts = statistics.quantiles(seconds, n=100)
        print("read at once: " + ", ".join(f"p{p} {1000 * cuts[p - 1]:,.0f} ms" for p in (50, 95, 99)))
    warm = during[min(len(during) - 1, 10)]
    highest = max(usage, key=lambda sample: sample.resident)
    for name, sample in (("start", first), ("after 10 s", warm), ("highest", highest), ("end", last)):
        print(
            f"{name:>10}: resident {sample.resident:,.0f} MiB, own {sample.own:,.0f} MiB, {sample.files} files, "
            f"{sample.threads} threads"
        )
    print(f"own memory of the second half against the first, highest of each: {grown:+,.0f} MiB (allowed {growth:g})")
    faults = [f"{count} x {what}" for what, count in results.errors.most_common(20)]
    if grown > growth:
        faults.append(f"memory grew by {grown:,.0f} MiB in the second half")
    if last.files > first.files + FILES_LEFT:
        faults.append(f"{last.files - first.files} files were left open")
    if not total:
        faults.append("no request was answered")
    return faults


if __name__ == "__main__":
    main()
