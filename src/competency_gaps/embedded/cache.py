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
from competency_gaps.text import size

CACHE_VARIABLE = "CGAPS_CACHE"
"""Environment variable that names another cache folder."""
LEFTOVER_AGE = 3600.0
"""Seconds after which an untouched work folder belongs to a process that was killed."""
_WORK = ".work-"

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where fetched files are kept: the platform's cache folder, or the one that ``CGAPS_CACHE`` names."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("competency-gaps")


@contextmanager
def work_folder(bytes_needed: int) -> Iterator[Path]:
    """Make a folder of this process inside the cache folder, and remove it at the end.

    Raises
    ------
    MachineError
        If the cache folder cannot be written, or the disk has too little space.
    """
    folder = cache_folder()
    try:
        with no_space_left(folder):
            folder.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=_WORK, dir=folder))
    except OSError as error:
        raise MachineError(
            f"the cache folder {folder} cannot be written ({error.strerror}). Set {CACHE_VARIABLE} to a writable "
            f"folder and run the same command again."
        ) from error
    try:
        _remove_leftovers(folder)
        free = shutil.disk_usage(work).free
        if free < bytes_needed:
            raise MachineError(
                f"{folder} has {size(free)} left, and {size(bytes_needed)} are needed. Free some space, or set "
                f"{CACHE_VARIABLE} to a folder on another disk, and run the same command again."
            )
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


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


def _remove_leftovers(folder: Path) -> None:
    for work in folder.glob(f"{_WORK}*"):
        with suppress(OSError):  # another process may remove it at the same time
            if time.time() - work.stat().st_mtime > LEFTOVER_AGE:
                shutil.rmtree(work, ignore_errors=True)
