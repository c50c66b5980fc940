"""The benchmarks of other tools' logs at a path, whatever their formats."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from competency_gaps.errors import UserError, argument, nearest
from competency_gaps.harnesses.shared.log import LogPart
from competency_gaps.items.remark import Remark
from competency_gaps.registry import LOGS


def find_parts(path: Path, format_: str | None = None) -> list[LogPart]:
    """Every benchmark of another tool's output in a file or folder.

    Parameters
    ----------
    format_
        Search for this format only; None: for all.

    Returns
    -------
    list of LogPart
        Each with a unique name: to a name that several share, the model and then the time are appended, and a note
        says so.

    Raises
    ------
    UserError
        If the path does not exist or nothing can be read there.
    """
    path = path.expanduser()
    if not path.exists():
        siblings = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"the log {path} does not exist.{nearest(path.name, siblings)}")
    parts = LOGS[format_].find(path) if format_ is not None else _parts_of_all_formats(path)
    if not parts:
        raise UserError(_nothing_at(path, format_))
    return _unique_names(parts)


def cached_parts(path: Path, format_: str | None) -> Sequence[LogPart]:
    """``find_parts``, once for all benchmarks of a folder as long as no file in it changes."""
    if not path.is_dir():
        return find_parts(path, format_)
    stats = ((str(file), file.stat()) for file in sorted(path.rglob("*")) if file.is_file())
    return _parts_of_folder(path, format_, tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats))


@functools.lru_cache(maxsize=4)
def _parts_of_folder(path: Path, format_: str | None, _state: tuple[tuple[str, int, int], ...]) -> tuple[LogPart, ...]:
    return tuple(find_parts(path, format_))


def _parts_of_all_formats(path: Path) -> list[LogPart]:
    """Parts of every format; if any is found, what other formats cannot read becomes a note."""
    parts: list[LogPart] = []
    faults: list[UserError] = []
    for name in LOGS:
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
    notes = tuple(Remark("unreadable_log", quotes=(str(error),)) for error in faults)
    return [replace(part, notes=(*part.notes, *notes)) for part in parts]


def _nothing_at(path: Path, format_: str | None) -> str:
    from competency_gaps.harnesses.lm_eval.log_files import results_without_samples

    if format_ in (None, "lm_eval") and results_without_samples(path):
        return (
            f"{path} holds results of lm-eval, but no samples: these are averages, not items. "
            "Run lm-eval again with --log_samples."
        )
    looked_for = "; ".join(LOGS[name].looked_for for name in (LOGS if format_ is None else [format_]))
    return (
        f"{path} holds no log that can be read. Looked for {looked_for}. For any other "
        f"CSV, JSONL or Parquet file with prompts and scores give {argument('format')} 'table', and map its columns "
        f"with {argument('fields')}."
    )


def _unique_names(parts: list[LogPart]) -> list[LogPart]:
    """Append the model, time or format, where they differ, or a number to names that several parts share."""
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
        note = Remark("same_name", quotes=(part.benchmark, final))
        notes = part.notes if final == part.benchmark else (*part.notes, note)
        unique.append(replace(part, benchmark=final, notes=notes, task=part.benchmark))
    return unique


def _short(part: LogPart, attribute: str) -> str | None:
    value = getattr(part, attribute)
    return str(value).rstrip("/").rsplit("/", 1)[-1] if value else None
