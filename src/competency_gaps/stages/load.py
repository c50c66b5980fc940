"""Load benchmarks from their configurations."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from competency_gaps.benchmarks.reasoning_gym import make_dataset, package_folder
from competency_gaps.benchmarks.records import Gathered, gather
from competency_gaps.config import BenchmarkConfig, PluginSource, ReasoningGymSource
from competency_gaps.errors import UserError, nearest
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
    if isinstance(source, PluginSource):
        return gather(_of_plugin(source, where), source=where, fields={}, policy=config.policy)
    fields = getattr(source, "fields", {})
    return gather(SOURCES[source.kind](source), source=where, fields=fields, policy=config.policy)


def _of_plugin(source: PluginSource, where: str) -> Iterator[Any]:
    """Yield what a plug-in's source yields; errors in it name the source."""
    if source.kind not in SOURCES:
        raise UserError(
            f"{where}: a source of kind {source.kind!r} is not known; there are {', '.join(SOURCES)}."
            f"{nearest(source.kind, SOURCES)} One of a plug-in needs its package."
        )
    read = SOURCES[source.kind]
    settings = _checked(read, source.model_extra or {}, f"{where}: the source {source.kind!r}")
    try:
        yield from read(**settings)
    except UserError:
        raise
    except Exception as error:  # whatever somebody else's code does
        raise UserError(f"{where}: the source {source.kind!r} failed: {type(error).__name__}: {error}.") from error


def _checked(read: Callable[..., Any], settings: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Settings checked against a function's parameters, as far as their annotations can be read."""
    parameters = inspect.signature(read).parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in settings:
        if name not in parameters and not open_ended:
            raise UserError(f"{what} has no setting {name!r}; it has {', '.join(parameters) or 'none'}.")
    for name, parameter in parameters.items():
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if name not in settings and parameter.default is parameter.empty and not variable:
            raise UserError(f"{what} needs the setting {name!r}.")
    checked = dict(settings)
    for name in checked.keys() & parameters.keys():
        annotation = parameters[name].annotation
        try:
            kind = eval(annotation, read.__globals__) if isinstance(annotation, str) else annotation  # noqa: S307
            if kind is not inspect.Parameter.empty:
                checked[name] = TypeAdapter(kind).validate_python(checked[name])
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(f"{what} refuses the setting {name!r} = {first['input']!r}: {first['msg']}.") from error
        except (NameError, AttributeError, PydanticUserError):
            continue  # a type that is only there for type checkers
    return checked


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
