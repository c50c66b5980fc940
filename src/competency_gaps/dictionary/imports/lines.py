"""Records of JSONL files, plain or gzipped; what is damaged is counted, not fatal."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from competency_gaps.dictionary.imports.reading import Reading, shown
from competency_gaps.errors import UserError
from competency_gaps.jsonl import json_line
from competency_gaps.text import shorten, visible

LONGEST = 16 * 2**20
"""Longest line that is read, in bytes; also the largest delphi file. Bounds what a hostile file can ask of memory."""


def json_lines(path: Path, reading: Reading) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file (``.gz``: gzipped) with the line they stand on.

    Lines end at "\\n" alone, since texts may hold U+2028 and its like. Damaged lines, and the rest of a damaged gzip
    file, are left out and counted.
    """
    for number, raw in _lines(path, reading):
        place = f"line {number:,}"
        if raw is None:
            reading.leave_out(path.name, f"line longer than {LONGEST // 2**20} MB", place)
            continue
        if not raw.strip():
            continue
        line = json_line(raw, number)
        if line.fault is None:
            yield place, line.value
        elif line.fault == "object":
            reading.leave_out(path.name, "line is no JSON object", f"{place}: {shown(line.value)}")
        else:
            reading.leave_out(path.name, "line is not JSON", place)


def parse_json(text: str) -> Any:
    """Parse foreign JSON.

    Raises
    ------
    ValueError
        If it is none, or is nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_text(path: Path) -> str:
    """A whole file as text.

    Raises
    ------
    UserError
        If it is missing or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({error}). Convert the file.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {shorten(visible(str(error)), 200)}") from error


def _lines(path: Path, reading: Reading) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their numbers; null for one that is too long."""
    number = 0
    with _open(path) as handle:
        try:
            while line := handle.readline(LONGEST + 1):
                number += 1
                if len(line) <= LONGEST:
                    yield number, line
                    continue
                while line and not line.endswith(b"\n"):
                    line = handle.readline(LONGEST)
                yield number, None
        except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
            reading.leave_out(
                path.name, "file is damaged; what comes after is lost", f"after line {number:,}: {_brief(error)}"
            )


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _brief(error: BaseException) -> str:
    return shorten(visible(str(error)), 100)
