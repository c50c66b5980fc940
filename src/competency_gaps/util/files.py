"""Write files whole or not at all: into a temporary file beside them, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from competency_gaps.util.errors import MachineError, UserError

CACHE_VARIABLE = "CGAPS_CACHE"
"""Environment variable that names another cache folder."""
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Error numbers of a file or folder that cannot be written by this user."""
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)
"""Error numbers of file systems, such as some network ones, that cannot flush a folder to the disk."""


def cache_folder() -> Path:
    """Return the folder for what can be fetched or computed again: ``CGAPS_CACHE``, or the platform's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("competency-gaps")


def write_atomic(path: Path, write: Callable[[Path], Any]) -> None:
    """Call ``write`` with a temporary path in the same folder, then rename it to ``path``.

    Afterwards content and name are on the disk, as far as the system can guarantee it: later writes may rely on
    them even after a power failure. The file's mode follows the umask, whatever ``write`` sets
    (safetensors lets only the owner read).

    Raises
    ------
    UserError
        If the folder cannot be created because a file has its name, or the path is that of a folder.
    MachineError
        If the disk is full, or the folder cannot be written.
    """
    if path.is_dir():
        raise UserError(f"{str(path)!r} is a folder: give the path of a file.")
    part = path.with_name(f".{path.name}.part")
    with writable(path.parent), no_space_left(path):
        make_folder(path.parent)
        part.unlink(missing_ok=True)
        part.touch()  # the system applies the umask: asking for it would change it for other threads
        try:
            mode = stat.S_IMODE(part.stat().st_mode)
            write(part)
            part.chmod(mode)
            with part.open("r+b") as handle:  # Windows puts nothing on the disk that is open for reading alone
                os.fsync(handle.fileno())
            part.replace(path)
            sync_folder(path.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def sync_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that the names in it survive a power failure; where impossible, do nothing."""
    if os.name == "nt":  # where a folder cannot be opened
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # whoever may write to a folder need not be able to list it
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, so that they are there after a power failure too.

    Raises
    ------
    UserError
        If a file has its name, or that of a folder above it.
    """
    created = [path_ for path_ in (folder, *folder.parents) if not path_.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"{str(folder)!r} is a file or inside one. Give a path in a folder.") from error
    for path_ in created:
        sync_folder(path_.parent)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, one key a line."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text atomically, with its line ends unchanged."""
    write_atomic(path, lambda part: part.write_bytes(text.encode()))


def finite(value: Any) -> Any:
    """Return the value in plain lists and dictionaries, with None for NaN and infinity, which JSON cannot express."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def no_space_left(path: Path) -> Iterator[None]:
    """Turn "no space left on device" within the ``with`` into an error that says what to do."""
    try:
        yield
    except Exception as error:
        # safetensors and polars raise their own kinds, which are no OSError, with the number only in the text.
        number = error.errno if isinstance(error, OSError) else None
        if number in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in str(error).lower():
            raise MachineError(
                f"the disk is full: {path} cannot be written. Finished work is kept: "
                f"free some space and repeat the command."
            ) from error
        raise


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn what the system refuses in a folder into errors that say what to do."""
    resolved = folder.resolve()
    try:
        yield
    except Exception as error:
        named = error.filename if isinstance(error, OSError) else None
        named = Path(os.fsdecode(named)) if isinstance(named, (str, bytes)) else None
        if isinstance(error, OSError) and error.errno in _NOT_WRITABLE and named and _within(named, resolved):
            raise MachineError(
                f"{folder} cannot be written ({error.strerror}: {named}). Finished work is kept. Copy the folder to "
                "where you can write, or ask who owns it."
            ) from error
        with no_space_left(named or folder):
            raise


def _within(path: Path, folder: Path) -> bool:
    """Whether a path leads into a folder, or to one above it in which it was to be made."""
    path = path.resolve()
    return path.is_relative_to(folder) or (folder.is_relative_to(path) and not folder.exists())


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
