"""The cache folder, and work folders inside it: a download stays there until it is complete, then moves into the cache.

A process that is killed leaves only its work folder behind, which nothing reads and a later process removes.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from competency_gaps.errors import MachineError
from competency_gaps.files import no_space_left, sha256

CACHE_VARIABLE = "CGAPS_CACHE"
"""Environment variable that names another cache folder."""
LEFTOVER_AGE = 3600.0
"""Seconds after which an untouched work folder belongs to a process that was killed."""
_WORK = ".work-"

log = logging.getLogger(__name__)
_temporary: tempfile.TemporaryDirectory[str] | None = None


def cache_folder() -> Path:
    """Where fetched files are kept: the platform's cache folder, or the one that ``CGAPS_CACHE`` names."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("competency-gaps")


def cache_places(name: str) -> list[Path]:
    """Paths of a cached file or folder: in the cache folder, and in this process's temporary one if there is one."""
    temporary = [Path(_temporary.name)] if _temporary else []
    return [folder / name for folder in (cache_folder(), *temporary)]


@contextmanager
def work_folder(bytes_needed: int) -> Iterator[Path]:
    """Make a folder of this process inside the cache folder, and remove it at the end.

    Its parent is where finished files are kept: the cache folder or, if that cannot be written, a temporary folder
    that lasts as long as this process.

    Raises
    ------
    MachineError
        If no folder can be written, or the disk has too little space.
    """
    folder, work = _make_work_folder()
    try:
        _remove_leftovers(folder)
        free = shutil.disk_usage(work).free
        if free < bytes_needed:
            raise MachineError(
                f"{folder} has {free / 1e6:,.0f} MB left, and {bytes_needed / 1e6:,.0f} MB are needed. Free some "
                f"space, or set {CACHE_VARIABLE} to a folder on another disk, and run the same command again."
            )
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def clear(work: Path) -> None:
    """Delete what a work folder holds."""
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def keep(finished: Path, place: Path, is_whole: Callable[[Path], bool]) -> Path:
    """Move a finished file or folder from a work folder to its place; another process may do so at the same time."""
    with no_space_left(place):
        try:
            if place.is_dir() and not is_whole(place):  # a folder cannot be renamed onto one that has files
                place.replace(finished.with_name("replaced"))
            finished.replace(place)
        except OSError:
            if not is_whole(place):
                raise
    return place


def has_content(file: Path, expected: str) -> bool:
    """Whether a file exists and has this SHA-256; one with a different SHA-256 is named in a warning."""
    try:
        if not file.is_file():
            return False
        actual = sha256(file)
    except OSError as error:
        log.warning("%s cannot be read (%s) and is not used.", file, error.strerror)
        return False
    if actual != expected:
        log.warning(
            "%s is damaged or a different file and is not used: its SHA-256 is %s, expected %s.", file, actual, expected
        )
    return actual == expected


def _make_work_folder() -> tuple[Path, Path]:
    global _temporary
    folder = cache_folder()
    try:
        with no_space_left(folder):
            folder.mkdir(parents=True, exist_ok=True)
            return folder, Path(tempfile.mkdtemp(prefix=_WORK, dir=folder))
    except OSError as error:
        reason = error.strerror
    try:
        if _temporary is None:
            _temporary = tempfile.TemporaryDirectory(prefix="cgaps-cache-")
            log.warning(
                "the cache folder %s cannot be written (%s): fetched files are kept in %s until this process ends. "
                "To keep them longer, set %s to a writable folder.",
                *(folder, reason, _temporary.name, CACHE_VARIABLE),
            )
        temporary = Path(_temporary.name)
        return temporary, Path(tempfile.mkdtemp(prefix=_WORK, dir=temporary))
    except OSError as error:
        raise MachineError(
            f"neither the cache folder {folder} ({reason}) nor a temporary folder ({error.strerror}) can be written. "
            f"Set {CACHE_VARIABLE} to a writable folder and run the same command again."
        ) from error


def _remove_leftovers(folder: Path) -> None:
    for work in folder.glob(f"{_WORK}*"):
        with suppress(OSError):  # another process may remove it at the same time
            if time.time() - work.stat().st_mtime > LEFTOVER_AGE:
                shutil.rmtree(work, ignore_errors=True)
