"""Change several tables of a folder, and the document that lists them, together or not at all.

New tables are written beside the old ones. Then a journal says which are to take their place, and from then on the
change counts: who finds a journal, after a kill, completes it. Without one nothing was changed.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from competency_gaps.checked import FILES, damaged, entry_of, fault_of, read_document, write_document
from competency_gaps.errors import MachineError
from competency_gaps.files import write_atomic
from competency_gaps.lock import HeldError, hold
from competency_gaps.text import shorten

_END = re.compile(r"\.[0-9a-f]{8}\.new")
"""End of the name that a new table has until it takes its place."""
_LEFT = re.compile(rf"\..+{_END.pattern}(\.part)?")
"""What a change that was not committed leaves."""
_PATIENCE = 5.0
"""Seconds that a reader waits for another process to complete its change."""
_PAUSE = 0.05
"""Seconds between two looks whether it has."""
Write = Callable[[Path], Any]
"""Writes a file to the path that it is given."""


class Change:
    """New and removed tables of a folder. Nothing of it shows until :meth:`commit`, and then all of it does."""

    def __init__(self, folder: Path, document: str) -> None:
        self.folder, self.document = folder, document
        self._end = f".{secrets.token_hex(4)}.new"
        self._made: dict[str, Path] = {}
        self._removed: set[str] = set()

    def write(self, name: str, write: Write) -> None:
        """Write a new table."""
        path = self.folder / f".{name}{self._end}"
        write_atomic(path, write)
        self._made[name] = path
        self._removed.discard(name)

    def remove(self, name: str) -> None:
        """Remove a table, or a document in a folder of its own (``FOLDER/NAME``), if it is there."""
        self._removed.add(name)

    def commit(self, content: Mapping[str, Any]) -> None:
        """Put the tables in place, and ``content`` with their checksums as the folder's document."""
        kept = {name: entry for name, entry in content.get(FILES, {}).items() if name not in self._removed}
        made = {name: entry_of(path) for name, path in self._made.items()}
        journal = {
            "document": {**content, FILES: {**kept, **made}},
            "moved": {name: path.name for name, path in self._made.items()},
            "removed": sorted(self._removed),
        }
        write_document(_journal(self.folder, self.document), journal)
        _complete(self.folder, self.document)

    def forget(self) -> None:
        """Remove what was written, unless it counts already: then the journal says where it belongs."""
        if not _journal(self.folder, self.document).is_file():
            for path in self.folder.glob(f".*{self._end}"):
                path.unlink(missing_ok=True)


@contextmanager
def changing(folder: Path, document: str) -> Iterator[Change]:
    """Hold a folder while a change of it is written; without a commit nothing is changed.

    Raises
    ------
    UserError
        If another process holds the folder.
    MachineError
        If the folder cannot be written, or the disk is full.
    """
    with hold(folder):
        _settle(folder, document)
        change = Change(folder, document)
        try:
            yield change
        finally:
            change.forget()


def settle(folder: Path, document: str) -> None:
    """Complete the change that a process which was killed had begun to put in place; wait for one that is at it.

    Raises
    ------
    UserError
        If another process is still writing, or what was to be put in place is damaged or missing.
    MachineError
        If there is such a change, and the folder cannot be written.
    """
    until = time.monotonic() + _PATIENCE
    while _journal(folder, document).is_file():
        try:
            with hold(folder):
                _settle(folder, document)
        except HeldError:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE)
        except MachineError as error:
            # Who may only read waits for the process that is at it, as others do.
            if time.monotonic() > until:
                raise MachineError(
                    f"{str(folder)!r} holds a change that was interrupted, and it cannot be completed here: {error} "
                    "It is completed by whoever opens the folder and can write there."
                ) from error
            time.sleep(_PAUSE)


def _settle(folder: Path, document: str) -> None:
    _complete(folder, document)
    for left in folder.iterdir():
        if _LEFT.fullmatch(left.name):
            left.unlink(missing_ok=True)


def _journal(folder: Path, document: str) -> Path:
    return folder / f".{document}.next"


def _complete(folder: Path, document: str) -> None:
    """Do what the journal says, if there is one; whoever does it again does nothing else."""
    path = _journal(folder, document)
    if not path.is_file():
        return
    try:
        content, moved, removed = _read_journal(path)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, error, "Remove it, and run the command that was interrupted again.") from error
    for name, made in moved.items():
        if (folder / made).is_file():
            (folder / made).replace(folder / name)
    for name in removed:
        (folder / name).unlink(missing_ok=True)
    write_document(folder / document, content)
    path.unlink(missing_ok=True)


def _read_journal(path: Path) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """The new document, the tables that take their place (by name, what they were written as), and those removed.

    A folder may come from somebody else: nothing that lies outside of it is touched, whatever its journal says.

    Raises
    ------
    ValueError
        If the journal is damaged, or names something else than a table of the folder.
    """
    known, folder = read_document(path), path.parent
    content, moved, removed = dict(known["document"]), dict(known["moved"]), list(known["removed"])
    for name, made in moved.items():
        if not _lies_inside(folder, name) or "/" in name or not _is_made_for(name, made):
            raise ValueError(f"it names {shorten(repr(made), 80)}, which is no new table of the folder")
        if (folder / made).is_symlink() or (folder / name).is_dir():
            raise ValueError(f"{shorten(repr(made), 80)} cannot take the place of {shorten(repr(name), 80)}")
        # What is not there any more was moved by whoever began with this; else it is lost.
        if not (folder / made).is_file() and (fault := fault_of(folder / name, content[FILES][name])) is not None:
            raise ValueError(f"the new {name} is missing, and the file that has its name {fault}")
    for name in removed:
        if not _lies_inside(folder, name) or (folder / name).is_dir():
            raise ValueError(f"it names {shorten(repr(name), 80)}, which is no file in the folder")
    return content, moved, removed


def _is_made_for(name: str, made: Any) -> bool:
    """Whether a file has the name that a change gives to a new table."""
    return isinstance(made, str) and made.startswith(f".{name}.") and _END.fullmatch(made[len(name) + 1 :]) is not None


def _lies_inside(folder: Path, name: Any) -> bool:
    """Whether a name is that of a file in a folder, or in a folder of it that is no link, on every system."""
    if not isinstance(name, str) or "\0" in name or "\\" in name:
        return False
    parts = PurePosixPath(name).parts
    if PureWindowsPath(name).drive or PureWindowsPath(name).root or ".." in parts or not 1 <= len(parts) <= 2:
        return False
    return len(parts) == 1 or not (folder / parts[0]).is_symlink()
