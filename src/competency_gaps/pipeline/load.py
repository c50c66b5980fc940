"""Load benchmarks from their configurations, and make the scorer of each item."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError, validate_call

from competency_gaps.items.config import BenchmarkConfig, PluginSource, ReasoningGymSource
from competency_gaps.items.item import Benchmark, Item, LeftOut, SourceReport
from competency_gaps.items.reasoning_gym import make_dataset
from competency_gaps.items.records import gather
from competency_gaps.items.registry import SCORERS, SOURCES
from competency_gaps.items.scorer import Scorer
from competency_gaps.scoring.text import Unscored
from competency_gaps.util.errors import UserError, no_such
from competency_gaps.util.progress import Progress


def assign_scorers(
    benchmark: Benchmark, scorer: str | None, options: Mapping[str, Any], otherwise: str | None = None
) -> list[Scorer]:
    """Return the scorer of each item, checked against the item.

    Parameters
    ----------
    scorer
        The scorer of all items; None: the scorer that each item names.
    options
        Options of the scorer. If items name several scorers, each takes the options that it has.
    otherwise
        The scorer of items that name none; None: such an item is an error.

    Raises
    ------
    UserError
        If an item names no scorer, a scorer or an option is unknown, or a scorer cannot score an item.
    """
    names = []
    for item in benchmark.items:
        name = scorer or item.scorer or otherwise
        if name is None:
            raise UserError(
                f"benchmark {benchmark.name!r}, item {item.id!r} names no Scorer: set 'scorer' in the "
                f"benchmark's configuration to one of {', '.join(SCORERS)}."
            )
        names.append(name)
    by_name = _make_scorers(sorted(set(names)), options, benchmark.name)
    for name, item in zip(names, benchmark.items, strict=True):
        fault = by_name[name].check(item)
        if fault:
            raise UserError(f"benchmark {benchmark.name!r}, item {item.id!r}, scorer {name!r}: {fault}.")
    return [by_name[name] for name in names]


def scorers_of(benchmark: Benchmark, config: BenchmarkConfig, *, ask: bool = True) -> list[Scorer]:
    """Return the scorer of each item; without ``ask``, items that need an answer of the model stay unscored."""
    if ask:
        return assign_scorers(benchmark, config.scorer, config.options)
    scorers = assign_scorers(benchmark, config.scorer, config.options, otherwise="none")
    return [
        scorer if scorer.request(item) is None else Unscored()
        for item, scorer in zip(benchmark.items, scorers, strict=True)
    ]


def _make_scorers(names: Sequence[str], options: Mapping[str, Any], benchmark: str) -> dict[str, Scorer]:
    """Return scorers by name; each takes the options that it has."""
    if len(names) == 1:
        return {names[0]: make_scorer(names[0], options)}
    accepted = {name: options.keys() & _options_of(_scorer_class(name)) for name in names}
    for option in options:
        if not any(option in taken for taken in accepted.values()):
            raise UserError(
                f"benchmark {benchmark!r}: no scorer of its items ({', '.join(names)}) has an option {option!r}."
            )
    return {name: make_scorer(name, {option: options[option] for option in taken}) for name, taken in accepted.items()}


def make_scorer(name: str, options: Mapping[str, Any] | None = None) -> Scorer:
    """Return a scorer with its options.

    Raises
    ------
    UserError
        If the name or an option is unknown (with the nearest known one), or a value is of the wrong kind.
    """
    kind = _scorer_class(name)
    known = _options_of(kind)
    for option in options or {}:
        if option not in known:
            raise no_such(f"the scorer {name!r} has no option", option, known)
    try:
        scorer: Scorer = TypeAdapter(kind).validate_python(dict(options or {}))
    except ValidationError as error:
        first = error.errors()[0]
        what = (
            f"the option {'.'.join(map(str, first['loc']))!r} = {first['input']!r}" if first["loc"] else "its options"
        )
        raise UserError(f"the scorer {name!r} rejects {what}: {first['msg'].removeprefix('Value error, ')}.") from error
    except PydanticUserError as error:
        raise UserError(f"the types of the scorer {name!r}'s options cannot be read: {error}") from error
    return scorer


def _scorer_class(name: str) -> Any:
    """Return the class of a scorer; raises UserError if there is none of this name, or it is invalid."""
    if name not in SCORERS:
        raise no_such("there is no scorer", name, SCORERS)
    kind = SCORERS[name]
    check_scorer(name, kind)
    return kind


def _options_of(kind: Any) -> list[str]:
    """Return the names of a scorer's options."""
    return [field.name for field in dataclasses.fields(kind)]


def check_scorer(name: str, kind: Any) -> None:
    """Raise UserError if the value registered under a name is not a scorer of that name."""
    if not (isinstance(kind, type) and issubclass(kind, Scorer) and dataclasses.is_dataclass(kind)):
        raise UserError(
            f"the scorer {name!r} is not a frozen dataclass that extends competency_gaps.Scorer (the decorator that "
            "registers it stands above @dataclass)."
        )
    if getattr(kind, "name", None) != name:
        raise UserError(f"the scorer of {name!r} has the name {getattr(kind, 'name', None)!r}: use one name.")


def load_benchmark(config: BenchmarkConfig) -> Benchmark:
    """Return one benchmark, read from its sources and checked.

    Raises
    ------
    UserError
        If a source cannot be read, a record is wrong, or no item is left.
    """
    if config.source is not None:
        read = _read(config, config.source)
        return replace(read, items=_chosen(read.items, config))
    items: list[Item] = []
    left_out: list[LeftOut] = []
    reports: list[SourceReport] = []
    for number, source in enumerate(config.sources):
        part = _read(config, source)
        # Ids are unique only within a source; items without a group take the source's name.
        items += [replace(i, id=f"{number}:{i.id}", group=i.group or _source_name(source)) for i in part.items]
        left_out += part.left_out
        reports += part.reports
    return Benchmark(config.name, _chosen(tuple(items), config), tuple(left_out), tuple(reports))


def _read(config: BenchmarkConfig, source: Any) -> Benchmark:
    """Return the items of one source, checked."""
    where = f"benchmark {config.name!r} ({_source_name(source)})"
    entries = _from_plugin(source, where) if isinstance(source, PluginSource) else SOURCES[source.kind](source)
    # A plug-in may have a setting of its own that is called 'fields'.
    fields = {} if isinstance(source, PluginSource) else getattr(source, "fields", {})
    return gather(entries, config.name, source=where, fields=fields, scorer=config.scorer)


def _from_plugin(source: PluginSource, where: str) -> Iterator[Any]:
    """Yield the items of a plug-in's source; its errors become UserError and name the source."""
    if source.kind not in SOURCES:
        raise no_such(f"{where}: no installed package has a source", source.kind, SOURCES)
    read = SOURCES[source.kind]
    with contextlib.suppress(PydanticUserError):  # an annotation that only type checkers can resolve
        read = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(read)
    try:
        yield from read(**(source.model_extra or {}))
    except UserError:
        raise
    except Exception as error:  # settings that do not fit, or whatever a plug-in's code raises
        raise UserError(f"{where}: the source {source.kind!r} failed: {type(error).__name__}: {error}.") from error


def load_suite(configs: Sequence[BenchmarkConfig], progress: Progress) -> dict[str, Benchmark]:
    """Return several benchmarks, read and checked.

    Returns
    -------
    dict[str, Benchmark]
        By name, in the order of ``configs``.

    Raises
    ------
    UserError
        If a benchmark is wrong; families and difficulties are checked before any task is generated.
    """
    # Importing reasoning-gym here keeps its placeholders for absent packages (items/generate.py) away from imports in
    # other threads.
    for source in (source for config in configs for source in config.all_sources):
        if isinstance(source, ReasoningGymSource):
            make_dataset(source.family, source.difficulty, seed=source.seed, size=source.size)
    loaded: dict[str, Benchmark] = {}
    with progress.stage("loading benchmarks", total=len(configs), unit="benchmarks") as bar:
        for config in configs:
            bar.note(config.name)
            loaded[config.name] = load_benchmark(config)
            bar.advance()
    return loaded


def _chosen(items: tuple[Item, ...], config: BenchmarkConfig) -> tuple[Item, ...]:
    """Return the first ``limit`` items or, if ``sample`` is smaller, that many of these at even intervals."""
    items, size = items[: config.limit], config.sample
    return items if size is None or size >= len(items) else tuple(items[i * len(items) // size] for i in range(size))


def _source_name(source: Any) -> str:
    """Return a source's name for messages and groups."""
    if source.kind == "objects":
        return "Python objects"
    if source.kind == "reasoning_gym":
        return str(source.family)
    return str(getattr(source, "path", source.kind))
