"""Remove the rows of a finished run, which take most of its space, and keep its tables."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import NamedTuple

from competency_gaps.checked import write_document
from competency_gaps.errors import UserError
from competency_gaps.lock import hold
from competency_gaps.runs.manifest import shard_names
from competency_gaps.runs.open import open_folder
from competency_gaps.shards import PRUNED, STAGES, ShardFolder


class Pruned(NamedTuple):
    """What was removed of a run."""

    files: int
    bytes: int
    """That this freed: without files that the run shares with parts or runs that it was merged from."""


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
        names = [name for entry in run.manifest["benchmarks"] for name in shard_names(entry)]
        stages = [ShardFolder(folder / sub, suffix) for sub, suffix in STAGES]
        for stage in stages:
            if stage.folder.is_symlink():
                raise UserError(f"{stage.folder} is a link: expected a folder. Put the shards there, or delete them.")
        for stage in stages:
            # First, so that a run that is pruned in part is not taken for a damaged one.
            if stage.folder.is_dir():
                now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                write_document(stage.folder / PRUNED, {"created": now})
        removed, size = 0, 0
        for stage in stages:
            stage.sweep()
            for path in (path for name in names for path in stage.files(name) if path.exists()):
                status = path.lstat()
                size += status.st_size if status.st_nlink == 1 else 0
                removed += 1
                path.unlink()
    return Pruned(removed, size)
