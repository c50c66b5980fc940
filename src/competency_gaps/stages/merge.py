"""Parts of a run, each read into a folder of its own, and folders joined into a run without reading anything again."""

from __future__ import annotations

import functools
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from competency_gaps.change import settle
from competency_gaps.checked import write_document
from competency_gaps.config import RunConfig, as_dict, parse_config
from competency_gaps.errors import UserError
from competency_gaps.files import make_folder, sync_folder, write_atomic
from competency_gaps.lock import hold
from competency_gaps.progress import Progress
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.manifest import shard_names
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.part import FILE as PART
from competency_gaps.runs.part import Part, PartRecord, read_part, write_part
from competency_gaps.runs.plan import FILE as PLAN
from competency_gaps.runs.plan import plan_differences, read_plan, refuse_strangers
from competency_gaps.runs.scores import read_scores, write_scores
from competency_gaps.runs.store import RunStore
from competency_gaps.shards import STAGES, ShardFolder
from competency_gaps.stages import pipeline
from competency_gaps.stages.engines import missing_line, read_here, read_missing, read_nothing, read_part_of, share
from competency_gaps.stages.judging import join_answers
from competency_gaps.stages.setting import set_up
from competency_gaps.text import listing, plural

_GATE = ("gate.parquet", "gate.json")
_BY_BENCHMARK = ("benchmarks", "plugins", "versions")
"""Of a plan: what depends on the benchmarks."""
_OWN = ("out", "batch_tokens")
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


class _Copy(NamedTuple):
    """A shard that is taken over."""

    folder: Path
    name: str
    new: str
    """Its name in the joined run."""


class Joined(NamedTuple):
    """What the folders make together."""

    settings: dict[str, Any]
    plan: dict[str, Any]
    copies: list[_Copy]
    scores: pl.DataFrame | None = None
    """Of other models, on the joined run's items; None: those that the settings name."""


def merge(folders: Sequence[Path], out: Path, progress: Progress, command: str = "") -> RunFolder:
    """Join the parts of a run, or finished runs of one model and SAE over different benchmarks, into a new run.

    Shards are linked, or copied where the file system cannot link; tables are made from them. The model and the SAE are
    loaded and compared with those that read the shards, but read nothing.

    Raises
    ------
    UserError
        If parts are missing or not finished, or the folders are not of one run, or of one model, SAE and settings.
    """
    counted = Counter(folder.resolve() for folder in folders)
    if not counted or max(counted.values()) > 1:
        raise UserError("merge: expected one folder or more, each of them once.")
    joined = join(folders)
    config = parse_config(RunConfig, {**joined.settings, "out": None}, str(folders[0]))
    places = {copy.new: f"{copy.name} of {copy.folder}" for copy in joined.copies}
    with hold(out):
        lay(joined, folders, out)
        made = pipeline.run(config, out, progress, command, engine=functools.partial(read_nothing, places=places))
        if joined.scores is not None:
            _take_scores(joined.scores, made, progress)
    return open_folder(out)


def join(folders: Sequence[Path]) -> Joined:
    """What parts, or finished runs, make together; raises UserError where they do not belong together."""
    finished = [(folder / MANIFEST).is_file() for folder in folders]
    if any(finished) and not all(finished):
        raise UserError(
            f"{folders[finished.index(True)]} is a finished run, {folders[finished.index(False)]} is none: expected "
            "either the parts of one run, or finished runs."
        )
    return _joined_runs(folders) if all(finished) else _joined_parts(folders)


def _joined_parts(folders: Sequence[Path]) -> Joined:
    records = [read_part(folder) for folder in folders]
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
        raise UserError("merge: a part is given twice.")
    copies = [_Copy(folder, name, name) for folder, record in zip(folders, records, strict=True) for name in record.own]
    return Joined(first.settings, plan, copies)


def _fixed(record: PartRecord) -> dict[str, Any]:
    """Settings that all parts of a run share."""
    return {key: value for key, value in record.settings.items() if key not in _OWN}


def _joined_runs(folders: Sequence[Path]) -> Joined:
    runs, plans = [open_folder(folder) for folder in folders], [read_plan(folder) for folder in folders]
    for folder, plan in zip(folders, plans, strict=True):
        if differing := plan_differences(_without_benchmarks(plan), _without_benchmarks(plans[0])):
            raise UserError(
                f"{folder} and {folders[0]} differ in {differing}: expected runs of one model and SAE with the same "
                "settings."
            )
    entries = [(run.path, entry) for run in runs for entry in run.manifest["benchmarks"]]
    names = [entry["name"] for _, entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"several of the runs hold the benchmark {', '.join(twice)}: expected different benchmarks.")
    judged = [run for run in runs if run.manifest["judging"] and run.manifest["judging"]["judge"]]
    for run in judged[1:]:
        judges = [own.manifest["judging"]["judge"] for own in (run, judged[0])]
        if judges[0] != judges[1]:
            raise UserError(
                f"{run.path} was judged by {judges[0]!r}, and {judged[0].path} by {judges[1]!r}: expected one judge. "
                "Run the command of one of them again with the other's 'judge.model'."
            )
    plan = {**plans[0], **{key: _union(folders, plans, key) for key in _BY_BENCHMARK}}
    plan["config"] = {**plan["config"], "benchmarks": [b for held in plans for b in held["config"]["benchmarks"]]}
    settings = [run.manifest["settings"] for run in runs]
    together = {"benchmarks": [entry for own in settings for entry in own["benchmarks"]], "scores": []}
    if judged:
        together["judge"] = judged[0].manifest["settings"]["judge"]
    copies = [
        _Copy(folder, name, f"b{number:03d}-{name.rpartition('-')[2]}")
        for number, (folder, entry) in enumerate(entries)
        for name in shard_names(entry)
    ]
    tables, first = [], 0
    for run in runs:
        table = read_scores(run.path)
        tables.append(table.with_columns((pl.col("item") + first).cast(table.schema["item"])))
        first += sum(int(entry["items"]) for entry in run.manifest["benchmarks"])
    return Joined({**settings[0], **together}, plan, copies, pl.concat(tables))


def _take_scores(scores: pl.DataFrame, made: RunFolder, progress: Progress) -> None:
    """Keep the scores of other models; a model that has scores of its own in the joined run has no others."""
    own = scores.filter(pl.col("model") != made.own_model) if made.own_model is not None else scores
    if own.height < scores.height:
        left = plural(scores.height - own.height, "score")
        progress.say(f"{left} of {made.own_model} left out: the items of the joined run have its scores already")
    if own.height:
        write_scores(made.path, own)


def _without_benchmarks(plan: Mapping[str, Any]) -> dict[str, Any]:
    config = {key: value for key, value in plan["config"].items() if key != "benchmarks"}
    return {**{key: value for key, value in plan.items() if key not in _BY_BENCHMARK}, "config": config}


def _union(folders: Sequence[Path], plans: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    """What the plans say together; raises UserError where they differ, as in a package's version."""
    together: dict[str, Any] = {}
    for folder, plan in zip(folders, plans, strict=True):
        known = {name: together[name] for name in plan[key] if name in together}
        if differing := plan_differences({key: {name: plan[key][name] for name in known}}, {key: known}):
            raise UserError(f"{folder} and the runs before it differ in {differing}: make them with the same versions.")
        together |= plan[key]
    return together


def lay(joined: Joined, folders: Sequence[Path], out: Path) -> None:
    """Put plan, gate, shards and judges' answers into the folder of the joined run, as far as they are not there."""
    if (out / PLAN).is_file():
        if differing := plan_differences(read_plan(out), joined.plan):
            raise UserError(
                f"{str(out)!r} holds another run than the folders make: they differ in {differing}. Choose another "
                "folder."
            )
    else:
        refuse_strangers(out)
        write_document(out / PLAN, joined.plan)
    # The two belong together, and those of another folder may differ.
    if not all((out / name).is_file() for name in _GATE):
        for name in _GATE:
            if not (folders[0] / name).is_file():
                raise UserError(f"{folders[0] / name} is missing: run the command that made {str(folders[0])!r} again.")
            _take(folders[0] / name, out / name)
    lost = []
    for sub, suffix in STAGES:
        make_folder(out / sub)
        for copy in joined.copies:
            old = ShardFolder(copy.folder / sub, suffix).files(copy.name)
            new = ShardFolder(out / sub, suffix).files(copy.new)
            if not all(file.is_file() for file in old):
                lost.append(f"{copy.folder / sub / copy.name}{suffix}")
            elif not all(file.is_file() for file in new):
                for source, target in zip(old, new, strict=True):
                    _take(source, target)
        sync_folder(out / sub)
    if lost:
        raise UserError(missing_line(lost))
    join_answers(folders, out)


def _take(source: Path, target: Path) -> None:
    """Link a file, which is never changed in place, or copy it where it cannot be linked."""

    def copy(part: Path) -> None:
        shutil.copyfile(source, part)

    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        write_atomic(target, copy)
