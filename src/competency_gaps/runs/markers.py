"""Markers of a store: which files are a shard's. All that they say is checked, since strangers may write them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from competency_gaps.checked import check_document, parse_document, with_checksum
from competency_gaps.shards import ShardFolder
from competency_gaps.text import shorten

MARKERS = "shards"
MARKER_BYTES = 2**14
"""Longest marker."""
_FILE_BYTES = 2**34
"""Largest file of a shard: 32,768 tokens, all of 65,536 concepts active on each, take half of it."""
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ATTEMPT = r"\.[0-9a-f]{16}"
"""Between a shard's name and its suffix, in the names of the files of an attempt at it."""


class StoredFile(NamedTuple):
    """A file of a shard, as its marker declares it."""

    name: str
    sha256: str
    size: int


def marker_name(shard: str) -> str:
    """Where the marker of a shard lies."""
    return f"{MARKERS}/{shard}.json"


def make_marker(made_of: str, files: Mapping[str, StoredFile]) -> bytes:
    """The marker of a shard, with its file in each folder."""
    content = {"made_of": made_of, "files": {kind: file._asdict() for kind, file in files.items()}}
    return json.dumps(with_checksum(content)).encode()


def read_content(raw: bytes, limit: int) -> dict[str, Any]:
    """What a document says; raises ValueError if it is damaged, or longer than so many bytes."""
    if len(raw) > limit:
        raise ValueError(f"it is longer than {limit:,} bytes")
    return check_document(parse_document(raw))


def declared(
    document: Mapping[str, Any], shard: str, folders: Sequence[ShardFolder], made_of: str | None = None
) -> list[StoredFile]:
    """The files that a marker declares, one per folder.

    Raises
    ------
    ValueError
        If they are not declared as :func:`make_marker` does, or the shard was made of other input.
    """
    if made_of is not None and document.get("made_of") != made_of:
        raise ValueError("the shard was made of other input")
    files = []
    try:
        for folder in folders:
            given = document["files"][folder.folder.name]
            files.append(StoredFile(str(given["name"]), str(given["sha256"]), int(given["size"])))
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("it declares no files") from error
    for folder, file in zip(folders, files, strict=True):
        # A name leads to no other shard's files, and a size is not too large.
        if shard_of(file.name, folder.suffix) != shard:
            raise ValueError(f"{shorten(file.name, 60)!r} is no name of a file of this shard")
        if not _SHA256.fullmatch(file.sha256) or not 0 <= file.size <= _FILE_BYTES:
            raise ValueError(f"the checksum or the size of {file.name} is none")
    return files


def shard_of(file: str, suffix: str) -> str | None:
    """The shard of whose attempts a file with this suffix is; None: its name is no attempt's."""
    known = re.fullmatch(rf"([A-Za-z0-9_-]+){_ATTEMPT}{re.escape(suffix)}", file, re.ASCII)
    return None if known is None else known[1]
