"""Read foreign JSON: lines, so that each reader decides what a bad one means; files, and values of any shape."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from competency_gaps.util.errors import UserError


class JsonLine(NamedTuple):
    """A line of a JSON Lines file."""

    number: int
    """Counted from 1."""
    value: Any
    """The object; with the fault ``object`` another JSON value; else None."""
    fault: Literal["encoding", "json", "object"] | None
    """Why the line has no object: it is not UTF-8, not JSON, or another JSON value; None if it has one."""
    message: str
    """The fault in words; empty if there is none."""
    complete: bool
    """Whether the line ends with a line feed; only the last line may lack it."""


def json_lines(file: Iterable[bytes]) -> Iterator[JsonLine]:
    r"""Yield the parsed lines of a file opened in binary mode, except blank ones.

    Only "\n" ends a line: texts may contain U+2028 and its like. ``NaN`` and ``Infinity`` are read as in Python.
    """
    for number, raw in enumerate(file, start=1):
        if raw.strip():
            yield json_line(raw, number)


def json_line(raw: bytes, number: int) -> JsonLine:
    """Return one parsed line; the first may begin with a byte order mark."""
    complete = raw.endswith(b"\n")
    try:
        value = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        return JsonLine(number, None, "encoding", f"not UTF-8 ({error})", complete)
    except (ValueError, RecursionError) as error:
        return JsonLine(number, None, "json", f"not JSON ({error})", complete)
    if not isinstance(value, dict):
        return JsonLine(number, value, "object", f"a {type(value).__name__}, not an object", complete)
    return JsonLine(number, value, None, "", complete)


def first_object(path: Path) -> dict[str, Any]:
    """Return the first object of a JSON Lines file; empty if there is none or the file cannot be read."""
    try:
        with path.open("rb") as file:
            return next((mapping(line.value) for line in json_lines(file)), {})
    except OSError:
        return {}


def json_file(path: Path) -> Any:
    """Return the content of a JSON file.

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
        raise UserError(f"{path} is not JSON ({error}); the tool may have been stopped while writing.") from error


def files_under(path: Path, *patterns: str) -> list[Path]:
    """Return the file itself if its name fits a pattern, or all such files in a folder and its subfolders, sorted.

    Hidden files and folders belong to other programs and are skipped.
    """
    if path.is_file():
        return [path] if any(path.match(pattern) for pattern in patterns) else []
    matches = {child for pattern in patterns for child in path.rglob(pattern)}
    hidden = {child for child in matches if any(part.startswith(".") for part in child.relative_to(path).parts)}
    return sorted(child for child in matches - hidden if child.is_file())


def mapping(value: Any) -> dict[str, Any]:
    """Return the value if it is a JSON object, else an empty dict."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """Return the value if it is a JSON array, else an empty list."""
    return value if isinstance(value, list) else []


def text_or_none(value: Any) -> str | None:
    """Return the value if it is a text, else None."""
    return value if isinstance(value, str) else None


def number_or_none(value: Any) -> float | None:
    """Return the value as a float if it is a finite number or a truth value, else None."""
    number = float_or_none(value) if isinstance(value, (int, float)) else None
    return number if number is not None and math.isfinite(number) else None


def float_or_none(value: Any) -> float | None:
    """Return a number, or a text with one, as a float, NaN and infinity too; None for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
