"""Parts of a run, read one by one, and folders joined into one run without reading anything again."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.change import settle
from competency_gaps.checked import write_document
from competency_gaps.config import RunConfig, as_dict, parse_config
from competency_gaps.errors import UserError
from competency_gaps.files import write_atomic
from competency_gaps.harnesses.inspect.evaluate import asks_the_model
from competency_gaps.lock import hold
from competency_gaps.progress import Progress
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.open import RunFolder, open_folder, shard_names
from competency_gaps.runs.part import Part, PartRecord, read_part, refuse_other_part, write_part
from competency_gaps.runs.plan import FILE as PLAN
from competency_gaps.runs.plan import plan_differences, read_plan, refuse_pruned, refuse_strangers
from competency_gaps.shards import STAGES, ShardFolder
from competency_gaps.stages import pipeline
from competency_gaps.stages.judging import FOLDER as JUDGING
from competency_gaps.stages.judging import WHO
from competency_gaps.stages.reading import ReadPart, missing_line, read_missing, read_nothing
from competency_gaps.stages.setting import set_up

_GATE = ("gate.parquet", "gate.json")
_BY_BENCHMARK = ("benchmarks", "plugins", "versions")
"""Of a plan: what depends on the benchmarks."""
_OWN = ("out", "batch_tokens")
"""Settings that parts need not share: a part for which memory ran out may go on with a lower ``batch_tokens``."""
_NAMED = 6
"""Parts that an error names."""


class _Copy(NamedTuple):
    """A shard that is taken over."""

    folder: Path
    name: str
    new: str
    """Its name in the joined run."""


def make_part(config: RunConfig, folder: Path, part: Part, progress: Progress) -> PartRecord:
    """Read a part of a run's shards into a folder; a part that was stopped goes on.

    Raises
    ------
    UserError
        As :func:`competency_gaps.stages.pipeline.run`; also if the folder holds another part, or a benchmark is a task
        that asks the model itself.
    """
    _refuse_tasks(config)
    with hold(folder):
        settle(folder, MANIFEST)
        refuse_other_part(folder, part)
        setting = set_up(config, progress, None, folder)
        pipeline.begin(setting, folder, progress)
        work = read_missing(setting, folder, ReadPart(part), progress)
        record = PartRecord(part, work.names, as_dict(config))
        write_part(folder, record)
    return record


def merge(folders: Sequence[Path], out: Path, progress: Progress, command: str = "") -> RunFolder:
    """Join the parts of a run, or finished runs of one model and SAE over different benchmarks, into a new run.

    Shards are linked, or copied where the file system cannot link; tables are made from them. The model and the SAE are
    loaded and compared with those that read the shards, but read nothing.

    Raises
    ------
    UserError
        If parts are missing or not finished, or the folders are not of one run, or of one model, SAE and settings.
    """
    if len({folder.resolve() for folder in folders}) < len(folders) or not folders:
        raise UserError("merge: expected one folder or more, each once.")
    finished = [(folder / MANIFEST).is_file() for folder in folders]
    if any(finished) and not all(finished):
        raise UserError(
            f"{folders[finished.index(True)]} is a finished run, {folders[finished.index(False)]} is none: expected "
            "either the parts of one run, or finished runs."
        )
    for folder in folders:
        refuse_pruned(folder)
    joined = _joined_runs(folders) if all(finished) else _joined_parts(folders)
    config = parse_config(RunConfig, {**joined.settings, "out": None}, str(folders[0]))
    _refuse_tasks(config)
    with hold(out):
        _lay(joined, folders, out)
        return pipeline.run(config, out, progress, command, engine=read_nothing)


class _Joined(NamedTuple):
    """What the folders make together."""

    settings: dict[str, Any]
    plan: dict[str, Any]
    copies: list[_Copy]


def _joined_parts(folders: Sequence[Path]) -> _Joined:
    records = [read_part(folder) for folder in folders]
    first, plan = records[0], read_plan(folders[0])
    for folder, record in zip(folders, records, strict=True):
        differing = plan_differences(read_plan(folder), plan) or plan_differences(_fixed(record), _fixed(first))
        if differing:
            raise UserError(
                f"{folder} is a part of another run than {folders[0]}: they differ in {', '.join(differing[:6])}."
            )
        if record.part.of != first.part.of:
            raise UserError(f"{folder} is part {record.part}, and {folders[0]} is {first.part}: expected one division.")
    there = Counter(record.part.number for record in records)
    if lacking := first.part.of - len(there):
        absent = (str(Part(number, first.part.of)) for number in range(1, first.part.of + 1) if number not in there)
        listed = ", ".join(islice(absent, _NAMED)) + (f" and {lacking - _NAMED:,} more" if lacking > _NAMED else "")
        raise UserError(f"of the run's parts, {listed} {'is' if lacking == 1 else 'are'} missing.")
    if twice := [number for number, count in there.items() if count > 1]:
        raise UserError(f"part {Part(twice[0], first.part.of)} is given twice.")
    copies = [_Copy(folder, name, name) for folder, record in zip(folders, records, strict=True) for name in record.own]
    return _Joined(first.settings, plan, copies)


def _fixed(record: PartRecord) -> dict[str, Any]:
    """Settings that all parts of a run share."""
    return {key: value for key, value in record.settings.items() if key not in _OWN}


def _joined_runs(folders: Sequence[Path]) -> _Joined:
    runs = [open_folder(folder) for folder in folders]
    settings = [dict(run.manifest["settings"]) for run in runs]
    plans = [read_plan(folder) for folder in folders]
    for folder, plan in zip(folders, plans, strict=True):
        differing = plan_differences(_without_benchmarks(plan), _without_benchmarks(plans[0]))
        if differing:
            raise UserError(
                f"{folder} and {folders[0]} differ in {', '.join(differing[:6])}: expected runs of one model and SAE "
                "with the same settings."
            )
    names = [entry["name"] for run in runs for entry in run.manifest["benchmarks"]]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"several of the runs hold the benchmark {', '.join(twice)}: expected different benchmarks.")
    plan = {**plans[0], **{key: _union(plans, key) for key in _BY_BENCHMARK}}
    plan["config"] = {**plan["config"], "benchmarks": [b for held in plans for b in held["config"]["benchmarks"]]}
    together = {key: [entry for own in settings for entry in own[key]] for key in ("benchmarks", "scores")}
    return _Joined({**settings[0], **together}, plan, list(_renumbered(runs)))


def _without_benchmarks(plan: Mapping[str, Any]) -> dict[str, Any]:
    config = {key: value for key, value in plan["config"].items() if key != "benchmarks"}
    return {**{key: value for key, value in plan.items() if key not in _BY_BENCHMARK}, "config": config}


def _union(plans: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    """What the plans say together; raises UserError where they differ, as in a package's version."""
    together: dict[str, Any] = {}
    for plan in plans:
        for name, value in plan[key].items():
            if together.setdefault(name, value) != value:
                raise UserError(
                    f"the runs differ in {key}.{name}, which is {together[name]} in one and {value} in another: make "
                    "them with the same versions."
                )
    return together


def _renumbered(runs: Sequence[RunFolder]) -> Iterator[_Copy]:
    entries = [(run.path, entry) for run in runs for entry in run.manifest["benchmarks"]]
    for number, (folder, entry) in enumerate(entries):
        for name in shard_names(entry):
            yield _Copy(folder, name, f"b{number:03d}-{name.rpartition('-')[2]}")


def _refuse_tasks(config: RunConfig) -> None:
    for choice in config.benchmarks:
        if asks_the_model(choice):
            raise UserError(
                f"{choice.name}: a task that asks the model itself cannot be read in parts or joined. Run it alone, "
                "and give its log as a benchmark."
            )


def _lay(joined: _Joined, folders: Sequence[Path], out: Path) -> None:
    """Put plan, gate, shards and judges' answers into the folder of the joined run, as far as they are not there."""
    refuse_pruned(out)
    if (out / PLAN).is_file():
        if differing := plan_differences(read_plan(out), joined.plan):
            raise UserError(
                f"{str(out)!r} holds a run that differs in {', '.join(differing[:6])}. Choose another folder."
            )
    else:
        refuse_strangers(out)
        write_document(out / PLAN, joined.plan)
    for name in _GATE:
        if (out / name).is_file():
            continue
        if not (folders[0] / name).is_file():
            raise UserError(f"{folders[0] / name} is missing: run the command that made {str(folders[0])!r} again.")
        _take(folders[0] / name, out / name)
    lost = []
    for sub, suffix in STAGES:
        (out / sub).mkdir(exist_ok=True)
        for copy in joined.copies:
            old = ShardFolder(copy.folder / sub, suffix).files(copy.name)
            new = ShardFolder(out / sub, suffix).files(copy.new)
            if not all(file.is_file() for file in old):
                lost.append(f"{copy.folder / sub / copy.name}{suffix}")
            elif not all(file.is_file() for file in new):
                for source, target in zip(old, new, strict=True):
                    target.unlink(missing_ok=True)
                    _take(source, target)
    if lost:
        raise UserError(missing_line(lost))
    _take_answers([folder / JUDGING for folder in folders], out / JUDGING)


def _take_answers(folders: Sequence[Path], out: Path) -> None:
    """Keep the answers of judges, so that nothing is asked twice."""
    there = [folder for folder in folders if (folder / WHO).is_file()]
    if not there or (out / WHO).is_file():
        return
    if len({(folder / WHO).read_bytes() for folder in there}) > 1:
        raise UserError(f"{there[0].parent} and another of the runs were judged by different models.")
    out.mkdir(exist_ok=True)
    for name in sorted({path.name for folder in there for path in folder.glob("*.jsonl")}):
        kept = [(folder / name).read_bytes() for folder in there if (folder / name).is_file()]
        (out / name).write_bytes(b"".join(text if text.endswith(b"\n") else text + b"\n" for text in kept if text))
    _take(there[0] / WHO, out / WHO)


def _take(source: Path, target: Path) -> None:
    """Link a file, which is never changed in place, or copy it where it cannot be linked."""

    def copy(part: Path) -> None:
        shutil.copyfile(source, part)

    try:
        os.link(source, target)
    except OSError:
        write_atomic(target, copy)
