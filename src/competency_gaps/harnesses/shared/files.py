"""JSON files of other tools, and the values in them: a fault costs one record, and is reported."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.errors import UserError
from competency_gaps.items.remark import Remark
from competency_gaps.jsonl import json_lines

OUTSIDE = Remark("score_outside")


class LogRecord(NamedTuple):
    """One record of a log."""

    where: str
    """File and place, for messages."""
    value: dict[str, Any]
    """The object; empty if there is a fault."""
    fault: Remark | None = None
    """Why the record cannot be read; None if it can."""


class LoggedScore(NamedTuple):
    """A score as a tool wrote it."""

    value: float | None
    """In [0, 1]; None = unscored."""
    reason: Remark | None = None
    """Why it is unscored; None if it is scored."""


def log_lines(path: Path) -> Iterator[LogRecord]:
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
                yield LogRecord(f"{path.name}, line {line.number}", line.value if fault is None else {}, fault)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def first_object(path: Path) -> dict[str, Any]:
    """The object on the first line of a JSONL file; empty if there is none or the file cannot be read."""
    try:
        return next((line.value for line in log_lines(path)), {})
    except UserError:
        return {}


def json_file(path: Path) -> Any:
    """The content of a JSON file.

    Raises
    ------
    UserError
        If it cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({error}); the tool may have been stopped while it wrote.") from error


def files_under(path: Path, *patterns: str) -> list[Path]:
    """The file itself if its name fits a pattern, or all such files in a folder and its subfolders, by name.

    Hidden files and folders belong to other programs and are skipped.
    """
    if path.is_file():
        return [path] if any(path.match(pattern) for pattern in patterns) else []
    matches = {child for pattern in patterns for child in path.rglob(pattern)}
    hidden = {child for child in matches if any(part.startswith(".") for part in child.relative_to(path).parts)}
    return sorted(child for child in matches - hidden if child.is_file())


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """The value if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def text_or_none(value: Any) -> str | None:
    """The value if it is a text, else None."""
    return value if isinstance(value, str) else None


def score_in_unit(value: Any) -> LoggedScore:
    """A tool's number (or truth value) as a score: anything but a number in [0, 1] is unscored, never 0."""
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
    return LoggedScore(number) if 0 <= number <= 1 else LoggedScore(None, OUTSIDE)


def mean_score(scores: Iterable[float | None]) -> float | None:
    """The mean of the repeats that have a score; None if none has."""
    scored = [score for score in scores if score is not None]
    return sum(scored) / len(scored) if scored else None
