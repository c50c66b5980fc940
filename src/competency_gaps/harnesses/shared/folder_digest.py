"""One hash of the files beside a task: an edited task is another task."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

MAX_FILES = 2_000
"""Most files that are hashed, in the order of their names [ours]."""
MAX_BYTES = 16 * 2**20
"""Of a larger file, only size and modification time are hashed [ours]."""
_RUN = frozenset({"plan.json", "manifest.json"})
_OUTPUT = frozenset({"__pycache__", "logs"})


def folder_digest(folder: Path, suffixes: Collection[str], *, depth: int, skip: Path | None = None) -> str:
    """SHA-256 over names and contents of the files in a folder and the folders in it.

    Hidden folders, run folders, and the output folders of Python and Inspect are skipped: what a run writes is not part
    of its task.

    Parameters
    ----------
    suffixes
        Suffixes of the files that count, with the dot.
    depth
        Levels of subfolders that are searched.
    skip
        The run folder, which may lie in ``folder``.
    """
    digest = hashlib.sha256()
    left = MAX_FILES
    for place, folders, files in os.walk(folder):
        here = Path(place)
        below = len(here.relative_to(folder).parts)
        if below and (_RUN & set(files) or (skip is not None and here.resolve() == skip.resolve())):
            folders[:] = []
            continue
        kept = sorted(name for name in folders if not name.startswith(".") and name not in _OUTPUT)
        folders[:] = kept if below < depth else []
        for name in sorted(name for name in files if Path(name).suffix in suffixes)[:left]:
            left -= 1
            digest.update(f"{(here / name).relative_to(folder).as_posix()}\0{_content(here / name)}\n".encode())
    return digest.hexdigest()


def _content(path: Path) -> str:
    try:
        known = path.stat()
        if known.st_size > MAX_BYTES:
            return f"{known.st_size} {known.st_mtime_ns}"
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "cannot be read"
