"""Find other tools' logs at a path, as benchmarks of a configuration, and read the entries of a log or table."""

from __future__ import annotations

import functools
import itertools
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.items.config import LogSource
from competency_gaps.items.item import Item, Reason
from competency_gaps.items.records import field_mapping, is_further, named_path
from competency_gaps.items.registry import LOGS
from competency_gaps.logs.reader import NONE, LogEntry, LogPart, refuse_options
from competency_gaps.logs.table import tables_at
from competency_gaps.util.errors import UserError, argument, nearest, no_such
from competency_gaps.util.text import listing

_TABLES = (".csv", ".tsv", ".parquet")
"""Suffixes of files that are always tables, never a tool's log."""


class _NamedLog(NamedTuple):
    """One benchmark of one model in a log."""

    part: LogPart
    name: str
    """Name of the benchmark; logs of several models on the same items share it."""
    entry: dict[str, Any]
    """Its configuration as a separate benchmark, with a name that is unique at its path."""


class SuiteLogs(NamedTuple):
    """Logs as the benchmarks of one run, and as scores of further models on their items."""

    benchmarks: list[dict[str, Any]]
    """Configurations, as :class:`~competency_gaps.items.config.BenchmarkConfig` reads them."""
    scores: list[dict[str, Any]]
    """Configurations, as :class:`~competency_gaps.items.config.ScoresConfig` reads them."""
    models: dict[str, list[str]]
    """All models with a log, by benchmark with scores of further models; the items come from the first model's log."""


def log_entries(
    logs: Sequence[str], *, metric: str | None = None, scorer: str | None = None, fields: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return a configuration of each benchmark at the paths.

    Parameters
    ----------
    logs
        ``PATH`` or ``NAME=PATH``; a folder stands for every benchmark in it.
    metric, scorer
        The metric and the scorer (for lm-eval: filter) to read; None: the format's default. The metric ``none`` takes
        items without scores.
    fields
        ``OURS=COLUMN``. For logs of lm-eval, Inspect and every_eval_ever: cluster, group and covariates; any
        other field makes the log a table.

    Returns
    -------
    list of dict
        As :class:`~competency_gaps.items.config.BenchmarkConfig` reads them.

    Raises
    ------
    UserError
        If nothing can be read at a path, or an option fits none of the logs.
    """
    return [log.entry for log in _named_logs(logs, {"metric": metric, "scorer": scorer}, fields)]


def suite_logs(
    logs: Sequence[str], *, metric: str | None = None, scorer: str | None = None, fields: Sequence[str] = ()
) -> SuiteLogs:
    """Return each benchmark at the paths once, with logs of further models as scores on its items.

    Logs belong to one benchmark if it has the same name and each log names another model. The run's own scores are
    those of one model: the one with the most benchmarks, the first of several. If this model was not evaluated on one
    of the benchmarks, the items are read without scores and all models' scores are added to them. The same holds for
    tables of one benchmark that name no model: each is then a model named after its file.

    Parameters
    ----------
    logs, metric, scorer, fields
        As in :func:`log_entries`.

    Raises
    ------
    UserError
        As :func:`log_entries`.
    """
    by_name: dict[str, list[_NamedLog]] = {}
    for log in _named_logs(logs, {"metric": metric, "scorer": scorer}, fields):
        by_name.setdefault(log.name, []).append(log)
    _join_tables(by_name)
    named = {name: {log.part.model for log in same_name} - {None} for name, same_name in by_name.items()}
    shared = {name for name, same_name in by_name.items() if len(named[name]) == len(same_name) > 1}
    models = [log.part.model for same_name in by_name.values() for log in same_name if log.part.model is not None]
    most_common = Counter(models).most_common(1)[0][0] if models else None
    suite = SuiteLogs([], [], {})
    for name, same_name in by_name.items():
        if not shared or (name not in shared and len(same_name) > 1):
            suite.benchmarks.extend(log.entry for log in same_name)
            continue
        same_name.sort(key=lambda log: log.part.model != most_common)
        first, *others = same_name
        source = first.entry["source"]
        unnamed = first.part.format == "table" and bool(others)
        if first.part.model is not None and (first.part.model != most_common or unnamed) and metric != NONE:
            source, others = {**source, "metric": NONE}, [first, *others]
        suite.benchmarks.append({"name": name, "source": source})
        if others:
            suite.models[name] = [str(log.part.model) for log in same_name]
        if metric != NONE:
            suite.scores.extend(_scores_entry(log, name) for log in others)
    if metric != NONE:
        suite.scores.extend(_score_tables([named_path(text)[1] for text in logs], by_name))
    return suite


def _score_tables(paths: Sequence[Path], by_name: Mapping[str, Sequence[_NamedLog]]) -> Iterator[dict[str, Any]]:
    """Yield configurations of scores of models in tables, beside the prompts or in a table without prompts."""
    tables = {log.part.files[0] for logs in by_name.values() for log in logs if log.part.format == "table"}
    for name, logs in by_name.items():
        for log in logs:
            table = log.part.details.get("table")
            if table is not None and table.models:
                yield {"path": str(table.path), "benchmark": name, "models": list(table.models)}
    for path in paths:
        if path.is_dir() and any(file.parent == path for file in tables):
            yield from ({"path": str(table.path)} for table in tables_at(path) if not table.has_prompts)


def _join_tables(by_name: dict[str, list[_NamedLog]]) -> None:
    """Merge, in place, tables that share half of their prompts; name the models of merged tables after their files."""
    tables = {name: logs for name, logs in by_name.items() if all(log.part.format == "table" for log in logs)}
    asked = {}
    for name, (log, *_) in tables.items() if len(tables) > 1 else ():
        read = read_log(LogSource(**log.entry["source"]))
        asked[name] = {entry.prompt for entry in read if isinstance(entry, Item)}
    for name, other in itertools.combinations(asked, 2):
        common, sizes = asked[name] & asked[other], (len(asked[name]), len(asked[other]))
        if tables.keys() >= {name, other} and 2 * len(common) >= max(1, *sizes):
            tables[name] += tables.pop(other)
            del by_name[other]
    for logs in tables.values():
        root = os.path.commonpath([log.part.files[0].resolve().parent for log in logs])
        for number, log in enumerate(logs) if len(logs) > 1 else ():
            model = str(log.part.files[0].resolve().relative_to(root).with_suffix(""))
            logs[number] = log._replace(part=replace(log.part, model=model))


def _scores_entry(log: _NamedLog, benchmark: str) -> dict[str, Any]:
    """Return the configuration of a log as scores on a benchmark's items."""
    source = {**log.entry["source"], "benchmark": benchmark}
    if log.part.format == "table":
        return {**source, "model": log.part.model}
    source.pop("fields", None)
    return {**source, "part": log.part.benchmark}


def _named_logs(logs: Sequence[str], options: Mapping[str, str | None], fields: Sequence[str]) -> list[_NamedLog]:
    """Return every log at the paths; UserError if ``scorer`` applies to none."""
    mapping = field_mapping(fields)
    named = [log for text in logs for log in _logs_at(text, mapping, options)]
    if options["scorer"] is not None and not any("scorer" in log.entry["source"] for log in named):
        raise UserError(f"{argument('scorer')} does not apply to any of the logs. Leave it out.")
    return named


def _logs_at(text: str, mapping: Mapping[str, str], options: Mapping[str, str | None]) -> list[_NamedLog]:
    """Return the logs at one ``PATH`` or ``NAME=PATH``, each with its name and configuration."""
    name, path = named_path(text)
    if not all(map(is_further, mapping)):  # only a table has the other fields in columns
        parts = [LogPart("table", path.stem, (path,), task=path.stem)]
    elif path.suffix in _TABLES and path.is_file():
        parts = LOGS["table"].find(path) or [LogPart("table", path.stem, (path,))]
        parts = [replace(part, task=part.benchmark) for part in parts]
    else:
        parts = find_parts(path)
    tasks = {part.task for part in parts}
    named = []
    for part in parts:
        understood = LOGS[part.format].options
        source: dict[str, Any] = {"kind": "log", "path": str(path), "format": part.format}
        source |= {
            option: value
            for option, value in options.items()
            if value is not None and (option in understood or option == "metric")
        }
        if mapping:
            source["fields"] = dict(mapping)
        if part.format == "table":
            source["path"] = str(part.files[0])
            if not getattr(part.details.get("table"), "is_scored", True):
                source["metric"] = NONE
        elif len(parts) > 1:
            source["benchmark"] = part.benchmark
        called = part.benchmark if name is None else name if len(parts) == 1 else f"{name}:{part.benchmark}"
        shared = part.task if name is None else name if len(tasks) == 1 else f"{name}:{part.task}"
        named.append(_NamedLog(part, shared, {"name": called, "source": source}))
    return named


def read_log(source: LogSource) -> Iterator[LogEntry]:
    """Yield the entries of the benchmark that a source names, or of the only one at its path.

    Raises
    ------
    UserError
        If nothing can be read there, the benchmark, a metric, filter, scorer or column does not exist, or several
        benchmarks exist and none is named.
    """
    if source.format == "table":  # whatever its columns are called
        part = LogPart("table", source.path.stem, (source.path,))
    else:
        part = _chosen(find_parts(source.path, source.format), source)
    reader = LOGS[part.format]
    refuse_options(source, part.format, reader.options)
    yield from reader.read(part, source)


def _chosen(parts: Sequence[LogPart], source: LogSource) -> LogPart:
    """Return the part that the source names, or the only part."""
    names = [part.benchmark for part in parts]
    if source.benchmark is None:
        if len(parts) > 1:
            listed = listing(names, len(names), 20)
            raise UserError(f"{source.path} has {len(parts)} benchmarks ({listed}). Name one with 'benchmark'.")
        return parts[0]
    if source.benchmark not in names:
        raise no_such(f"{source.path} has no benchmark", source.benchmark, names)
    return parts[names.index(source.benchmark)]


def find_parts(path: Path, log_format: str | None = None) -> list[LogPart]:
    """Return every benchmark of other tools' logs in a file or folder.

    A path is searched once, until a file in it or beside it changes.

    Parameters
    ----------
    log_format
        Return the parts of this format; None: of all formats.

    Returns
    -------
    list of LogPart
        Each with a name that is unique among all formats at the path: to a name that several share, the model and
        then the time are appended, and a note says so.

    Raises
    ------
    UserError
        If the path does not exist or nothing can be read there.
    """
    path = path.expanduser()
    if not path.exists():
        siblings = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"the log {path} does not exist.{nearest(path.name, siblings)}")
    files = path.rglob("*") if path.is_dir() else path.parent.glob("*")
    stats = ((str(file), file.stat()) for file in sorted(files) if file.is_file())
    names = ("table",) if log_format == "table" else tuple(LOGS)
    parts = _search(path, names, tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats))
    parts = [part for part in parts if log_format in (None, part.format)]
    if not parts:
        raise UserError(_nothing_at(path, log_format))
    return parts


@functools.lru_cache(maxsize=8)
def _search(path: Path, names: tuple[str, ...], _state: tuple[tuple[str, int, int], ...]) -> Sequence[LogPart]:
    """Return the parts of several formats; files that some format cannot read become notes if other parts exist.

    ``_state`` (name, time and size of each file) is part of the cache's key alone.
    """
    parts: list[LogPart] = []
    faults: list[UserError] = []
    for name in names:
        if name == "table" and (parts or faults):  # a tool's own file, such as garak's hit log, has like columns
            continue
        try:
            reader = LOGS[name]
        except UserError as error:  # a plug-in that is broken hides no log of another tool
            logging.getLogger(__name__).warning(str(error))
            continue
        try:
            parts += reader.find(path)
        except UserError as error:
            faults.append(error)
    if faults and not parts:
        raise faults[0]
    notes = tuple(Reason("unreadable_log", f"a log was not read: {error!s}") for error in faults)
    return _unique_names([replace(part, notes=(*part.notes, *notes)) for part in parts])


def _nothing_at(path: Path, log_format: str | None) -> str:
    """Return the message for a path without a log."""
    from competency_gaps.logs.lm_eval import results_without_samples

    if log_format in (None, "lm_eval") and results_without_samples(path):
        return f"{path} has lm-eval results but no samples, so no items. Run lm-eval again with --log_samples."
    looked_for = "; ".join(LOGS[name].looked_for for name in (LOGS if log_format is None else [log_format]))
    return (
        f"{path} has no readable log. Any table (CSV, JSONL, Parquet) with prompts and scores can be: name "
        f"its columns with {argument('fields')} prompt=COLUMN and {argument('fields')} score=COLUMN. Known are: "
        f"{looked_for}."
    )


def _unique_names(parts: list[LogPart]) -> list[LogPart]:
    """Return the parts with unique names: to shared ones the model, time or format is appended, else a number."""
    named = [(part, part.benchmark) for part in parts]
    for addition in ("model", "stamp", "format"):
        values: dict[str, set[str | None]] = {}
        for part, name in named:
            values.setdefault(name, set()).add(_short(part, addition))
        named = [
            (part, f"{name}@{_short(part, addition) or 'unknown'}" if len(values[name]) > 1 else name)
            for part, name in named
        ]
    taken = Counter(name for _, name in named)
    numbers: Counter[str] = Counter()
    unique = []
    for part, name in named:
        numbers[name] += 1
        final = f"{name}#{numbers[name]}" if taken[name] > 1 else name
        note = Reason("same_name", f"several logs are named {part.benchmark!r}; this one is called {final!r}")
        notes = part.notes if final == part.benchmark else (*part.notes, note)
        unique.append(replace(part, benchmark=final, notes=notes, task=part.benchmark))
    return unique


def _short(part: LogPart, attribute: str) -> str | None:
    """Return the last component of an attribute such as ``org/model``, or None if it is empty."""
    value = getattr(part, attribute)
    return str(value).rstrip("/").rsplit("/", 1)[-1] if value else None
