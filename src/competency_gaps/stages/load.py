"""Load benchmarks from their configurations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import Any

from pydantic import ValidationError, validate_call

from competency_gaps.benchmarks.reasoning_gym import make_dataset, package_folder
from competency_gaps.benchmarks.records import Gathered, gather
from competency_gaps.config import BenchmarkConfig, PluginSource, ReasoningGymSource
from competency_gaps.errors import UserError
from competency_gaps.items.benchmark import Benchmark
from competency_gaps.items.item import Item, LeftOut, SourceReport
from competency_gaps.progress import Progress
from competency_gaps.registry import SOURCES

GENERATORS = 4
"""Most benchmarks generated at the same time, each in its own process."""


def load_benchmark(config: BenchmarkConfig) -> Benchmark:
    """Read and check one benchmark.

    Raises
    ------
    UserError
        If the source cannot be read, a record is wrong, or no item is left.
    """
    if config.source is not None:
        read = _read(config, config.source)
        chosen = tuple(even_stride(read.items, config.limit))
        return Benchmark(config.name, chosen, tuple(read.left_out), tuple(read.reports), read.scorer)
    items: list[Item] = []
    left_out: list[LeftOut] = []
    reports: list[SourceReport] = []
    for number, source in enumerate(config.sources):
        part = _read(config, source)
        if part.scorer is not None:
            raise UserError(
                f"benchmark {config.name!r}: a task of another harness scores its items itself, so it is a benchmark "
                f"of its own. Give {_source_name(source)} as 'source', not among 'sources'."
            )
        # Ids are unique only within a source; items without a group take the source's name.
        items += [replace(i, id=f"{number}:{i.id}", group=i.group or _source_name(source)) for i in part.items]
        left_out += part.left_out
        reports += part.reports
    return Benchmark(config.name, tuple(even_stride(items, config.limit)), tuple(left_out), tuple(reports))


def _read(config: BenchmarkConfig, source: Any) -> Gathered:
    where = f"benchmark {config.name!r} ({_source_name(source)})"
    fields = getattr(source, "fields", {})
    entries = _of_plugin(source, where) if isinstance(source, PluginSource) else SOURCES[source.kind](source)
    return gather(entries, source=where, fields=fields, policy=config.policy)


def _of_plugin(source: PluginSource, where: str) -> Any:
    """What a plug-in's source yields; its settings are checked against the function's annotations."""
    try:
        return validate_call(SOURCES[source.kind])(**(source.model_extra or {}))
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{where}: the source {source.kind!r} refuses the setting {setting!r} = {first['input']!r}: {first['msg']}."
        ) from error


def load_suite(configs: Sequence[BenchmarkConfig], progress: Progress) -> dict[str, Benchmark]:
    """Read and check several benchmarks; generated ones in parallel.

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
        If a benchmark is wrong; families and difficulties are checked before any task is generated.
    """
    _check_generators(configs, progress)
    loaded: dict[str, Benchmark] = {}
    with progress.stage("loading benchmarks", total=len(configs), unit="benchmarks") as bar:
        pool = ThreadPoolExecutor(max_workers=min(GENERATORS, os.cpu_count() or 1))
        try:
            generated = {
                pool.submit(load_benchmark, config): config.name for config in configs if _is_generated(config)
            }
            for config in configs:
                if not _is_generated(config):
                    bar.note(config.name)
                    loaded[config.name] = load_benchmark(config)
                    bar.advance()
            bar.note("generating tasks")
            for future in as_completed(generated):
                loaded[generated[future]] = future.result()
                bar.advance()
        finally:  # after an error, do not wait for the other benchmarks
            pool.shutdown(wait=False, cancel_futures=True)
    return {config.name: loaded[config.name] for config in configs}


def _check_generators(configs: Sequence[BenchmarkConfig], progress: Progress) -> None:
    """Import reasoning-gym, and check the family and difficulty of every source that needs it.

    Importing it here keeps its placeholders for absent packages (:mod:`~competency_gaps.benchmarks.generate`) away from
    imports in other threads.
    """
    generators = [source for config in configs for source in _sources(config) if isinstance(source, ReasoningGymSource)]
    if generators:
        package_folder(progress)
    for source in generators:
        make_dataset(source.family, source.difficulty, seed=source.seed, size=source.size)


def _is_generated(config: BenchmarkConfig) -> bool:
    return all(isinstance(source, ReasoningGymSource) for source in _sources(config))


def _sources(config: BenchmarkConfig) -> list[Any]:
    return [config.source] if config.source is not None else list(config.sources)


def check_names(configs: Sequence[BenchmarkConfig]) -> None:
    """Raise UserError if there are no benchmarks, or two have the same name."""
    if not configs:
        raise UserError("no benchmarks are given. List at least one under 'benchmarks'.")
    names = [config.name for config in configs]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two benchmarks are named {name!r}. Give each its own 'name'.")


def even_stride(items: Sequence[Item], limit: int | None) -> Sequence[Item]:
    """At most ``limit`` evenly spaced items: those at ``floor(i * n / limit)``."""
    if limit is None or limit >= len(items):
        return items
    return [items[i * len(items) // limit] for i in range(limit)]


def _source_name(source: Any) -> str:
    if source.kind == "objects":
        return "Python objects"
    if source.kind == "task":
        return f"{source.harness}:{source.name}"
    if source.kind == "reasoning_gym":
        return str(source.family)
    return str(getattr(source, "path", source.kind))
