"""Inspect's log files: the head of one, and its samples one at a time.

``.eval`` is a zip whose members are JSON, ``.json`` one JSON object; both give the same mappings here. Neither is ever
in memory as a whole, since a log holds every event of every sample and grows to gigabytes. A sample of an ``.eval`` is
read from its member, as Inspect's own reader does; that reader opens the file anew for each sample, which costs 50
times as long on a log of 2,000 samples.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, NamedTuple
from zipfile import BadZipFile, ZipFile

from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.items.remark import Remark

NEWEST_VERSION = 2
"""Inspect's number of the log's form that is known here (``LOG_SCHEMA_VERSION`` of 0.3.285)."""

_HEAD_KEYS = frozenset({"version", "status", "eval", "plan", "results", "stats", "error", "invalidated", "tags"})
_CHUNK = 1 << 16
_LARGEST = 512 << 20
"""Bytes (or characters) of one JSON value; a larger one is not read, since a small zip can hold any size."""
_NEAR_END = 16
"""Characters at the end of what has been read that half a token may fill."""
NO_JSON = Remark("no_json")
TOO_LARGE = Remark("value_too_large", (_LARGEST >> 20,))
CUT = Remark("line_cut")


class Sample(NamedTuple):
    """One sample of a log."""

    where: str
    """File and place, for messages."""
    value: dict[str, Any]
    """As Inspect wrote it; empty if there is a fault."""
    fault: Remark | None = None
    """Why it cannot be read; None if it can."""


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
    except (BadZipFile, ValueError, NotImplementedError) as error:
        raise Unreadable(f"{path} is no complete .eval file: {error}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


class _Damaged(Exception):
    """A member of a zip that cannot be read."""

    def __init__(self, reason: Remark) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _member(archive: ZipFile, name: str) -> Any:
    """The content of a member.

    Raises
    ------
    _Damaged
        If it is no JSON, damaged, encrypted or too large.
    MissingExtraError
        If its compression (zstd) cannot be read.
    """
    if archive.getinfo(name).file_size > _LARGEST:
        raise _Damaged(TOO_LARGE)
    try:
        return json.loads(archive.read(name))
    except NotImplementedError as error:
        raise MissingExtraError("zipfile-zstd", "inspect", "reading Inspect's .eval logs") from error
    except _damage() as error:
        raise _Damaged(Remark("sample_lost", quotes=(type(error).__name__,))) from error
    except RuntimeError as error:
        raise _Damaged(Remark("sample_encrypted")) from error


def _damage() -> tuple[type[Exception], ...]:
    """What reading a damaged member raises."""
    zstd = (import_module("zstandard").ZstdError,) if find_spec("zstandard") is not None else ()
    return (ValueError, RecursionError, BadZipFile, EOFError, zlib.error, *zstd)


def _zip_head(path: Path) -> dict[str, Any] | None:
    with _open_zip(path) as archive:
        names = set(archive.namelist())
        # The header is written last; of an evaluation that was stopped only the journal is there.
        for name in ("header.json", "_journal/start.json"):
            if name in names:
                try:
                    head = _member(archive, name)
                except _Damaged as error:
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
            except _Damaged as error:
                yield Sample(where, {}, error.reason)
                continue
            yield _sample(where, value)


def _sample(where: str, value: Any) -> Sample:
    return Sample(where, value) if isinstance(value, dict) else Sample(where, {}, Remark("sample_no_object"))


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
                    yield _sample(where, value)
                return
        except (_Cut, RecursionError) as error:
            yield Sample(f"{path.name}, sample {number + 1}", {}, error.reason if isinstance(error, _Cut) else NO_JSON)


def _open_text(path: Path) -> IO[str]:
    try:
        return path.open(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


class _Cut(Exception):
    """The text ends, or is no JSON, where a value should stand; says which."""

    def __init__(self, reason: Remark = NO_JSON) -> None:
        super().__init__(str(reason))
        self.reason = reason


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
                # Half a value looks like a wrong one, but only where what has been read ends.
                if not self._may_go_on(error):
                    raise _Cut from error
                if self._ended:
                    raise _Cut(CUT) from error
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
                raise _Cut(CUT)
            self._more()

    def _may_go_on(self, error: ValueError) -> bool:
        """Whether more text could make a value of what is none yet."""
        if not isinstance(error, json.JSONDecodeError) or error.msg.startswith("Unterminated string"):
            return isinstance(error, json.JSONDecodeError)
        return error.pos >= len(self._text.rstrip()) - _NEAR_END

    def _expect(self, sign: str) -> None:
        if self._peek() != sign:
            raise _Cut
        self._at += 1

    def _more(self) -> None:
        """Read on, each time at least as much as is held, so that a long value is not tried too often."""
        rest = self._text[self._at :]
        if len(rest) > _LARGEST:
            raise _Cut(TOO_LARGE)
        chunk = self._file.read(max(_CHUNK, len(rest)))
        self._ended = not chunk
        self._text, self._at = rest + chunk, 0
