"""Files with checksums: what was damaged since it was written is noticed before it is read.

A document (JSON) holds a checksum of its own content. A table's checksum stands in the document of its folder, under
``files``.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from competency_gaps.util.errors import UserError
from competency_gaps.util.files import sha256, write_json
from competency_gaps.util.text import shorten, visible

CHECKSUM = "checksum"
"""Key of a document's own checksum."""
FILES = "files"
"""Key, in the document of a folder, of the files with checksums: by name, ``sha256`` and ``bytes``."""
_SETTLED = 100_000_000
"""Nanoseconds after its last change from which a file's checksum is kept: a second change in the same tick of the file
system's clock would not show."""

_State = tuple[int, int, int, int]
_KNOWN: dict[Path, tuple[_State, str]] = {}


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, computed once in a process as long as the file is not changed."""
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
    known = path.stat()
    return known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns


def entry_of(path: Path) -> dict[str, Any]:
    """What a folder's document says of a file: its checksum and its size."""
    return {"sha256": digest(path), "bytes": path.stat().st_size}


def fault_of(path: Path, entry: Any) -> str | None:
    """What is wrong with a file, as the end of a sentence that begins with its path; None: nothing.

    Parameters
    ----------
    entry
        What the folder's document says of it, as :func:`entry_of` gives it.
    """
    try:
        if not path.is_file():
            return "is missing"
        size, written = path.stat().st_size, int(entry["bytes"])
        if size != written:
            how = "cut off" if size < written else "longer than it was written"
            return f"is damaged: it is {how} ({size:,} of {written:,} bytes)"
        return None if digest(path) == entry["sha256"] else "is damaged: its content does not match its checksum"
    except (TypeError, KeyError, ValueError):
        return "is damaged: the record of its checksum cannot be read"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def write_document(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON document with a checksum of its content, whole or not at all."""
    write_json(path, with_checksum(content))


def with_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content as plain JSON has it, with a checksum."""
    plain = json.loads(json.dumps({key: value for key, value in content.items() if key != CHECKSUM}, allow_nan=False))
    return {**plain, CHECKSUM: _checksum(plain)}


def read_document(path: Path) -> dict[str, Any]:
    """Read a JSON document, without its checksum.

    Raises
    ------
    ValueError
        If it is no JSON object, or its content does not match its checksum; the message says which.
    OSError
        If it cannot be read.
    """
    return check_document(parse_document(path.read_bytes()))


def parse_document(raw: bytes) -> dict[str, Any]:
    """Parse a JSON document, which is not checked yet; raises ValueError if it is no JSON object."""
    try:
        content = json.loads(raw)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"a JSON {type(content).__name__}, expected an object")
    return content


def read_versioned(path: Path, schema: int, again: str) -> dict[str, Any]:
    """Read a document with a ``schema_version``; UserError if it is damaged, or of another than ``schema``.

    Another version may have other rules for its checksum as well, so that it is not compared.
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
    """Take a parsed document's checksum off it; raises ValueError if it has none, or its content does not match it."""
    content = {key: value for key, value in document.items() if key != CHECKSUM}
    if CHECKSUM not in document:
        raise ValueError("it has no checksum")
    if document[CHECKSUM] != _checksum(content):
        raise ValueError("its content does not match its checksum")
    return content


def damaged(path: Path, error: Exception, what_to_do: str) -> UserError:
    """The error of a document that cannot be read."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UserError(f"{path} is damaged: {why}. {what_to_do}")


def _checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of what a document says, however it is laid out."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
