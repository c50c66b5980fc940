"""Measure metrics and evidence that are streamed from a run's shards on disk: time and memory by number of non-zeros.

    python perf/evidence_from_disk.py                            # 20 and 100 million non-zeros
    python perf/evidence_from_disk.py --millions 1000 --folder /tmp    # 16 bytes of disk for each non-zero

Shards are made in one process and measured in another, which does what a run does after reading: the copy by concept,
the sums of all metrics, and the evidence of the suite and of each benchmark. Items lie in strata of length, one in
twenty repeats another. Prints milliseconds of processor time (of all threads) a million non-zeros for each step, peak
memory of that process (pages of mapped files included), and how much longer the larger sizes take for each non-zero
than the smallest one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from competency_gaps.evidence import Covariate, ItemSample, Thresholds, evidence_by_benchmark
from competency_gaps.evidence.chi import combine
from competency_gaps.pipeline.extraction import SHARD_ITEMS
from competency_gaps.pipeline.results import collect
from competency_gaps.reading.by_concept import ByConcept, write_by_concept
from competency_gaps.reading.rows import CasBlock, CasStore
from evidence import BENCHMARKS, LEVELS, PER_ITEM, drawn_rows, peak_memory

TOKENS = 100
"""Tokens of an item."""
EFFECT = 0.03
"""By how much one of the concepts with an effect moves the score; half of them lower it."""
EFFECTIVE = slice(1000, 2000)
"""Concepts with an effect: each is active in a few items of a hundred, so that many go with failure or success."""
STEPS = ("by_concept", "metrics", "evidence")
"""What a run does."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[20, 100])
    parser.add_argument("--width", type=int, default=65_536)
    parser.add_argument("--folder", type=Path, help="where the shards are made; they are removed again")
    parser.add_argument("--target", type=float, default=1000, help="millions to which time is extrapolated")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    items = int(args.millions[0] * 1e6 / PER_ITEM) // BENCHMARKS * BENCHMARKS
    if args.make:
        make(args.make, items, args.width)
        return
    if args.measure:
        print(json.dumps(measure(args.measure, items, args.width)))
        return
    measured = []
    for millions in sorted(args.millions):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            size = ["--width", str(args.width), "--millions", str(millions)]
            command = [sys.executable, __file__, *size]
            subprocess.run([*command, "--make", folder], check=True)
            done = subprocess.run([*command, "--measure", folder], stdout=subprocess.PIPE, text=True, check=True)
        measured.append(json.loads(done.stdout))
        report(measured[-1], measured[0], args.width)
    seconds = args.target * sum(measured[-1][step] for step in STEPS) / measured[-1]["millions"]
    print(f"{args.target:,.0f} million at the speed of the largest: {seconds / 60:.0f} minutes of one core")


def make(folder: Path, items: int, width: int) -> None:
    """Write the shards of a run, and the items' scores."""
    store, rng = CasStore(folder, width), np.random.default_rng(2)
    per, number, scores = items // BENCHMARKS, 0, []
    effect = np.zeros(width)
    effect[EFFECTIVE] = np.tile([EFFECT, -EFFECT], width)[: len(effect[EFFECTIVE])]
    for cas in drawn_rows(items, width):
        count = cas.shape[0]
        first = number % per
        tokens = np.arange(count * TOKENS, dtype=np.int32)
        offsets = np.stack([tokens % TOKENS, tokens % TOKENS + 1], axis=1)
        peaks = rng.integers(0, TOKENS, cas.nnz).astype(np.int32)
        block = CasBlock(
            np.arange(first, first + count), cas, peaks, np.arange(count + 1) * TOKENS, tokens % 4000, offsets
        )
        name = f"b{number // per:03d}-{first // SHARD_ITEMS:05d}"
        store.shards.commit(name, store.draft(name, block, {}))
        chance = np.clip(LEVELS[number // per] + (cas > 0) @ effect, 0, 1)
        scores.append(rng.random(count) < chance)
        number += count
    np.save(folder / "scores.npy", np.concatenate(scores))


def measure(folder: Path, items: int, width: int) -> dict[str, Any]:
    """Time each step in this process."""
    store, per = CasStore(folder, width), items // BENCHMARKS
    names = sorted(file.stem for file in folder.glob("*.safetensors"))
    shards = {str(b): [name for name in names if name.startswith(f"b{b:03d}-")] for b in range(BENCHMARKS)}
    result: dict[str, Any] = {"items": items, "before_gib": peak_memory()}

    def blocks() -> Iterator[tuple[int, CasBlock]]:
        for number, own in enumerate(shards.values()):
            yield from ((number * per, block) for block in store.blocks(own))

    clock = Clock(result)
    write_by_concept(folder, blocks, width)
    clock.lap("by_concept")
    sample = sample_of_items(ByConcept(folder), np.load(folder / "scores.npy").astype(float))
    scores = {str(b): sample.scores[b * per : (b + 1) * per] for b in range(BENCHMARKS)}
    rows = {name: store.blocks(own) for name, own in shards.items()}
    collected = collect(rows, scores, width, {token: f"word {token}" for token in range(4000)})
    combine(collected.sums, None)
    clock.lap("metrics")
    suite, _ = evidence_by_benchmark(sample, Thresholds())
    clock.lap("evidence")
    counts = suite.counts()
    return {
        **result,
        "millions": float(sample.support.sum()) / 1e6,
        "counts": {name: counts[name] for name in ("tested", "failure", "success")},
    }


class Clock:
    """Seconds of processor time, and peak memory so far, of each step."""

    def __init__(self, result: dict[str, Any]) -> None:
        self._result, self._last = result, time.process_time()

    def lap(self, step: str) -> None:
        now = time.process_time()
        self._result |= {step: now - self._last, f"{step}_gib": peak_memory()}
        self._last = now


def sample_of_items(by_concept: ByConcept, scores: np.ndarray) -> ItemSample:
    """The items with their scores and drawn lengths, one in twenty a repeat of the one before it."""
    items = len(scores)
    rng, per = np.random.default_rng(1), items // BENCHMARKS
    benchmark = np.repeat(np.arange(BENCHMARKS), per)
    cluster = np.arange(items)
    cluster[(rng.random(items) < 0.05) & (np.arange(items) % per > 0)] -= 1
    length = Covariate("length", rng.integers(10, 400, items).astype(float))
    repeats = np.bincount(cluster)[cluster] > 1
    return ItemSample(
        scores,
        benchmark,
        lambda concepts: by_concept.cas(concepts, items),
        by_concept.support,
        cluster,
        (length,),
        repeats,
    )


def report(size: dict[str, Any], smallest: dict[str, Any], width: int) -> None:
    """Print the figures of one size."""
    print(f"{size['millions']:.0f} million non-zeros, {size['items']:,} items x {width:,} concepts; {size['counts']}")
    for step in (*STEPS, "all"):
        per, first = (
            1000 * sum(one[name] for name in (STEPS if step == "all" else (step,))) / one["millions"]
            for one in (size, smallest)
        )
        peak = size[f"{'evidence' if step == 'all' else step}_gib"]
        print(
            f"  {step.replace('_', ' '):<11} {per:7.0f} ms a million ({per / first:.2f} of the smallest), "
            f"peak memory so far {peak:.2f} GiB"
        )


if __name__ == "__main__":
    main()
