"""Whose logs lie at a path."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

from competency_gaps.errors import UserError, argument, nearest
from competency_gaps.harnesses.shared.part import LogPart
from competency_gaps.items.remark import Remark
from competency_gaps.registry import LOGS


def find_parts(path: Path, format_: str | None = None) -> list[LogPart]:
    """Every benchmark of another tool's output in a file or folder.

    Parameters
    ----------
    format_
        Search for this format alone; None: for all.

    Returns
    -------
    list of LogPart
        Each with a name of its own: where two have one name, the model and then the time are put behind it, and a
        note says so.

    Raises
    ------
    UserError
        If the path does not exist or nothing can be read there.
    """
    path = path.expanduser()
    if not path.exists():
        siblings = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"the log {path} does not exist.{nearest(path.name, siblings)}")
    parts = LOGS[format_].find(path) if format_ is not None else _of_all_formats(path)
    if not parts:
        raise UserError(_nothing(path, format_))
    return _unique_names(parts)


def _of_all_formats(path: Path) -> list[LogPart]:
    """Parts of every format; what one format cannot read is named in the notes if another finds something."""
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


def _nothing(path: Path, format_: str | None) -> str:
    from competency_gaps.harnesses.lm_eval.log_files import results_without_samples

    if format_ in (None, "lm_eval") and results_without_samples(path):
        return (
            f"{path} holds results of lm-eval, but no samples: these are averages, not items. "
            "Run lm-eval again with --log_samples."
        )
    wanted = list(LOGS) if format_ is None else [format_]
    looked_for = "; ".join(LOGS[name].looked_for for name in wanted)
    return (
        f"{path} holds no log that can be read. Looked for {looked_for}. For any other "
        f"CSV, JSONL or Parquet file with prompts and scores give {argument('format')} 'table', and map its columns "
        f"with {argument('fields')}."
    )


def _unique_names(parts: list[LogPart]) -> list[LogPart]:
    """Put the model, the time or the format, where they tell apart, or a number behind names that several share."""
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
        unique.append(replace(part, benchmark=final, notes=notes))
    return unique


def _short(part: LogPart, attribute: str) -> str | None:
    value = getattr(part, attribute)
    return str(value).rstrip("/").rsplit("/", 1)[-1] if value else None
