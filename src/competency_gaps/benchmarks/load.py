"""From a benchmark's configuration to its items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from competency_gaps.benchmarks.files import read_files
from competency_gaps.benchmarks.hub import read_hub
from competency_gaps.benchmarks.item import Benchmark, Item, LeftOut, SourceReport
from competency_gaps.benchmarks.objects import read_objects
from competency_gaps.benchmarks.reasoning_gym import read_reasoning_gym
from competency_gaps.benchmarks.records import Gathered, gather
from competency_gaps.benchmarks.rows import Record
from competency_gaps.config import BenchmarkConfig
from competency_gaps.errors import UserError
from competency_gaps.logs import read_log
from competency_gaps.tasks import read_task

if TYPE_CHECKING:
    from competency_gaps.scoring.policy import Policy

SOURCES: dict[str, Callable[[Any], Iterable[Record | Item | LeftOut | SourceReport | Policy]]] = {
    "file": read_files,
    "hub": read_hub,
    "log": read_log,
    "objects": read_objects,
    "reasoning_gym": read_reasoning_gym,
    "task": read_task,
}
"""Kind of a source -> what reads it. A source gives records, ready items, what it had to leave out, a report of
another tool's log or task, and the policy that such a task brings."""


def load_benchmark(config: BenchmarkConfig) -> Benchmark:
    """Read and check one benchmark.

    Raises
    ------
    UserError
        If the source cannot be read, a record is wrong, or nothing is left.
    """
    if config.source is not None:
        read = _read(config, config.source)
        items = tuple(even_stride(read.items, config.limit))
        return Benchmark(config.name, items, tuple(read.left_out), tuple(read.reports), read.scorer)
    found: list[Item] = []
    left_out: list[LeftOut] = []
    reports: list[SourceReport] = []
    for number, source in enumerate(config.sources):
        part = _read(config, source)
        if part.scorer is not None:
            raise UserError(
                f"benchmark {config.name!r}: a task of another harness scores its items itself, so it is a benchmark "
                f"of its own. Give {_words(source)} as 'source', not among 'sources'."
            )
        # Ids are unique inside a source only; a part without groups is a group of its own.
        found += [replace(i, id=f"{number}:{i.id}", group=i.group or _words(source)) for i in part.items]
        left_out += part.left_out
        reports += part.reports
    return Benchmark(config.name, tuple(even_stride(found, config.limit)), tuple(left_out), tuple(reports))


def _read(config: BenchmarkConfig, source: Any) -> Gathered:
    where = f"benchmark {config.name!r} ({_words(source)})"
    fields = getattr(source, "fields", {})
    return gather(SOURCES[source.kind](source), source=where, fields=fields, policy=config.policy)


def load_benchmarks(configs: Sequence[BenchmarkConfig]) -> list[Benchmark]:
    """Read and check several benchmarks.

    Raises
    ------
    UserError
        If there are none, two have one name, or one of them is wrong.
    """
    check_names(configs)
    return [load_benchmark(config) for config in configs]


def check_names(configs: Sequence[BenchmarkConfig]) -> None:
    """Raise UserError if there are no benchmarks, or two have one name."""
    if not configs:
        raise UserError("no benchmarks are given. List at least one under 'benchmarks'.")
    names = [config.name for config in configs]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two benchmarks are named {name!r}. Give each its own 'name'.")


def even_stride(items: Sequence[Item], limit: int | None) -> Sequence[Item]:
    """At most ``limit`` items, spread evenly over all: those at ``floor(i * n / limit)``."""
    if limit is None or limit >= len(items):
        return items
    return [items[i * len(items) // limit] for i in range(limit)]


def _words(source: Any) -> str:
    if source.kind == "objects":
        return "Python objects"
    if source.kind == "task":
        return f"{source.harness}:{source.name}"
    return source.family if source.kind == "reasoning_gym" else str(source.path)
