"""Count repeats in real benchmarks, to see at which similarity near-repeats become different questions.

    python validation/repeats.py FOLDER [--thresholds 0.6 0.7 0.8 0.9] [--examples 5 --below 0.9] [--only NAME ...]

FOLDER is a run, or holds benchmarks as JSONL files or as folders with one such file. Prints for each benchmark its
number of items, and how many equal another item or, at each threshold, nearly equal one. With ``--examples``, also
prints pairs found at the lowest threshold and not at ``--below``, with the differing words in brackets.
"""

from __future__ import annotations

import argparse
import difflib
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from competency_gaps.items.config import BenchmarkConfig, FileSource
from competency_gaps.items.item import Benchmark, Item
from competency_gaps.items.repeats import find_clusters, near_pairs, question_of
from competency_gaps.pipeline.load import load_benchmark
from competency_gaps.util.errors import UserError

AROUND = 4
"""Words shown before and after a difference."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--thresholds", type=float, nargs="+", default=[0.6, 0.7, 0.8, 0.9])
    parser.add_argument("--examples", type=int, default=0, help="pairs of each benchmark to print")
    parser.add_argument("--below", type=float, help="print only pairs that this threshold does not find")
    parser.add_argument("--only", nargs="+", help="names of benchmarks")
    args = parser.parse_args()
    thresholds = sorted(args.thresholds)
    print(f"{'benchmark':<40}{'items':>8}{'equal':>8}" + "".join(f"{f'near {t:g}':>10}" for t in thresholds))
    total = np.zeros(2 + len(thresholds), np.int64)
    for benchmark in benchmarks(args.folder):
        if args.only and benchmark.name not in args.only:
            continue
        kinds = [find_clusters([benchmark], threshold).kind for threshold in thresholds]
        row = [len(benchmark.items), kinds[0].count("equal"), *(own.count("near") for own in kinds)]
        total += row
        print(line(benchmark.name, row))
        for text in examples(benchmark, thresholds[0], args.below, args.examples):
            print(f"    {text}")
    print(line("all", total.tolist()))


def benchmarks(folder: Path) -> Iterator[Benchmark]:
    """The benchmarks of a run, or of a folder of files; prints the names of files that cannot be read."""
    table = folder / "items.parquet"
    if table.is_file():
        frame = pl.read_parquet(table)
        for (name,), part in frame.group_by(["benchmark"], maintain_order=True):
            yield Benchmark(str(name), tuple(item_of(row) for row in part.iter_rows(named=True)))
        return
    for file in sorted([*folder.glob("*.jsonl"), *folder.glob("*/*.jsonl")]):
        name = file.stem if file.parent == folder else f"{file.parent.name}/{file.stem}"
        try:
            yield load_benchmark(BenchmarkConfig(name=name, source=FileSource(path=file)))
        except UserError as error:
            print(f"{name}: not read, {error}")


def item_of(row: dict[str, object]) -> Item:
    choices = row.get("choices")
    return Item(
        id=str(row["item_id"]),
        prompt=str(row["prompt"]),
        choices=tuple(map(str, choices)) if isinstance(choices, list) else None,
        answer=row["answer"],
    )


def line(name: str, row: list[int]) -> str:
    return f"{name:<40}{row[0]:>8,}{row[1]:>8,}" + "".join(f"{count:>10,}" for count in row[2:])


def examples(benchmark: Benchmark, threshold: float, below: float | None, count: int) -> list[str]:
    """Pairs of near-repeats, drawn with a fixed seed."""
    if not count:
        return []
    known: dict[object, Item] = {}
    for item in benchmark.items:
        asked = question_of(item)
        known.setdefault((asked.prompt, asked.context, asked.answer or asked.choices), item)
    items = list(known.values())
    questions = [question_of(item) for item in items]
    home = np.zeros(len(items), np.int64)
    pairs = {tuple(pair) for pair in near_pairs(questions, home, threshold).tolist()}
    if below is not None:
        pairs -= {tuple(pair) for pair in near_pairs(questions, home, below).tolist()}
    drawn = random.Random(0).sample(sorted(pairs), min(count, len(pairs)))
    return [f"{differences(items[i].prompt, items[j].prompt)} => {questions[i].answer}" for i, j in drawn]


def differences(first: str, second: str) -> str:
    """Merge two texts; where they differ, as ``[words of the first|words of the second]``."""
    a, b = first.split(), second.split()
    parts = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind != "equal":
            parts.append(f"[{' '.join(a[i:j])}|{' '.join(b[k:m])}]")
        elif j - i <= 2 * AROUND:
            parts.append(" ".join(a[i:j]))
        else:
            parts.append(" ".join([*a[i : i + AROUND], "...", *a[j - AROUND : j]]))
    return " ".join(parts)


if __name__ == "__main__":
    main()
