"""Change several tables of a folder, and the document that lists them, together or not at all.

New tables are written beside the old ones. Then a journal says which are to take their place, and from then on the
change counts: who finds a journal, after a kill, completes it. Without one nothing was changed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from competency_gaps.checked import FILES, damaged, entry_of, read_document, write_document
from competency_gaps.files import write_atomic
from competency_gaps.lock import HeldError, hold

_LEFT = (".*.????????.new", "..*.????????.new.part")
"""What a change that was not committed leaves."""
_PATIENCE = 5.0
"""Seconds that a reader waits for another process to complete its change."""
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
        """Remove what was written and not committed."""
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
        If another process is still writing, or what was to be put in place is damaged.
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
            time.sleep(0.05)


def _settle(folder: Path, document: str) -> None:
    _complete(folder, document)
    for left in (path for pattern in _LEFT for path in folder.glob(pattern)):
        left.unlink(missing_ok=True)


def _journal(folder: Path, document: str) -> Path:
    return folder / f".{document}.next"


def _complete(folder: Path, document: str) -> None:
    """Do what the journal says, if there is one; whoever does it again does nothing else."""
    path = _journal(folder, document)
    if not path.is_file():
        return
    try:
        known = read_document(path)
        moved, removed = dict(known["moved"]), list(known["removed"])
        # A folder may come from somebody else: what lies outside of it is not touched.
        if not all(_lies_inside(str(name)) for name in (*moved, *moved.values(), *removed)):
            raise ValueError("it names what lies outside of the folder")
        content = dict(known["document"])
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path, error, "Remove it, and run the command that was interrupted again.") from error
    for name, made in moved.items():
        if (folder / made).is_file():
            (folder / made).replace(folder / name)
    for name in removed:
        (folder / name).unlink(missing_ok=True)
    write_document(folder / document, content)
    path.unlink(missing_ok=True)


def _lies_inside(name: str) -> bool:
    """Whether a name is that of a file in a folder, or in a folder of it, on every system."""
    parts = PurePosixPath(name).parts
    plain = not PureWindowsPath(name).drive and not PureWindowsPath(name).root and "\\" not in name
    return plain and 1 <= len(parts) <= 2 and ".." not in parts
