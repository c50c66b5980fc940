"""Files with checksums, and changes of a folder that take effect together or not at all.

A document (JSON) holds a checksum of its own content. A table's checksum stands in the document of its folder, under
``files``. So a file that was damaged since it was written is noticed before it is read.

A change writes new tables beside the old ones, as ``.NAME.new``, then the new document, as ``.DOCUMENT.next``. From
then on the change counts: whoever finds such a document, after a kill, moves the tables and the document into place.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from competency_gaps.util.errors import MachineError, UserError
from competency_gaps.util.files import sha256, sync_folder, write_atomic, write_json
from competency_gaps.util.lock import HeldError, hold
from competency_gaps.util.text import shorten, visible

CHECKSUM = "checksum"
"""Key of a document's own checksum."""
FILES = "files"
"""Key, in the document of a folder, of its files: by name, ``sha256`` and ``bytes``."""
_SETTLED = 100_000_000
"""Age, in nanoseconds, of a file's last change from which its checksum is remembered: a second change in the same tick
of the file system's clock would not show."""

_PATIENCE = 5.0
"""Seconds that a reader waits for another process to complete its change."""
_PAUSE = 0.05
"""Seconds between two checks whether it has."""
_REMOVED = "removed_with_this_change"
"""Key, in a document that is not in place yet, of the files to be removed."""
Write = Callable[[Path], Any]
"""Writes a file to the given path."""

_State = tuple[int, int, int, int]
_KNOWN: dict[Path, tuple[_State, str]] = {}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes; a process computes it once as long as the file does not change."""
    absolute = path.absolute()
    before = _state(absolute)
    known = _KNOWN.get(absolute)
    if known is not None and known[0] == before:
        return known[1]
    hash_ = sha256(absolute)
    if time.time_ns() - max(before[2:]) > _SETTLED and _state(absolute) == before:
        _KNOWN[absolute] = (before, hash_)
    return hash_


def _state(path: Path) -> _State:
    """Return what changes if a file is changed: inode, size, and times of the last change."""
    known = path.stat()
    return known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns


def entry_of(path: Path) -> dict[str, Any]:
    """Return the entry of a file in its folder's document: its checksum and its size."""
    return {"sha256": digest(path), "bytes": path.stat().st_size}


def fault_of(path: Path, entry: Any) -> str | None:
    """Return what is wrong with a file, as the end of a sentence that begins with its path; None if nothing is.

    Parameters
    ----------
    entry
        The file's entry in the folder's document, as :func:`entry_of` returns it.
    """
    try:
        same = isinstance(entry, dict) and digest(path) == entry.get("sha256")
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if same else "is damaged: its content does not match its checksum"


def write_document(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON document with a checksum of its content, whole or not at all."""
    write_json(path, with_checksum(content))


def with_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content in the types of plain JSON, with a checksum."""
    plain = json.loads(json.dumps({key: value for key, value in content.items() if key != CHECKSUM}, allow_nan=False))
    return {**plain, CHECKSUM: _checksum(plain)}


def read_document(path: Path) -> dict[str, Any]:
    """Return the content of a JSON document, checked and without its checksum.

    Raises
    ------
    ValueError
        If it is no JSON object, or its content does not match its checksum; the message says which.
    OSError
        If it cannot be read.
    """
    return check_document(parse_document(path.read_bytes()))


def parse_document(raw: bytes) -> dict[str, Any]:
    """Return a JSON document that is not checked yet; ValueError if it is no JSON object."""
    try:
        content = json.loads(raw)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"a JSON {type(content).__name__}, expected an object")
    return content


def read_versioned(path: Path, schema: int, again: str) -> dict[str, Any]:
    """Return the content of a document whose ``schema_version`` is ``schema``; UserError if that differs or it is
    damaged.

    The checksum of another version is not compared, as it may follow other rules. ``again`` ends the message about
    damage.
    """
    try:
        content = parse_document(path.read_bytes())
        version = content["schema_version"]
        if version == schema:
            return check_document(content)
    except (OSError, ValueError, KeyError) as error:
        raise damaged(path, error, again) from error
    versions = content.get("versions")
    wrote = versions.get("competency-gaps", "unknown") if isinstance(versions, dict) else "unknown"
    raise UserError(
        f"{path} has schema_version {shorten(visible(repr(version)), 40)}, but this version of competency-gaps reads "
        f"{schema}. Open it with the version that wrote it ({shorten(visible(str(wrote)), 40)})."
    )


def check_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parsed document without its checksum; ValueError if it has none, or its content does not match it."""
    content = {key: value for key, value in document.items() if key != CHECKSUM}
    if CHECKSUM not in document:
        raise ValueError("it has no checksum")
    if document[CHECKSUM] != _checksum(content):
        raise ValueError("its content does not match its checksum")
    return content


def damaged(path: Path, error: Exception, what_to_do: str) -> UserError:
    """Return the error about a document that cannot be read."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UserError(f"{path} is damaged: {why}. {what_to_do}")


def _checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document's content, independent of its layout."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Change:
    """New and removed tables of a folder, which take effect together at :meth:`commit`, or not at all."""

    def __init__(self, folder: Path, document: str) -> None:
        self.folder, self.document = folder, document
        self._written: set[str] = set()
        self._removed: set[str] = set()

    def write(self, name: str, write: Write) -> None:
        """Write a new table, which takes effect at :meth:`commit`."""
        write_atomic(_new(self.folder, name), write)
        self._written.add(name)
        self._removed.discard(name)

    def remove(self, name: str) -> None:
        """Remove, at :meth:`commit`, a table or a document in a folder of its own (``FOLDER/NAME``), if it exists."""
        self._removed.add(name)

    def commit(self, content: Mapping[str, Any]) -> None:
        """Move the tables into place, and write ``content`` with their checksums as the folder's document."""
        kept = {name: entry for name, entry in content.get(FILES, {}).items() if name not in self._removed}
        entries = {name: entry_of(_new(self.folder, name)) for name in sorted(self._written)}
        document = {**content, FILES: {**kept, **entries}, _REMOVED: sorted(self._removed)}
        write_document(_next(self.folder, self.document), document)
        _complete(self.folder, self.document)


@contextmanager
def changing(folder: Path, document: str) -> Iterator[Change]:
    """Yield a change of a folder, locked meanwhile; without a commit nothing is changed.

    Raises
    ------
    UserError
        If another process has locked the folder.
    MachineError
        If the folder cannot be written, or the disk is full.
    """
    with hold(folder):
        _complete(folder, document)
        try:
            yield Change(folder, document)
        finally:
            if not _next(folder, document).is_file():  # else the tables belong to a change that counts
                _sweep(folder)


def settle(folder: Path, document: str) -> None:
    """Complete a change that a killed process had committed; if a process is still completing one, wait for it.

    Raises
    ------
    UserError
        If another process is still writing, or a new document is damaged.
    MachineError
        If there is such a change, and the folder cannot be written.
    """
    until = time.monotonic() + _PATIENCE
    while _next(folder, document).is_file():
        try:
            with hold(folder):
                _complete(folder, document)
        except (HeldError, MachineError):  # who may only read waits for the process that is at it
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE)


def _complete(folder: Path, document: str) -> None:
    """Put a committed change in place, if there is one, and remove other new tables; harmless to repeat."""
    path = _next(folder, document)
    if path.is_file():
        try:
            content = read_document(path)
            names = [*content[FILES], *content[_REMOVED]]
            if any(Path(name).is_absolute() or ".." in Path(name).parts for name in names):
                raise ValueError("it names a file outside the folder")
        except (ValueError, KeyError) as error:
            raise damaged(path, error, "Remove it and repeat the interrupted command.") from error
        for name in content[FILES]:
            if (new := _new(folder, name)).is_file():
                new.replace(folder / name)
        for name in content.pop(_REMOVED):
            (folder / name).unlink(missing_ok=True)
        sync_folder(folder)
        write_document(folder / document, content)
        path.unlink(missing_ok=True)
    _sweep(folder)


def _sweep(folder: Path) -> None:
    """Remove the new tables of a change that was not committed."""
    for pattern in (".*.new", ".*.new.part"):
        for left in folder.glob(pattern):
            left.unlink(missing_ok=True)


def _new(folder: Path, name: str) -> Path:
    """Return the path of a new table until its change is committed."""
    return folder / f".{name}.new"


def _next(folder: Path, document: str) -> Path:
    """Return the path of a new document until it is in place; its existence commits the change."""
    return folder / f".{document}.next"
