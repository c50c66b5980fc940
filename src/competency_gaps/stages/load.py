"""From a benchmark's configuration to its items."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import Any

from competency_gaps.benchmarks.reasoning_gym import make_dataset, package_folder
from competency_gaps.benchmarks.records import Gathered, gather
from competency_gaps.config import BenchmarkConfig, ReasoningGymSource
from competency_gaps.errors import UserError
from competency_gaps.items.benchmark import Benchmark
from competency_gaps.items.item import Item, LeftOut, SourceReport
from competency_gaps.progress import Progress
from competency_gaps.registry import Registry

SOURCES = Registry(
    "sources",
    {
        "file": "benchmarks.files:read_files",
        "hub": "benchmarks.hub:read_hub",
        "log": "harnesses.read:read_log",
        "objects": "benchmarks.objects:read_objects",
        "reasoning_gym": "benchmarks.reasoning_gym:read_reasoning_gym",
        "task": "harnesses.tasks:read_task",
    },
)
"""Kind of a source -> what reads it: a function of the source's configuration that yields records, ready items, what it
had to leave out, a report of another tool's log or task, and the policy that such a task brings."""

GENERATORS = 4
"""Most benchmarks that are generated at the same time, each in a process of its own."""


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


def load_suite(choices: Sequence[BenchmarkConfig], progress: Progress) -> dict[str, Benchmark]:
    """Read and check several benchmarks; generated ones are made side by side.

    Parameters
    ----------
    choices
        Benchmarks with different names (see ``check_names``).

    Returns
    -------
    dict[str, Benchmark]
        By name, in the order of ``choices``.

    Raises
    ------
    UserError
        If one of them is wrong; families and difficulties are checked before any task is generated.
    """
    _check_generators(choices, progress)
    loaded: dict[str, Benchmark] = {}
    with progress.stage("loading benchmarks", total=len(choices), unit="benchmarks") as bar:
        pool = ThreadPoolExecutor(max_workers=min(GENERATORS, os.cpu_count() or 1))
        try:
            generated = {
                pool.submit(load_benchmark, choice): choice.name for choice in choices if _is_generated(choice)
            }
            for choice in choices:
                if not _is_generated(choice):
                    bar.note(choice.name)
                    loaded[choice.name] = load_benchmark(choice)
                    bar.advance()
            bar.note("generating tasks")
            for future in as_completed(generated):
                loaded[generated[future]] = future.result()
                bar.advance()
        finally:  # after an error the other benchmarks are not waited for
            pool.shutdown(wait=False, cancel_futures=True)
    return {choice.name: loaded[choice.name] for choice in choices}


def _check_generators(choices: Sequence[BenchmarkConfig], progress: Progress) -> None:
    """Import reasoning-gym, and check the family and difficulty of every source that needs it.

    Importing it here keeps its placeholders for absent packages (:mod:`~competency_gaps.benchmarks.generate`) away from
    imports in other threads.
    """
    generators = [source for choice in choices for source in _sources(choice) if isinstance(source, ReasoningGymSource)]
    if generators:
        package_folder(progress)
    for source in generators:
        make_dataset(source.family, source.difficulty, seed=source.seed, size=source.size)


def _is_generated(choice: BenchmarkConfig) -> bool:
    return all(isinstance(source, ReasoningGymSource) for source in _sources(choice))


def _sources(choice: BenchmarkConfig) -> list[Any]:
    return [choice.source] if choice.source is not None else list(choice.sources)


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
