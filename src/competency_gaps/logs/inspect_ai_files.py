"""Inspect's log files: the head of one, and its samples one at a time.

``.eval`` is a zip whose members are JSON, ``.json`` one JSON object; both give the same mappings here. Neither is ever
in memory as a whole, since a log holds every event of every sample and grows to gigabytes. A sample of an ``.eval`` is
read from its member, as Inspect's own reader does; that reader opens the file anew for each sample, which costs 50
times as long on a log of 2,000 samples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, NamedTuple
from zipfile import BadZipFile, ZipFile

from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.logs.lines import CUT_OFF

NEWEST_VERSION = 2
"""Inspect's number of the log's form that is known here (``LOG_SCHEMA_VERSION`` of 0.3.285)."""

_HEAD_KEYS = frozenset({"version", "status", "eval", "plan", "results", "stats", "error", "invalidated", "tags"})
_CHUNK = 1 << 16


class Sample(NamedTuple):
    """One sample of a log."""

    where: str
    """File and place, for messages."""
    value: dict[str, Any]
    """As Inspect wrote it; empty if there is a fault."""
    fault: str | None = None
    """Why it cannot be read; null if it can."""


class Unreadable(UserError):
    """The file is a log of Inspect's in name only."""


def read_head(path: Path) -> dict[str, Any] | None:
    """All that stands before the samples: ``version``, ``status``, ``eval``, ``results`` and so on.

    Returns
    -------
    dict or None
        Null if a JSON file is no log of Inspect's. Without a ``status`` the tool was stopped before it had one.

    Raises
    ------
    UserError
        If an ``.eval`` file is damaged, or the log is newer than what is known here.
    MissingExtraError
        If an ``.eval`` file's compression (zstd) cannot be read.
    """
    head = _zip_head(path) if path.suffix == ".eval" else _json_head(path)
    if head is None or not isinstance(head.get("eval"), dict) or "task" not in head["eval"]:
        return None
    version = head.get("version")
    if isinstance(version, int) and version > NEWEST_VERSION:
        raise Unreadable(f"{path} has version {version} of Inspect's log form; known is {NEWEST_VERSION}.")
    return head


def samples(path: Path) -> Iterator[Sample]:
    """Every sample, in the file's order, each (id, epoch) once."""
    yield from _zip_samples(path) if path.suffix == ".eval" else _json_samples(path)


def _open_zip(path: Path) -> ZipFile:
    # Before Python 3.14 the standard library reads no zstd; this package, which Inspect brings, teaches it.
    if find_spec("zipfile_zstd") is not None:
        import_module("zipfile_zstd")
    try:
        return ZipFile(path)
    except BadZipFile as error:
        raise Unreadable(f"{path} is no complete .eval file: {error}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _member(archive: ZipFile, name: str) -> Any:
    try:
        raw = archive.read(name)
    except NotImplementedError as error:
        raise MissingExtraError("zipfile-zstd", "inspect", "reading Inspect's .eval logs") from error
    return json.loads(raw)


def _zip_head(path: Path) -> dict[str, Any] | None:
    with _open_zip(path) as archive:
        names = set(archive.namelist())
        # The header is written last; of an evaluation that was stopped only the journal is there.
        for name in ("header.json", "_journal/start.json"):
            if name in names:
                try:
                    head = _member(archive, name)
                except (ValueError, BadZipFile) as error:
                    raise Unreadable(f"{path}: {name} is damaged: {error}.") from error
                return head if isinstance(head, dict) else None
    raise Unreadable(f"{path} is a zip without Inspect's header.json.")


def _zip_samples(path: Path) -> Iterator[Sample]:
    with _open_zip(path) as archive:
        # A sample that was run again is there twice under one name, of which the last counts.
        for name in dict.fromkeys(archive.namelist()):
            if not (name.startswith("samples/") and name.endswith(".json")):
                continue
            where = f"{path.name}, {name}"
            try:
                value = _member(archive, name)
            except (ValueError, RecursionError, BadZipFile) as error:
                yield Sample(where, {}, f"the sample cannot be read ({type(error).__name__})")
                continue
            yield Sample(where, value) if isinstance(value, dict) else Sample(where, {}, "the sample is no JSON object")


def _json_head(path: Path) -> dict[str, Any] | None:
    head: dict[str, Any] = {}
    with _open_text(path) as file:
        stream = _JsonStream(file)
        try:
            for key in stream.keys_of_object():
                if key == "samples":
                    break
                if not head and key not in _HEAD_KEYS:
                    return None
                head[key] = stream.value()
        except (_Cut, RecursionError):
            return head if isinstance(head.get("eval"), dict) else None
    return head


def _json_samples(path: Path) -> Iterator[Sample]:
    number = 0
    with _open_text(path) as file:
        stream = _JsonStream(file)
        try:
            for key in stream.keys_of_object():
                if key != "samples":
                    stream.value()
                    continue
                for number, value in enumerate(stream.items_of_array(), start=1):
                    where = f"{path.name}, sample {number}"
                    fine = isinstance(value, dict)
                    yield Sample(where, value) if fine else Sample(where, {}, "the sample is no JSON object")
                return
        except (_Cut, RecursionError):
            yield Sample(f"{path.name}, sample {number + 1}", {}, CUT_OFF)


def _open_text(path: Path) -> IO[str]:
    try:
        return path.open(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


class _Cut(Exception):
    """The text ends, or is no JSON, where a value should stand."""


class _JsonStream:
    """Reads a JSON text value by value; only the value at hand is in memory."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._ended = False
        self._decoder = json.JSONDecoder()

    def keys_of_object(self) -> Iterator[str]:
        """The keys of the object that begins here; the caller reads each value before the next key."""
        self._expect("{")
        while self._peek() != "}":
            key = self.value()
            if not isinstance(key, str):
                raise _Cut
            self._expect(":")
            yield key
            if self._peek() == ",":
                self._expect(",")

    def items_of_array(self) -> Iterator[Any]:
        """The values of the array that begins here; none if a null stands in its place."""
        if self._peek() != "[":
            if self.value() is not None:
                raise _Cut
            return
        self._expect("[")
        while self._peek() != "]":
            yield self.value()
            if self._peek() == ",":
                self._expect(",")
        self._expect("]")

    def value(self) -> Any:
        """The value that begins here."""
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except ValueError as error:
                # Half a value looks like a wrong one: only at the end of the file is it certain.
                if self._ended:
                    raise _Cut from error
                self._more()
                continue
            # A number may go on behind what has been read.
            if end < len(self._text) or self._ended:
                self._at = end
                return value
            self._more()

    def _peek(self) -> str:
        """The next character that is no white space."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                raise _Cut
            self._more()

    def _expect(self, sign: str) -> None:
        if self._peek() != sign:
            raise _Cut
        self._at += 1

    def _more(self) -> None:
        """Read on, each time at least as much as is held, so that a long value is not tried too often."""
        rest = self._text[self._at :]
        chunk = self._file.read(max(_CHUNK, len(rest)))
        self._ended = not chunk
        self._text, self._at = rest + chunk, 0
