"""JSON files of other tools, read so that one bad line costs one record and is named."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.errors import UserError
from competency_gaps.items.remark import Remark
from competency_gaps.jsonl import json_lines

OUTSIDE = Remark("score_outside")


class Line(NamedTuple):
    """One line of a JSONL file."""

    where: str
    """File and line, for messages."""
    value: dict[str, Any]
    """The object; empty if there is a fault."""
    fault: Remark | None
    """Why the line cannot be read; None if it can."""


def log_lines(path: Path) -> Iterator[Line]:
    """The lines of a tool's JSONL file, each an object or with a fault.

    Raises
    ------
    UserError
        If the file does not exist or cannot be opened.
    """
    try:
        with path.open("rb") as file:
            for line in json_lines(file):
                # Only the last line can be incomplete; half a line does not prove a wrong file.
                incomplete = line.fault != "object" and not line.complete
                fault = None if line.fault is None else Remark("line_cut" if incomplete else "line_no_object")
                yield Line(f"{path.name}, line {line.number}", line.value if fault is None else {}, fault)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def first_object(path: Path) -> dict[str, Any] | None:
    """The first object of a JSONL file; None if its first line is none or the file cannot be read."""
    try:
        line = next(log_lines(path), None)
    except UserError:
        return None
    return line.value if line is not None and line.fault is None else None


def json_file(path: Path) -> Any:
    """The content of a JSON file.

    Raises
    ------
    UserError
        If it cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON ({error}); the tool may have been stopped while it wrote.") from error


def files_under(path: Path, *patterns: str) -> list[Path]:
    """The file itself if its name fits a pattern, or all such files in a folder and below it, by name.

    Names that begin with a dot are other programs' own and are passed over.
    """
    if path.is_file():
        return [path] if any(path.match(pattern) for pattern in patterns) else []
    matches = {child for pattern in patterns for child in path.rglob(pattern)}
    return sorted(child for child in matches if child.is_file() and not _hidden(child.relative_to(path)))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


class LoggedScore(NamedTuple):
    """A score as a tool wrote it."""

    value: float | None
    """In [0, 1]; None = unscored."""
    reason: Remark | None
    """Why it is unscored; None if it is scored."""


def score_in_unit(value: Any) -> LoggedScore:
    """A tool's number (or truth value) as a score: what is no number in [0, 1] is unscored, never 0."""
    if value is None:
        return LoggedScore(None, Remark("no_score"))
    if not isinstance(value, (bool, int, float)):
        return LoggedScore(None, Remark("score_no_number", quotes=(type(value).__name__,)))
    try:
        number = float(value)
    except OverflowError:
        return LoggedScore(None, OUTSIDE)
    if math.isnan(number):
        return LoggedScore(None, Remark("score_nan"))
    if not 0 <= number <= 1:
        return LoggedScore(None, OUTSIDE)
    return LoggedScore(number, None)
