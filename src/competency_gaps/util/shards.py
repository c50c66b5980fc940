"""Results written piece by piece, so that a killed run can be resumed.

A shard is a file and, written after it, a small JSON file with its checksum: its stamp. A shard without a stamp was
being written when the run was killed; a shard that does not match its stamp was damaged. Neither counts, and damage
gives a warning.

Several processes may write shards into one folder, even the same shard: each writes a draft, a file with a unique name,
and the one process that has locked the folder commits drafts, by giving each the shard's name and a stamp.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from competency_gaps.util.checked import digest, parse_document
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import sync_folder, write_atomic, write_json

log = logging.getLogger(__name__)

_DRAFT = ".draft"
"""Suffix of a draft's name."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)


class Draft(NamedTuple):
    """A shard that was written but is not committed yet."""

    file: str
    """Its name in the folder."""
    sha256: str
    """SHA-256 of the bytes that were written."""


class ShardDraft(NamedTuple):
    """A shard that consists of a file in each of several folders, and is not committed yet."""

    name: str
    made_of: str
    """Hash of the input that it was computed from."""
    files: list[Draft]
    """One per folder."""


class ShardFolder:
    """The shards of one stage, in one folder."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self.folder = folder
        self.suffix = suffix

    def path(self, name: str) -> Path:
        """Return the path of a shard."""
        return self.folder / f"{name}{self.suffix}"

    def files(self, name: str) -> tuple[Path, Path]:
        """Return the paths of a shard's file and its stamp."""
        return self.path(name), self.folder / f"{name}.json"

    def draft(self, name: str, write: Callable[[Path], None]) -> Draft:
        """Write a shard as a draft, and return the draft."""
        path = self.folder / f".{name}.{secrets.token_hex(8)}{self.suffix}{_DRAFT}"
        write_atomic(path, write)
        return Draft(path.name, digest(path))

    def commit(self, name: str, draft: Draft, made_of: str = "") -> None:
        """Turn a draft into the shard, with a stamp; an older shard is replaced."""
        path, stamp = self.files(name)
        stamp.unlink(missing_ok=True)
        (self.folder / draft.file).replace(path)
        sync_folder(self.folder)
        write_json(stamp, {"sha256": draft.sha256, "made_of": made_of})

    def forget(self, draft: Draft) -> None:
        """Remove a draft."""
        (self.folder / draft.file).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove all drafts; their writers were killed."""
        for left in self.folder.glob(f".*{_DRAFT}*"):
            left.unlink(missing_ok=True)

    def is_whole(self, name: str, made_of: str = "") -> bool:
        """Return whether a shard exists, undamaged and computed from this input; warns if it exists and is not so."""
        path, stamp = self.files(name)
        if not path.exists() or not stamp.exists():
            return False
        try:
            known = self._stamp(name)
            same_bytes, same_input = digest(path) == known["sha256"], known["made_of"] == made_of
        except (ValueError, KeyError):
            same_bytes = same_input = False
        if same_bytes and same_input:
            return True
        why = "was made from other input" if same_bytes else "does not match its checksum (damaged or cut off)"
        log.warning("%s %s: it counts as missing.", path, why)
        return False

    def check(self, name: str) -> Path:
        """Compare a finished shard with its checksum, once per process, and return its path.

        Raises
        ------
        UserError
            If the shard or its checksum is missing, or they do not match.
        """
        path = self.path(name)
        with suppress(OSError, ValueError, KeyError):
            if digest(path) == self._stamp(name)["sha256"]:
                return path
        raise UserError(
            f"{path}, or its checksum in {name}.json, is missing or damaged. Repeat the command that made its folder "
            "to recompute this shard."
        )

    def checksum(self, name: str) -> str:
        """Return the SHA-256 of a finished shard from its stamp, after :meth:`check`."""
        self.check(name)
        return str(self._stamp(name)["sha256"])

    def _stamp(self, name: str) -> dict[str, str]:
        return parse_document(self.files(name)[1].read_bytes())


def is_shard_name(name: object) -> bool:
    """Return whether a name is plain and short: a folder from elsewhere must not refer to files outside it."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None
