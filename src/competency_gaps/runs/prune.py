"""Remove the rows of a finished run, which take most of its space, and keep its tables."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import NamedTuple

from competency_gaps.checked import write_document
from competency_gaps.errors import UserError
from competency_gaps.lock import hold
from competency_gaps.runs.open import open_folder
from competency_gaps.shards import PRUNED

_FOLDERS = ("responses", "activations")


class Pruned(NamedTuple):
    """What was removed of a run."""

    files: int
    bytes: int


def prune_folder(folder: Path) -> Pruned:
    """Remove the shards of a finished run; its tables and its activations by concept are kept.

    A run that was pruned is pruned again where the first time was interrupted.

    Raises
    ------
    UserError
        If the folder is no finished run, a table of it is damaged, or another process writes to it.
    MachineError
        If the folder cannot be written.
    """
    with hold(folder):
        run = open_folder(folder)
        if "outcome" in run.manifest:
            raise UserError(f"{str(folder)!r} is an outcome of a run and has no rows: give the run's folder.")
        # What is kept cannot be made anew without the rows.
        run.files.check_all()
        run.by_concept.check()
        removed, size = 0, 0
        for sub in _FOLDERS:
            # First, so that a run that is pruned in part is not taken for a damaged one.
            if (folder / sub).is_dir():
                now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                write_document(folder / sub / PRUNED, {"created": now})
        for sub in _FOLDERS:
            for path in sorted((folder / sub).glob("*")):
                if path.is_file() and path.name != PRUNED:
                    size += path.stat().st_size
                    removed += 1
                    path.unlink()
    return Pruned(removed, size)
