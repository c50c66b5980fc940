"""Runs too large for one process: made in parts and joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from competency_gaps.api.make import read_config
from competency_gaps.api.run import Run, as_run
from competency_gaps.config import RunConfig
from competency_gaps.progress import Progress
from competency_gaps.runs.part import PartRecord, parse_part


def make_part(
    config: RunConfig | Mapping[str, Any] | Path | str,
    out: Path | str,
    part: tuple[int, int],
    *,
    store: str | None = None,
    progress: Progress | None = None,
) -> PartRecord:
    """Read a part of a run's shards into a folder of its own.

    :func:`merge` joins the folders. With a store, :func:`run` finds all shards there.

    Parameters
    ----------
    config
        That of the whole run: a :class:`~competency_gaps.config.RunConfig`, a mapping of the same keys, or a YAML file.
    out
        The part's folder; a part in it that was stopped goes on.
    part
        ``(i, n)``: every n-th shard from the i-th on, where i is from 1 to n.
    store
        As in :func:`run`: shards of this part that lie there are taken, and those that are read are put there.
    progress
        Shows how far it is; None: quiet.

    Returns
    -------
    PartRecord
        ``part``, and the names of the run's ``shards`` and of its ``own``.

    Raises
    ------
    UserError
        If the configuration, a benchmark, the model, the SAE or the store is wrong, or the folder holds another part.
    MachineError
        If the machine gives no more (disk, memory), or the store does not answer; what is finished is kept.
    """
    from competency_gaps.runs.store import RunStore
    from competency_gaps.stages import merge as stage

    chosen = parse_part("/".join(map(str, part)))
    shared = RunStore(store) if store is not None else None
    return stage.make_part(read_config(config), Path(out), chosen, progress or Progress(quiet=True), shared)


def merge(
    folders: Sequence[Path | str], out: Path | str, *, progress: Progress | None = None, command: str = ""
) -> Run:
    """Join all parts of a run, or finished runs of one model and SAE over different benchmarks, into a new run.

    Nothing is read again: the tables are made from the shards, and a report is written. The benchmarks, the model and
    the SAE are loaded, and compared with those that the shards are of. Of finished runs, the check of the SAE and all
    settings but the benchmarks are those of the first; scores of other models are taken over.

    Parameters
    ----------
    folders
        Parts, made by :func:`make_part`, or finished runs.
    out
        The new run's folder. If a merge into it was stopped, it goes on.
    progress
        Shows how far it is; None: quiet.
    command
        What the manifest records as the command that made the run.

    Returns
    -------
    Run
        The joined run.

    Raises
    ------
    UserError
        If a part or a shard is missing, which the message names, or what is to be joined differs in anything that
        matters.
    """
    from competency_gaps.stages import merge as stage

    progress = progress or Progress(quiet=True)
    made = as_run(stage.merge([Path(folder) for folder in folders], Path(out), progress, command).path)
    made.report(progress=progress)
    return made
