"""A store: the finished shards of one run at an fsspec address, for machines that share no file system.

It holds ``plan.json``, which identifies the run, and for each shard two files, named after the attempt that wrote
them, and a marker, ``shards/NAME.json``, written last. A shard counts once it has a marker, which only the first
attempt can create: the mode ``xb`` is sent as ``If-None-Match`` to S3 and as ``ifGenerationMatch=0`` to Google's store.
Nothing is renamed or overwritten. Files read from a store are checked against the checksums in the marker.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from competency_gaps.runs.plan import FILE as PLAN
from competency_gaps.runs.plan import plan_differences
from competency_gaps.util.checked import check_document, parse_document, with_checksum
from competency_gaps.util.errors import MachineError, UserError, argument, needed
from competency_gaps.util.shards import Draft, ShardDraft, ShardFolder, is_shard_name
from competency_gaps.util.text import one_line, shorten

log = logging.getLogger(__name__)

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://[^\s]+", re.ASCII)
_EXTRAS = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gcs"), "gcs": ("gcsfs", "gcs")}
"""Scheme of an address -> the package that opens it, and the extra that installs the package."""
_MARKERS = "shards"
_TRIES, _PAUSE = 5, 0.3
"""Attempts, and seconds between them, where another process may be writing the same file: S3 refuses meanwhile, and a
file in a folder exists before its content does."""


class RunStore:
    """The shards of one run in a store. It opens connections, so each process needs its own instance."""

    def __init__(self, address: str) -> None:
        """Open a store and check that it can be written.

        Raises
        ------
        MissingExtraError
            If the package for such addresses is not installed.
        UserError
            If the address is malformed, holds credentials, or cannot be written.
        """
        self.address = address
        """As it was typed; it holds no credentials."""
        self._scheme = _check(address)
        self._files, root = _file_system(address, self._scheme)
        self._root = root.rstrip("/")
        probe = f"probe-{secrets.token_hex(8)}"
        try:
            self._create(probe, b"probe")
            self._remove(probe)
        except MachineError as error:
            raise UserError(
                f"{argument('store')} {address!r} cannot be used: {_reason(error.__cause__)}. Check the address, and "
                "the credentials and endpoint in the environment (AWS_PROFILE, AWS_ENDPOINT_URL, "
                "GOOGLE_APPLICATION_CREDENTIALS, ...)."
            ) from error

    def plan(self) -> dict[str, Any] | None:
        """Return the plan of the run in the store; None if it has none yet. Raises UserError if it is damaged."""
        try:
            return self._document(PLAN)
        except ValueError as error:
            raise UserError(
                f"{PLAN} in the store {self.address} is damaged: {error}. Remove it if no other run uses the store, or "
                "choose another address."
            ) from error

    def claim(self, plan: Mapping[str, Any]) -> None:
        """Write a run's plan into the store, or join the same run there; raises UserError if it holds another run."""
        if self._create(PLAN, json.dumps(with_checksum(plan)).encode()):
            return
        if differing := plan_differences(self.plan() or {}, plan):
            raise UserError(
                f"the store {self.address} holds a run that differs in {differing}. Give each run an address of its "
                "own."
            )

    def names(self) -> set[str]:
        """Return the names of the shards that have a marker now."""
        paths: list[str] = []
        with self._errors(), suppress(FileNotFoundError):
            self._files.invalidate_cache()
            paths = self._files.ls(self._path(_MARKERS), detail=False)
        files = (str(path).rpartition("/")[2] for path in paths)
        return {file.removesuffix(".json") for file in files if is_shard_name(file.removesuffix(".json"))}

    def fetch(self, name: str, made_of: str, folders: Sequence[ShardFolder]) -> ShardDraft | None:
        """Download a shard as drafts into local folders; the store's subfolders have the same names.

        Returns
        -------
        ShardDraft or None
            None: the shard is not in the store, or is damaged or was made from other input; then its marker is removed,
            with a warning.
        """
        marker = f"{_MARKERS}/{name}.json"
        drafts: list[Draft] = []
        try:
            document = self._document(marker)
            if document is None:
                return None
            if document["made_of"] != made_of:
                raise ValueError("the shard was made from other input")
            for folder in folders:
                file, sha256 = document["files"][folder.folder.name]
                if not file.startswith(f"{name}.") or "/" in file:
                    raise ValueError(f"{shorten(file, 60)!r} is not a file of this shard")
                drafts.append(folder.draft(name, partial(self._download, f"{folder.folder.name}/{file}")))
                if drafts[-1].sha256 != sha256:
                    raise ValueError(f"the content of {file} does not match its checksum")
            return ShardDraft(name, made_of, drafts)
        except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
            log.warning("%s in %s cannot be used: %s. It is computed again.", marker, self.address, error)
            self._remove(marker)
            for folder, draft in zip(folders, drafts, strict=False):
                folder.forget(draft)
        return None

    def publish(self, draft: ShardDraft, folders: Sequence[ShardFolder], *, again: bool = False) -> bool:
        """Upload a shard.

        Parameters
        ----------
        draft, folders
            The shard's files, and the local folders that they are in.
        again
            Whether to replace a shard that is already in the store.

        Returns
        -------
        bool
            True: the shard counts. False: another attempt was first, and these files were removed.
        """
        attempt = secrets.token_hex(8)
        files = {}
        for folder, written in zip(folders, draft.files, strict=True):
            file = f"{draft.name}.{attempt}{folder.suffix}"
            with self._errors():
                self._files.put_file(str(folder.folder / written.file), self._path(f"{folder.folder.name}/{file}"))
            files[folder.folder.name] = (file, written.sha256)
        marker = f"{_MARKERS}/{draft.name}.json"
        if again:
            self._remove(marker)
        if self._create(marker, json.dumps(with_checksum({"made_of": draft.made_of, "files": files})).encode()):
            return True
        for kind, (file, _) in files.items():
            self._remove(f"{kind}/{file}")
        return False

    def _document(self, name: str) -> dict[str, Any] | None:
        """Return a JSON document of the store; None if it does not exist. Raises ValueError if it is damaged."""
        for _ in range(_TRIES - 1):
            with suppress(ValueError):
                return self._checked(name)
            time.sleep(_PAUSE)
        return self._checked(name)

    def _checked(self, name: str) -> dict[str, Any] | None:
        raw = self._read(name)
        return None if raw is None else check_document(parse_document(raw))

    def _create(self, name: str, content: bytes) -> bool:
        """Create a file; False if another process was first with other content.

        Raises MachineError if the store refuses.
        """
        for attempt in range(_TRIES):
            try:
                with self._files.open(self._path(name), "xb") as file:
                    file.write(content)
                return True
            except Exception as error:
                # Whatever the error says, the file decides: a request whose answer was lost is sent again, and then
                # refused because of itself.
                there = self._read(name)
                if there is not None:
                    return there == content
                if attempt + 1 == _TRIES:
                    raise self._failed(error) from error
            time.sleep(_PAUSE)
        raise AssertionError("unreachable")

    def _read(self, name: str) -> bytes | None:
        """Return a file's content; None if it does not exist."""
        with self._errors(), suppress(FileNotFoundError):
            return bytes(self._files.cat_file(self._path(name)))
        return None

    def _download(self, name: str, file: Path) -> None:
        with self._errors():
            self._files.get_file(self._path(name), str(file))

    def _remove(self, name: str) -> None:
        with self._errors(), suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        """Return a file's path in the store; on a local file system its folder is created."""
        path = f"{self._root}/{name}"
        if self._scheme in ("file", "local"):
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        return path

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise the different errors of different stores as MachineError, except FileNotFoundError."""
        try:
            yield
        except (FileNotFoundError, MachineError):
            raise
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> MachineError:
        return MachineError(
            f"the store {self.address} does not answer or refuses: {_reason(error)}. Finished work is kept: fix the "
            "cause and repeat the command."
        )


def _check(address: str) -> str:
    """Return an address's scheme; raises UserError if it is malformed or holds credentials, which are not repeated."""
    if "@" in urlsplit(address).netloc or "?" in address or "#" in address:
        raise UserError(
            f"{argument('store')}: the address holds a user, a key or options (with '@', '?' or '#'), which would end "
            "up in files and logs. Give only the place, such as s3://BUCKET/RUN, and put credentials into the "
            "environment (AWS_PROFILE, AWS_ACCESS_KEY_ID, ...)."
        )
    known = _ADDRESS.fullmatch(address)
    if known is None or "::" in address:
        raise UserError(
            f"{argument('store')} {shorten(address, 100)!r}: expected an address with a scheme, such as "
            "s3://BUCKET/RUN, gs://BUCKET/RUN or file:///FOLDER."
        )
    return known[1]


def _file_system(address: str, scheme: str) -> tuple[Any, str]:
    """Return a new file system that does not cache listings, and the path of the address in it."""
    package, extra = _EXTRAS.get(scheme, ("fsspec", "run"))
    try:
        with needed(package, extra, f"a store at {scheme}://"):
            from fsspec.core import url_to_fs

            return url_to_fs(address, skip_instance_cache=True, use_listings_cache=False)
    except ValueError as error:
        raise UserError(f"{argument('store')} {address!r} cannot be used: {error}.") from error


def _reason(error: BaseException | None) -> str:
    """Return the first line of an error's text, or else the name of its type."""
    return one_line(error).rstrip(".") or type(error).__name__
