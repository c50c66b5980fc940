"""A store: the finished shards of one run, at an fsspec address, for machines that share no file system.

It holds ``plan.json``, which says whose shards they are, and of each shard two files under names of the attempt that
made them, and then one marker, ``shards/NAME.json``. A shard counts by its marker, which only the first attempt can
create; nothing is renamed or overwritten. All that is read from a store is compared with the marker and the plan, since
others write to it too.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from competency_gaps.checked import with_checksum
from competency_gaps.errors import UserError
from competency_gaps.runs.markers import (
    MARKER_BYTES,
    MARKERS,
    StoredFile,
    declared,
    make_marker,
    marker_name,
    read_content,
)
from competency_gaps.runs.plan import FILE as PLAN
from competency_gaps.runs.plan import check_plan, plan_differences
from competency_gaps.runs.remote import OtherSizeError, RemoteFolder
from competency_gaps.shards import Draft, ShardFolder, is_shard_name

log = logging.getLogger(__name__)

_PLAN_BYTES = 2**25
"""Longest plan: a stranger's takes at most some twenty times as much memory."""
_LOOKS = 5
"""Looks at a document that is not whole: where it is created and written in two steps, as in a folder, another process
may be between them."""
_PAUSE = 0.2
"""Seconds between them."""


class RunStore:
    """The shards of one run in a store."""

    def __init__(self, address: str) -> None:
        """Open a store.

        Raises
        ------
        MissingExtraError
            If the package that reaches such addresses is not installed.
        UserError
            If the address is none, holds credentials, or cannot be written.
        """
        self.remote = RemoteFolder(address)
        self.remote.probe()

    @property
    def address(self) -> str:
        """As it was typed."""
        return self.remote.address

    def plan(self) -> dict[str, Any] | None:
        """The plan of the run whose shards these are; None: there is none yet.

        Raises
        ------
        UserError
            If it is damaged.
        """
        try:
            plan = self._document(PLAN, _PLAN_BYTES)[1]
            if plan is not None:
                check_plan(plan)
        except ValueError as error:
            raise UserError(
                f"{PLAN} in the store {self.address} is damaged: {error}. Remove it if no other run uses the store, or "
                "choose another address."
            ) from error
        return plan

    def claim(self, plan: Mapping[str, Any]) -> None:
        """Take the store for a run, or join the same run in it.

        Raises
        ------
        UserError
            If it holds shards of another run (the message names the differences), or the plan is too long.
        """
        content = json.dumps(with_checksum(plan)).encode()
        if len(content) > _PLAN_BYTES:
            raise UserError(
                f"the run's plan takes {len(content):,} bytes, and a store holds at most {_PLAN_BYTES:,}: it holds all "
                "items that the configuration gives as objects. Write these into files and name the files."
            )
        if self.remote.create(PLAN, content):
            return
        if differing := plan_differences(self.plan() or {}, plan):
            raise UserError(
                f"the store {self.address} holds a run that differs in {differing}. Choose another address, one for "
                "each run."
            )

    def names(self) -> set[str]:
        """Names of the shards that have a marker, as they are now."""
        names = (name.removesuffix(".json") for name in self.remote.names(MARKERS) if name.endswith(".json"))
        return set(filter(is_shard_name, names))

    def fetch(
        self,
        name: str,
        made_of: str,
        folders: Sequence[ShardFolder],
        check: Callable[[Sequence[Path]], None] = lambda files: None,
    ) -> list[Draft] | None:
        """Copy a shard's files from the store, as drafts in folders of these names.

        Parameters
        ----------
        check
            Called with the copied files; it raises ValueError if they are no such shard.

        Returns
        -------
        list of Draft or None
            One per folder. None: the shard is not there, or is damaged or made of other input; then its marker is
            removed, with a warning.
        """
        seen: bytes | None = None
        try:
            seen, document = self._document(marker_name(name), MARKER_BYTES)
            if document is None:
                return None
            return self._download(name, declared(document, name, folders, made_of), folders, check)
        except ValueError as error:
            log.warning(
                "%s in %s cannot be used: %s. It is removed, and the shard is computed again.",
                marker_name(name),
                self.address,
                error,
            )
        self._discard(name, seen, folders)
        return None

    def publish(
        self,
        name: str,
        made_of: str,
        folders: Sequence[ShardFolder],
        drafts: Sequence[Draft],
        instead_of: Sequence[str] = (),
    ) -> bool:
        """Put a shard into the store.

        Parameters
        ----------
        drafts
            Its file in each folder.
        instead_of
            Checksums of the files of a shard that this one replaces: it is removed if it is still there. Another that
            took its place meanwhile stays.

        Returns
        -------
        bool
            Whether this attempt counts; otherwise another was first, and the files of this one are removed.
        """
        attempt = secrets.token_hex(8)
        files = {}
        for folder, draft in zip(folders, drafts, strict=True):
            path = folder.folder / draft.file
            held = files[folder.folder.name] = StoredFile(
                f"{name}.{attempt}{folder.suffix}", draft.sha256, path.stat().st_size
            )
            self.remote.upload(path, f"{folder.folder.name}/{held.name}")
        if instead_of:
            self._discard_shard(name, instead_of, folders)
        if self.remote.create(marker_name(name), make_marker(made_of, files)):
            return True
        for kind, file in files.items():
            self.remote.remove(f"{kind}/{file.name}")
        return False

    def _document(self, name: str, limit: int) -> tuple[bytes, dict[str, Any] | None]:
        """A document's bytes and its content, None where there is none; raises ValueError if it is damaged."""
        for look in range(_LOOKS):
            raw = self.remote.read(name, limit)
            if raw is None:
                return b"", None
            try:
                return raw, read_content(raw, limit)
            except ValueError:
                if look + 1 == _LOOKS:
                    raise
            time.sleep(_PAUSE)
        raise AssertionError("unreachable")

    def _download(
        self,
        name: str,
        files: Sequence[StoredFile],
        folders: Sequence[ShardFolder],
        check: Callable[[Sequence[Path]], None],
    ) -> list[Draft]:
        """Copy the files of a shard; raises ValueError if they are not what the marker declares."""
        made: list[Draft] = []
        try:
            for folder, file in zip(folders, files, strict=True):
                place = f"{folder.folder.name}/{file.name}"
                try:
                    made.append(folder.draft(name, partial(self.remote.download, place, size=file.size)))
                except FileNotFoundError as error:
                    raise ValueError(f"{place} is missing") from error
                except OtherSizeError as error:
                    raise ValueError(f"{place} {error}") from error
                if made[-1].sha256 != file.sha256:
                    raise ValueError(f"the content of {place} does not match its checksum")
            check([folder.folder / draft.file for folder, draft in zip(folders, made, strict=True)])
        except BaseException:
            for folder, draft in zip(folders, made, strict=False):
                folder.forget(draft)
            raise
        return made

    def _discard(self, name: str, seen: bytes | None, folders: Sequence[ShardFolder]) -> None:
        """Remove a marker, unless it is another by now, and the files of the shard that it names.

        Parameters
        ----------
        seen
            Its bytes; None: it was no document.
        """
        raw = self.remote.read(marker_name(name), MARKER_BYTES)
        if raw is None or seen not in (None, raw):
            return
        files: list[StoredFile] = []
        # Of a marker that is no document, or names other files than such a shard's, no file is removed.
        with suppress(ValueError):
            content = read_content(raw, MARKER_BYTES)
            if seen is None:
                return
            files = declared(content, name, folders)
        self.remote.remove(marker_name(name))
        for folder, file in zip(folders, files, strict=False):
            self.remote.remove(f"{folder.folder.name}/{file.name}")

    def _discard_shard(self, name: str, checksums: Sequence[str], folders: Sequence[ShardFolder]) -> None:
        """Remove a shard if its files have these checksums."""
        raw = self.remote.read(marker_name(name), MARKER_BYTES)
        if raw is None:
            return
        with suppress(ValueError):
            if [file.sha256 for file in declared(read_content(raw, MARKER_BYTES), name, folders)] == list(checksums):
                self._discard(name, raw, folders)
