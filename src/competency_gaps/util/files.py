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
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
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
    try:
        make_folder(path.parent)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(
            f"{str(path)!r} cannot be written: {str(path.parent)!r} is a file or inside one. Give a path in a folder."
        ) from error
    with no_space_left(path):
        try:
            part.unlink(missing_ok=True)
            part.touch()  # the system applies the umask: asking for it would change it for other threads
        except OSError as error:
            if error.errno in NOT_WRITABLE:
                raise MachineError(
                    f"{path} cannot be written ({error.strerror}). Copy its folder to where you can write, or ask who "
                    "owns it."
                ) from error
            raise
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
    """Create a folder and its parents, so that they survive a power failure."""
    created = [path_ for path_ in (folder, *folder.parents) if not path_.exists()]
    folder.mkdir(parents=True, exist_ok=True)
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


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
