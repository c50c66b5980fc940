"""From a benchmark's configuration to its items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from competency_gaps.benchmarks.files import read_files
from competency_gaps.benchmarks.hub import read_hub
from competency_gaps.benchmarks.item import Benchmark, Item, LeftOut
from competency_gaps.benchmarks.reasoning_gym import read_reasoning_gym
from competency_gaps.benchmarks.records import gather
from competency_gaps.benchmarks.rows import Record
from competency_gaps.config import BenchmarkConfig
from competency_gaps.errors import UserError

SOURCES: dict[str, Callable[[Any], Iterable[Record | Item | LeftOut]]] = {
    "file": read_files,
    "hub": read_hub,
    "reasoning_gym": read_reasoning_gym,
}
"""Kind of a source -> what reads it. A source gives records, ready items, or what it had to leave out."""


def load_benchmark(config: BenchmarkConfig) -> Benchmark:
    """Read and check one benchmark.

    Raises
    ------
    UserError
        If the source cannot be read, a record is wrong, or nothing is left.
    """
    source = config.source
    entries = SOURCES[source.kind](source)
    where = f"benchmark {config.name!r} ({_words(config)})"
    gathered = gather(entries, source=where, fields=getattr(source, "fields", {}), policy=config.policy)
    return Benchmark(config.name, tuple(even_stride(gathered.items, config.limit)), tuple(gathered.left_out))


def load_benchmarks(configs: Sequence[BenchmarkConfig]) -> list[Benchmark]:
    """Read and check several benchmarks.

    Raises
    ------
    UserError
        If there are none, two have one name, or one of them is wrong.
    """
    if not configs:
        raise UserError("no benchmarks are given. List at least one under 'benchmarks'.")
    names = [config.name for config in configs]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two benchmarks are named {name!r}. Give each its own 'name'.")
    return [load_benchmark(config) for config in configs]


def even_stride(items: Sequence[Item], limit: int | None) -> Sequence[Item]:
    """At most ``limit`` items, spread evenly over all: those at ``floor(i * n / limit)``."""
    if limit is None or limit >= len(items):
        return items
    return [items[i * len(items) // limit] for i in range(limit)]


def _words(config: BenchmarkConfig) -> str:
    source = config.source
    return source.family if source.kind == "reasoning_gym" else str(source.path)
