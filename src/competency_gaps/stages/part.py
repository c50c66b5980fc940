"""A part of a run: every N-th of its shards, read into a folder of its own."""

from __future__ import annotations

from pathlib import Path

from competency_gaps.change import settle
from competency_gaps.config import RunConfig, as_dict
from competency_gaps.lock import hold
from competency_gaps.progress import Progress
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.part import Part, PartRecord, refuse_other_part, write_part
from competency_gaps.runs.store import RunStore
from competency_gaps.stages import pipeline
from competency_gaps.stages.engines import ReadPart, read_here, share
from competency_gaps.stages.reading import read_missing
from competency_gaps.stages.setting import set_up


def make_part(
    config: RunConfig, folder: Path, part: Part, progress: Progress, store: RunStore | None = None
) -> PartRecord:
    """Read a part of a run's shards into a folder, and a store if there is one; a part that was stopped goes on.

    Raises
    ------
    UserError
        As :func:`competency_gaps.stages.pipeline.run`; also if the folder holds another part, or a benchmark is a task
        that asks the model itself.
    """
    with hold(folder):
        settle(folder, MANIFEST)
        refuse_other_part(folder, part)
        engine = ReadPart(part, share(store, config, folder, read_here))
        setting = set_up(config, progress, None, folder)
        pipeline.begin(setting, folder, progress)
        work = read_missing(setting, folder, engine, progress)
        record = PartRecord(part, work.names, as_dict(config))
        write_part(folder, record)
    return record
