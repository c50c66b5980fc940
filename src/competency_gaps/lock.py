"""One process at a time writes to a folder: a second one is refused, and told who holds it.

The lock is the system's, on a file in the folder, so that it ends with the process that holds it, however that ends.
The file only says who it is. Readers need no lock.
"""

from __future__ import annotations

import datetime
import errno
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from competency_gaps.errors import MachineError, UserError
from competency_gaps.files import NOT_WRITABLE, make_folder, no_space_left

log = logging.getLogger(__name__)

FILE = ".lock"
"""In the folder while it is held."""
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
"""A folder may come from somebody else, and what looks like its lock may be a link to another file."""
_TRIES = 100
"""How often a lock is tried that was removed by its holder each time before it was had."""
_BEYOND = 2**30
"""Where Windows, which lets nobody else read a locked byte, locks one: behind what the file says."""


class HeldError(UserError):
    """Another process or thread holds the folder."""


@dataclass
class _Lock:
    """A folder that is held in this process."""

    thread: int | None
    """Who may hold it again; None: its holder is gone, but not all that wrote for it."""
    file: int
    """Descriptor of the locked file."""
    made: bool
    """Whether the folder was made for the lock."""
    users: int = 1
    """The holder, and whoever writes for it; the last of them lets the folder go."""


_HERE: dict[Path, _Lock] = {}
_GUARD = threading.Lock()


def _leave_to_parent() -> None:
    """In a forked process: what its parent holds is not held here, nor any longer than the parent lives."""
    global _GUARD
    _GUARD = threading.Lock()  # another thread of the parent may have held it
    for known in _HERE.values():
        os.close(known.file)
    _HERE.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made, against other processes and threads while the body runs.

    A thread may hold a folder again inside of the body. What the system refuses the body in the folder (no space, no
    permission) is raised as :class:`~competency_gaps.errors.MachineError`.

    Raises
    ------
    HeldError
        If another process or thread holds it; the message names it.
    UserError
        If there is a file where the folder should be.
    MachineError
        If the folder cannot be written, or the disk is full.
    """
    place = folder.resolve()
    with _GUARD:
        known = _HERE.get(place)
        if known is not None and known.thread != threading.get_ident():
            raise _refused(folder, "another thread of this process")
    with _writable(folder, place), _locked(folder, place) if known is None else nullcontext():
        yield


@contextmanager
def _locked(folder: Path, place: Path) -> Iterator[None]:
    made = not place.exists()
    own = _Lock(threading.get_ident(), _acquire(folder, place / FILE), made)
    with _GUARD:
        _HERE[place] = own
    try:
        yield
    finally:
        _let_go(own, place, holder=True)


def keep_held(folder: Path) -> Callable[[], None]:
    """Let a folder that this thread holds stay held beyond the body of :func:`hold`, until the result is called.

    For another thread that writes into the folder: an interrupt may end the body before it has ended. What nobody holds
    is not held. To call the result again does nothing.
    """
    place = folder.resolve()
    with _GUARD:
        known = _HERE.get(place)
        if known is None or known.thread != threading.get_ident():
            return lambda: None
        known.users += 1
    once = [known]

    def let_go() -> None:
        with suppress(IndexError):
            _let_go(once.pop(), place)

    return let_go


def _let_go(lock: _Lock, place: Path, *, holder: bool = False) -> None:
    """End one use of a folder that is held, its holder's or another's, and with the last one the lock."""
    with _GUARD:
        lock.users -= 1
        if holder:
            lock.thread = None
        if lock.users or _HERE.get(place) is not lock:  # it is none in a process that was forked meanwhile
            return
        del _HERE[place]
    _release(lock.file, place / FILE)
    if lock.made:
        with suppress(OSError):  # something lies in it
            place.rmdir()


def _acquire(folder: Path, path: Path) -> int:
    """Open and lock the file, and write into it who holds it."""
    for _ in range(_TRIES):
        try:
            make_folder(path.parent)
            file = os.open(path, _OPEN, 0o666)
        except FileNotFoundError:  # who held it last has just removed the folder, which was made for the lock
            continue
        except (FileExistsError, NotADirectoryError) as error:
            raise UserError(
                f"{str(folder)!r} is, or lies in, a file, and holds no run or dictionary. Give a path in a folder."
            ) from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise UserError(f"{path} is a link, and no lock of this program: remove it.") from error
            raise
        try:
            if not take(file, path):
                raise _refused(folder, _holder(path))
            if _is_still_there(file, path):
                os.ftruncate(file, 0)
                os.write(file, json.dumps(_own(), ensure_ascii=True).encode("ascii"))
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)
    raise MachineError(
        f"{path} is another file whenever it is looked at: the file system of {str(folder)!r} cannot be locked. Choose "
        "a folder on another one."
    )


def _release(file: int, path: Path) -> None:
    """Remove the file, and unlock it."""
    if sys.platform == "win32":  # where no open file can be removed
        os.close(file)
    # Removed while it is held: who opens it now finds that it is gone once it has it (``_acquire``).
    with suppress(OSError):
        path.unlink()
    if sys.platform != "win32":
        os.close(file)


def take(file: int, path: Path) -> bool:
    """Lock an open file until it is closed; False: another process has locked it.

    Where the file system has no locks, a warning says so.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, _BEYOND, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            os.lseek(file, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        log.warning("%s cannot be locked (%s): start no second command that writes there.", path, error.strerror)
    return True


def _is_still_there(file: int, path: Path) -> bool:
    """Whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _own() -> dict[str, str | int]:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"process": os.getpid(), "host": socket.gethostname(), "since": now}


def _holder(path: Path) -> str:
    """Who holds a lock, as its file says."""
    try:
        known = json.loads(path.read_text(encoding="ascii"))
        process, host, since = int(known["process"]), str(known["host"])[:80], str(known["since"])[:40]
    except (OSError, ValueError, KeyError, TypeError):  # it is being written, or was removed
        return "another process"
    return f"process {process} on {host}, since {since}"


def _refused(folder: Path, holder: str) -> HeldError:
    return HeldError(
        f"{str(folder)!r} is being written by {holder}: expected one command at a time, or what they write would be "
        "mixed or lost. Wait for it, or stop it; what it has finished is kept."
    )


@contextmanager
def _writable(folder: Path, place: Path) -> Iterator[None]:
    """Turn what the system refuses in a folder, which lies at ``place``, into errors that say what to do."""
    try:
        yield
    except Exception as error:
        known = error.filename if isinstance(error, OSError) else None
        named = os.fsdecode(known) if isinstance(known, (str, bytes)) else None
        if isinstance(error, OSError) and error.errno in NOT_WRITABLE and named and _within(Path(named), place):
            raise MachineError(
                f"{folder} cannot be written ({error.strerror}: {named}). What is finished is kept. Copy the folder to "
                "where you can write, or ask who owns it."
            ) from error
        with no_space_left(Path(named) if named else folder):
            raise


def _within(path: Path, place: Path) -> bool:
    """Whether a path leads into a folder, or to one above it in which it was to be made."""
    path = path.resolve()
    return path.is_relative_to(place) or (place.is_relative_to(path) and not place.exists())
