"""Lock a folder so that one process at a time writes to it; a second one gets an error that names the first.

The lock is the system's (``flock``), so it ends with the process that holds it, however that ends. On a file system
without locks, a marker file takes their place (filelock's ``SoftFileLock``): it keeps others out as well, and a marker
whose process was killed on this machine is replaced. Readers need no lock.
"""

from __future__ import annotations

import datetime
import errno
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from competency_gaps.util.errors import UserError
from competency_gaps.util.files import make_folder, writable

if TYPE_CHECKING:
    from filelock import FileLock, SoftFileLock

FILE = ".lock"
"""Name of the lock file in a locked folder; a marker's name begins with it too."""
_WAIT = 0.2
"""Seconds during which a lock is tried again, as its holder may just be removing the file."""
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""Error numbers of file systems without locks."""


class HeldError(UserError):
    """Another process or thread has locked the folder."""


_HERE: dict[Path, int] = {}
"""Folders that this process has locked, with the thread that did, which may lock them again."""
_GUARD = threading.Lock()


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Lock a folder, created if missing, against other processes and threads while the body runs.

    The thread may lock the folder again inside the body. If the system refuses the body something in the folder (no
    space, no permission), :class:`~competency_gaps.util.errors.MachineError` is raised.

    Raises
    ------
    HeldError
        If another process or thread has locked it; the message names it.
    UserError
        If there is a file where the folder should be.
    MachineError
        If the folder cannot be written, or the disk is full.
    """
    resolved, thread = folder.resolve(), threading.get_ident()
    with _GUARD:
        known = _HERE.get(resolved)
        _HERE.setdefault(resolved, thread)
    if known not in (None, thread):
        raise _refused(folder, "another thread of this process")
    with writable(folder):
        if known is not None:
            yield
            return
        try:
            with _locked(folder, resolved):
                yield
        finally:
            del _HERE[resolved]


@contextmanager
def _locked(folder: Path, resolved: Path) -> Iterator[None]:
    """Lock a folder with a file in it while the body runs; a folder that was created for it and is empty is removed."""
    created = not resolved.exists()
    lock = _acquire(folder, resolved / FILE)
    try:
        yield
    finally:
        with suppress(OSError):
            # Removed while it is held: filelock does not take a file that has lost its name.
            (resolved / FILE).unlink(missing_ok=True)
        lock.release()
        if created:
            with suppress(OSError):  # something lies in it
                resolved.rmdir()


def _acquire(folder: Path, path: Path) -> FileLock | SoftFileLock:
    """Lock the file, write into it who did, and return the lock; HeldError if it is taken."""
    from filelock import FileLock, SoftFileLock, Timeout

    make_folder(folder)
    lock: FileLock | SoftFileLock = FileLock(path, timeout=_WAIT, thread_local=False, fallback_to_soft=False)
    try:
        try:
            lock.acquire()
        except OSError as error:
            if isinstance(error, Timeout) or error.errno not in _NO_LOCKS:
                raise
            lock = SoftFileLock(path.with_name(f"{FILE}-marker"), timeout=_WAIT, thread_local=False)
            lock.acquire()
    except Timeout:
        raise _refused(folder, _holder(path)) from None
    since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with suppress(PermissionError):  # Windows lets nobody write to a locked file
        path.write_text(json.dumps([os.getpid(), socket.gethostname(), since]), encoding="ascii")
    return lock


def _holder(path: Path) -> str:
    """Return who holds a lock, according to its file."""
    try:
        process, host, since = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError, TypeError):  # it is being written, was removed, or is filelock's own
        return "another process"
    return f"process {process} on {host}, since {since}"


def _refused(folder: Path, holder: str) -> HeldError:
    return HeldError(
        f"{str(folder)!r} is being written by {holder}: only one command can write at a time. Wait for it or stop "
        "it; finished work is kept."
    )
