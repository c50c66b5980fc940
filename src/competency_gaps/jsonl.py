"""Read JSON Lines, so that each reader decides what a bad line means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple


class JsonLine(NamedTuple):
    """A line of a JSON Lines file."""

    number: int
    """From 1."""
    value: Any
    """The object; with the fault ``object``: another JSON value; else None."""
    fault: Literal["encoding", "json", "object"] | None
    """Why the line holds no object: it is not UTF-8, not JSON, or another JSON value; None: it holds one."""
    message: str
    """The fault in words; empty without one."""
    complete: bool
    """Whether the line ends with a line feed; only the last line may lack it."""


def json_lines(file: Iterable[bytes]) -> Iterator[JsonLine]:
    r"""Parse the lines of a file opened in binary mode; blank lines are skipped.

    Only "\n" ends a line: texts may hold U+2028 and its like. ``NaN`` and ``Infinity`` are read as Python's.
    """
    for number, raw in enumerate(file, start=1):
        if raw.strip():
            yield json_line(raw, number)


def json_line(raw: bytes, number: int) -> JsonLine:
    """Parse one line; the first may begin with a byte order mark."""
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
