"""Change several tables of a folder, and the document that lists them, together or not at all.

New tables are written beside the old ones, as ``.NAME.new``, then the new document, as ``.DOCUMENT.next``. From then on
the change counts: whoever finds such a document, after a kill, moves the tables and then the document into place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from competency_gaps.util.checked import FILES, damaged, entry_of, read_document, write_document
from competency_gaps.util.errors import MachineError
from competency_gaps.util.files import sync_folder, write_atomic
from competency_gaps.util.lock import HeldError, hold

_PATIENCE = 5.0
"""Seconds that a reader waits for another process to complete its change."""
_PAUSE = 0.05
"""Seconds between two looks whether it has."""
_REMOVED = "removed_with_this_change"
"""Key, in a document that is not in place yet, of the files that go."""
Write = Callable[[Path], Any]
"""Writes a file to the path that it is given."""


class Change:
    """New and removed tables of a folder. Nothing of it shows until :meth:`commit`, and then all of it does."""

    def __init__(self, folder: Path, document: str) -> None:
        self.folder, self.document = folder, document
        self._written: set[str] = set()
        self._removed: set[str] = set()

    def write(self, name: str, write: Write) -> None:
        """Write a new table."""
        write_atomic(_new(self.folder, name), write)
        self._written.add(name)
        self._removed.discard(name)

    def remove(self, name: str) -> None:
        """Remove a table, or a document in a folder of its own (``FOLDER/NAME``), if it is there."""
        self._removed.add(name)

    def commit(self, content: Mapping[str, Any]) -> None:
        """Put the tables in place, and ``content`` with their checksums as the folder's document."""
        kept = {name: entry for name, entry in content.get(FILES, {}).items() if name not in self._removed}
        entries = {name: entry_of(_new(self.folder, name)) for name in sorted(self._written)}
        document = {**content, FILES: {**kept, **entries}, _REMOVED: sorted(self._removed)}
        write_document(_next(self.folder, self.document), document)
        _complete(self.folder, self.document)


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
        _complete(folder, document)
        try:
            yield Change(folder, document)
        finally:
            if not _next(folder, document).is_file():  # else the tables belong to a change that counts
                _sweep(folder)


def settle(folder: Path, document: str) -> None:
    """Complete the change that a process which was killed had begun to put in place; wait for one that is at it.

    Raises
    ------
    UserError
        If another process is still writing, or what was to be put in place is damaged.
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
    """Put a change in place, if there is one that counts; whoever does it again does nothing else."""
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
    """Remove tables of a change that does not count."""
    for pattern in (".*.new", ".*.new.part"):
        for left in folder.glob(pattern):
            left.unlink(missing_ok=True)


def _new(folder: Path, name: str) -> Path:
    return folder / f".{name}.new"


def _next(folder: Path, document: str) -> Path:
    return folder / f".{document}.next"
