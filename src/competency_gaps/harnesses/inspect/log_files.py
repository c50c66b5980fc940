"""Inspect's log files: the head of one, and its samples.

``.eval`` is a zip whose members are JSON, ``.json`` one JSON object; both give the same mappings here. Samples of an
``.eval`` file are read one at a time, since a log holds every event of every sample and grows to gigabytes. Inspect's
own reader opens the file anew for each sample, which costs 50 times as long on a log of 2,000 samples.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.harnesses.shared.files import LogRecord, json_file, mapping, sequence
from competency_gaps.items.remark import Remark

NEWEST_VERSION = 2
"""Newest supported version of Inspect's log format (``LOG_SCHEMA_VERSION`` of 0.3.285)."""
LARGEST = 512 << 20
"""Size limit of a sample, or of a ``.json`` log, in bytes: a small zip can expand to any size."""
TOO_LARGE = Remark("value_too_large", (LARGEST >> 20,))
_BEGINNING = re.compile(rb"(\xef\xbb\xbf)?\s*\{\s*\"(version|status|eval|plan|results|stats|error|invalidated|tags)\"")
"""How a ``.json`` log begins; other JSON files are not parsed."""


class UnreadableLogError(UserError):
    """The file is a log of Inspect, but cannot be read."""


class _DamagedError(Exception):
    """A member of a zip that cannot be read."""

    def __init__(self, reason: Remark) -> None:
        super().__init__(str(reason))
        self.reason = reason


def read_head(path: Path) -> dict[str, Any] | None:
    """Everything but the samples: ``version``, ``status``, ``eval``, ``results`` and so on.

    Returns
    -------
    dict or None
        None if a JSON file is no log of Inspect. Without a ``status`` the evaluation was stopped early.

    Raises
    ------
    UserError
        If the file is damaged or too large, or the log is newer than the supported version.
    MissingExtraError
        If an ``.eval`` file's compression (zstd) cannot be read.
    """
    head = _zip_head(path) if path.suffix == ".eval" else _json_log(path)
    if "task" not in mapping(head.get("eval")):
        return None
    version = head.get("version")
    if isinstance(version, int) and version > NEWEST_VERSION:
        raise UnreadableLogError(
            f"{path} has version {version} of Inspect's log format; supported is {NEWEST_VERSION}."
        )
    head.pop("samples", None)
    return head


def samples(path: Path) -> Iterator[LogRecord]:
    """Every sample, in the file's order, each (id, epoch) once."""
    if path.suffix == ".eval":
        yield from _zip_samples(path)
        return
    for number, value in enumerate(sequence(_json_log(path).get("samples")), start=1):
        yield _sample(f"{path.name}, sample {number}", value)


def _sample(where: str, value: Any) -> LogRecord:
    return LogRecord(where, mapping(value), None if isinstance(value, dict) else Remark("sample_no_object"))


def _json_log(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            begins = _BEGINNING.match(file.read(4096)) is not None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    if not begins:
        return {}
    if path.stat().st_size > LARGEST:
        raise UnreadableLogError(
            f"{path} is larger than {LARGEST >> 20} MB. Convert it with 'inspect log convert --to eval' and read the "
            "result, which is read sample by sample."
        )
    try:
        return mapping(json_file(path))
    except UserError as error:
        raise UnreadableLogError(str(error)) from error


def _open_zip(path: Path) -> ZipFile:
    # Before Python 3.14 the standard library reads no zstd; this package, which Inspect installs, adds it.
    if find_spec("zipfile_zstd") is not None:
        import_module("zipfile_zstd")
    try:
        return ZipFile(path)
    except (BadZipFile, ValueError, NotImplementedError) as error:
        raise UnreadableLogError(f"{path} is no complete .eval file: {error}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _member(archive: ZipFile, name: str) -> Any:
    """The content of a member.

    Raises
    ------
    _DamagedError
        If it is not JSON, damaged, encrypted or too large.
    MissingExtraError
        If its compression (zstd) cannot be read.
    """
    declared = archive.getinfo(name)
    if declared.file_size > LARGEST:
        raise _DamagedError(TOO_LARGE)
    if declared.compress_size > Path(str(archive.filename)).stat().st_size:  # zipfile takes as much memory to read it
        raise _DamagedError(Remark("sample_lost", quotes=(BadZipFile.__name__,)))
    zstd = (import_module("zstandard").ZstdError,) if find_spec("zstandard") is not None else ()
    try:
        return json.loads(archive.read(name))
    except NotImplementedError as error:
        raise MissingExtraError("zipfile-zstd", "inspect", "reading Inspect's .eval logs") from error
    except (ValueError, RecursionError, BadZipFile, EOFError, OSError, zlib.error, *zstd) as error:
        raise _DamagedError(Remark("sample_lost", quotes=(type(error).__name__,))) from error
    except RuntimeError as error:
        raise _DamagedError(Remark("sample_encrypted")) from error


def _zip_head(path: Path) -> dict[str, Any]:
    with _open_zip(path) as archive:
        names = set(archive.namelist())
        # The header is written last; an evaluation that was stopped leaves only the journal.
        for name in ("header.json", "_journal/start.json"):
            if name in names:
                try:
                    return mapping(_member(archive, name))
                except _DamagedError as error:
                    raise UnreadableLogError(f"{path}: {name} is damaged: {error}.") from error
    raise UnreadableLogError(f"{path} is a zip without Inspect's header.json.")


def _zip_samples(path: Path) -> Iterator[LogRecord]:
    with _open_zip(path) as archive:
        # A sample that was run again occurs twice under one name, of which the last counts.
        for name in dict.fromkeys(archive.namelist()):
            if not (name.startswith("samples/") and name.endswith(".json")):
                continue
            where = f"{path.name}, {name}"
            try:
                yield _sample(where, _member(archive, name))
            except _DamagedError as error:
                yield LogRecord(where, {}, error.reason)
