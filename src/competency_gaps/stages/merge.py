"""Parts of a run, each read into a folder of its own, and joined into a run without reading anything again."""

from __future__ import annotations

import functools
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from competency_gaps.change import settle
from competency_gaps.checked import write_document
from competency_gaps.config import RunConfig, as_dict, parse_config
from competency_gaps.errors import UserError
from competency_gaps.files import make_folder, sync_folder, write_atomic
from competency_gaps.lock import hold
from competency_gaps.progress import Progress
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.part import FILE as PART
from competency_gaps.runs.part import Part, PartRecord, read_part, write_part
from competency_gaps.runs.plan import FILE as PLAN
from competency_gaps.runs.plan import plan_differences, read_plan, refuse_strangers
from competency_gaps.runs.store import RunStore
from competency_gaps.shards import STAGES, ShardFolder
from competency_gaps.stages import pipeline
from competency_gaps.stages.engines import missing_line, read_here, read_missing, read_nothing, read_part_of, share
from competency_gaps.stages.setting import set_up
from competency_gaps.text import listing

_GATE = ("gate.parquet", "gate.json")
_OWN = ("out", "batch_tokens", "ray")
"""Settings that parts need not share: a part for which memory ran out may go on with a lower ``batch_tokens``."""


def make_part(
    config: RunConfig, folder: Path, part: Part, progress: Progress, store: RunStore | None = None
) -> PartRecord:
    """Read a part of a run's shards into a folder, and a store if there is one; a part that was stopped goes on.

    Raises
    ------
    UserError
        As :func:`competency_gaps.stages.pipeline.run`; also if the folder holds another part.
    """
    with hold(folder):
        settle(folder, MANIFEST)
        if (folder / PART).is_file() and (known := read_part(folder)).part != part:
            raise UserError(f"{str(folder)!r} holds part {known.part}, not {part}. Give each part a folder of its own.")
        engine = read_part_of(part, share(store, config, folder, read_here))
        setting = set_up(config, progress, None, folder)
        pipeline.begin(setting, folder, progress)
        work = read_missing(setting, folder, engine, progress)
        record = PartRecord(part, work.names, as_dict(config))
        write_part(folder, record)
    return record


def merge(folders: Sequence[Path], out: Path, progress: Progress, command: str = "") -> RunFolder:
    """Join the parts of a run into a new run.

    Shards are linked, or copied where the file system cannot link; tables are made from them. The model and the SAE are
    loaded and compared with those that read the shards, but read nothing.

    Raises
    ------
    UserError
        If parts are missing or not finished, or the folders are not of one run.
    """
    counted = Counter(folder.resolve() for folder in folders)
    if not counted or max(counted.values()) > 1:
        raise UserError("merge: expected one or more different folders.")
    records = [read_part(folder) for folder in folders]
    _check_parts(folders, records)
    config = parse_config(RunConfig, {**records[0].settings, "out": None}, str(folders[0]))
    places = {
        name: f"{name} of {folder}" for folder, record in zip(folders, records, strict=True) for name in record.own
    }
    with hold(out):
        _lay(folders, records, out)
        pipeline.run(config, out, progress, command, engine=functools.partial(read_nothing, places=places))
    return open_folder(out)


def _check_parts(folders: Sequence[Path], records: Sequence[PartRecord]) -> None:
    """Check that the folders are all parts of one run."""
    first, plan = records[0], read_plan(folders[0])
    for folder, record in zip(folders, records, strict=True):
        differing = plan_differences(read_plan(folder), plan) or plan_differences(_fixed(record), _fixed(first))
        if differing:
            raise UserError(f"{folder} is a part of another run than {folders[0]}: they differ in {differing}.")
        if record.part.of != first.part.of:
            raise UserError(f"{folder} is part {record.part}, and {folders[0]} is {first.part}: expected one division.")
    numbers = [record.part.number for record in records]
    if lacking := sorted(set(range(1, first.part.of + 1)) - set(numbers)):
        absent = listing((str(Part(number, first.part.of)) for number in lacking), len(lacking))
        raise UserError(f"of the run's parts, {absent} {'is' if len(lacking) == 1 else 'are'} missing.")
    if len(numbers) > first.part.of:
        raise UserError("merge: the same part was given twice.")


def _fixed(record: PartRecord) -> dict[str, Any]:
    """Settings that all parts of a run share."""
    return {key: value for key, value in record.settings.items() if key not in _OWN}


def _lay(folders: Sequence[Path], records: Sequence[PartRecord], out: Path) -> None:
    """Put plan, gate and shards into the folder of the joined run, as far as they are not there."""
    plan = read_plan(folders[0])
    if (out / PLAN).is_file():
        if differing := plan_differences(read_plan(out), plan):
            raise UserError(
                f"{str(out)!r} holds another run than these folders make: they differ in {differing}. Choose another."
            )
    else:
        refuse_strangers(out)
        write_document(out / PLAN, plan)
    # The two belong together, and those of another folder may differ.
    if not all((out / name).is_file() for name in _GATE):
        for name in _GATE:
            if not (folders[0] / name).is_file():
                raise UserError(f"{folders[0] / name} is missing: repeat the command that made {str(folders[0])!r}.")
            _take(folders[0] / name, out / name)
    lost = []
    for sub, suffix in STAGES:
        make_folder(out / sub)
        for folder, record in zip(folders, records, strict=True):
            for name in record.own:
                old = ShardFolder(folder / sub, suffix).files(name)
                new = ShardFolder(out / sub, suffix).files(name)
                if not all(file.is_file() for file in old):
                    lost.append(f"{folder / sub / name}{suffix}")
                elif not all(file.is_file() for file in new):
                    for source, target in zip(old, new, strict=True):
                        _take(source, target)
        sync_folder(out / sub)
    if lost:
        raise UserError(missing_line(lost))


def _take(source: Path, target: Path) -> None:
    """Link a file, which is never changed in place, or copy it where it cannot be linked."""

    def copy(part: Path) -> None:
        shutil.copyfile(source, part)

    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        write_atomic(target, copy)
