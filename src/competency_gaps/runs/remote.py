"""A folder behind an fsspec address, in an object store or elsewhere: files that are made once, never renamed.

Of two writers of one file the store lets only the first write it: the mode ``xb`` is sent as ``If-None-Match`` to S3
and as ``ifGenerationMatch=0`` to Google's store. Servers that ignore it are refused when a folder is opened.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from competency_gaps.errors import CompetencyGapsError, MachineError, MissingExtraError, UserError, argument
from competency_gaps.text import shorten

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://[^\s]+", re.ASCII)
_EXTRAS = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gcs"), "gcs": ("gcsfs", "gcs")}
"""By scheme, the package that reaches such addresses, and the extra that brings it."""
_LOCAL = ("file", "local")
PROBE = "probe"
"""Folder of files that are written to see what the store does, and then removed."""
_TRIES = 3
"""Attempts to create a file where the store refuses and yet holds none, as S3 does during another's request."""
_PAUSE = 0.5
"""Seconds between them."""
_CHUNK = 8 * 2**20
"""Bytes that are copied at once."""


class OtherSizeError(ValueError):
    """A file is not as long as it was declared."""


class RemoteFolder:
    """A folder that may be on any machine. A file system is made in each process: it must not be sent to another.

    Names of files are relative to the folder, with slashes.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        """As it was typed; it holds no credentials."""
        self.scheme = _check(address)
        self._files, root = _file_system(address, self.scheme)
        self._root = root.rstrip("/")

    def probe(self) -> None:
        """Write a file twice and remove it, to see whether the folder is there, and whether it holds firsts.

        Raises
        ------
        UserError
            If there is no such bucket, credentials are missing or refused, or a file can be overwritten.
        """
        name, first = f"{PROBE}/{secrets.token_hex(8)}", secrets.token_bytes(8)
        try:
            holds = self.create(name, first) and not self.create(name, first[::-1])
            self.remove(name)
        except MachineError as error:
            absent = isinstance(error.__cause__, FileNotFoundError)
            raise UserError(
                f"{argument('store')} {self.address!r} cannot be used: "
                + ("there is no such bucket or folder. " if absent else f"{_reason(error.__cause__)}. ")
                + "Check the address, and the credentials and the endpoint that the environment gives (AWS_PROFILE, "
                "AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, ...)."
            ) from error
        if not holds:
            raise UserError(
                f"{argument('store')} {self.address!r} cannot be used: it overwrites a file that was to be written "
                "only if there is none, so two machines could not share it. Use a server that knows If-None-Match."
            )

    def create(self, name: str, content: bytes) -> bool:
        """Write a file if there is none.

        Returns
        -------
        bool
            Whether the file holds this content now; otherwise another was first.

        Raises
        ------
        MachineError
            If the store does not answer, or refuses.
        """
        for attempt in range(_TRIES):
            opened = False
            try:
                with self._files.open(self._path(name), "xb") as file:
                    opened = True
                    file.write(content)
                return True
            except Exception as error:
                if opened and self.scheme in _LOCAL:  # the file is this writer's own, and half of it: the disk is full
                    self.remove(name)
                    raise self._failed(error) from error
                # Whatever the error says, the file decides: a request whose answer was lost is sent again, and then
                # refused because of itself.
                there = self.read(name, len(content))
                if there is not None:
                    return there == content
                if attempt + 1 == _TRIES:
                    raise self._failed(error) from error
            time.sleep(_PAUSE)
        raise AssertionError("unreachable")

    def read(self, name: str, limit: int) -> bytes | None:
        """The beginning of a file, one byte more than ``limit`` if it is longer; None: there is none."""
        with self._errors():
            try:
                with self._files.open(self._path(name), "rb", block_size=_CHUNK) as file:
                    return bytes(file.read(limit + 1))
            except FileNotFoundError:
                return None

    def upload(self, file: Path, name: str) -> None:
        """Copy a file from this machine, under a name that no other writer uses."""
        with self._errors():
            self._files.put_file(str(file), self._path(name))

    def download(self, name: str, file: Path, size: int) -> None:
        """Copy a file to this machine.

        Raises
        ------
        FileNotFoundError
            If there is none.
        OtherSizeError
            If it does not have this size; no more than it is copied.
        """
        left = size
        with file.open("wb") as target, self._reading(name) as source:
            while True:
                with self._errors(absent=True):  # a store may look for the file only now
                    chunk = source.read(min(_CHUNK, left + 1))
                left -= len(chunk)
                if left < 0:
                    raise OtherSizeError("is longer than it was when it was written")
                if not chunk:
                    break
                target.write(chunk)
        if left:
            raise OtherSizeError("is cut off")

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, as they are now."""
        with self._errors():
            self._files.invalidate_cache()
            try:
                return [str(path).rpartition("/")[2] for path in self._files.ls(self._path(folder), detail=False)]
            except FileNotFoundError:
                return []

    def older(self, names: Sequence[str], seconds: float) -> list[str]:
        """Those files that were written longer ago than this, by the store's clock; none where it does not say when."""
        if not names:
            return []
        probe, old = f"{PROBE}/{secrets.token_hex(8)}", []
        with self._errors(), suppress(NotImplementedError):
            self.create(probe, b"")
            try:
                now = self._files.modified(self._path(probe))
                for name in names:
                    with suppress(FileNotFoundError):
                        if (now - self._files.modified(self._path(name))).total_seconds() > seconds:
                            old.append(name)
            finally:
                self.remove(probe)
        return old

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        with self._errors(), suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    @contextmanager
    def _reading(self, name: str) -> Iterator[Any]:
        with self._errors(absent=True):
            source = self._files.open(self._path(name), "rb", block_size=_CHUNK)
        with source:
            yield source

    def _path(self, name: str) -> str:
        path = f"{self._root}/{name}"
        if self.scheme in _LOCAL:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        return path

    @contextmanager
    def _errors(self, *, absent: bool = False) -> Iterator[None]:
        """Turn the many errors of many stores into MachineError, but for those of absent files if these are wanted."""
        try:
            yield
        except CompetencyGapsError:
            raise
        except Exception as error:
            if absent and isinstance(error, FileNotFoundError):
                raise
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> MachineError:
        return MachineError(
            f"the store {self.address} does not answer, or refuses: {_reason(error)}. What is finished is kept: run "
            "the same command again when the cause is removed."
        )


def _check(address: str) -> str:
    """Give the scheme of an address, and refuse what is none or holds credentials, without repeating these."""
    if "@" in urlsplit(address).netloc or "?" in address or "#" in address:
        raise UserError(
            f"{argument('store')}: the address holds a user, a key or options (with '@', '?' or '#'), which would be "
            "kept in files and logs. Give only the place, such as s3://BUCKET/RUN, and credentials by the environment "
            "(AWS_PROFILE, AWS_ACCESS_KEY_ID, ...)."
        )
    known = _ADDRESS.fullmatch(address)
    if known is None or "::" in address:
        raise UserError(
            f"{argument('store')} {shorten(address, 100)!r}: expected an address with a scheme, such as "
            "s3://BUCKET/RUN, gs://BUCKET/RUN or file:///FOLDER."
        )
    return known[1]


def _file_system(address: str, scheme: str) -> tuple[Any, str]:
    """A file system of this process without a memory for listings, and the folder's place in it."""
    package, extra = _EXTRAS.get(scheme, ("fsspec", "run"))
    try:
        from fsspec.core import url_to_fs

        return url_to_fs(address, skip_instance_cache=True, use_listings_cache=False)
    except ImportError as error:
        if scheme in _EXTRAS or error.name == "fsspec":
            raise MissingExtraError(package, extra, f"a store at {scheme}://") from error
        raise UserError(f"{argument('store')} {address!r} needs a package that is not installed: {error}.") from error
    except ValueError as error:
        raise UserError(f"{argument('store')} {address!r} cannot be used: {error}.") from error


def _reason(error: BaseException | None) -> str:
    """What an error says, or else its kind."""
    text = " ".join(str(error).split()).rstrip(".")
    return shorten(text, 300) if text else type(error).__name__
