"""Parts of a run, each read into a folder of its own, and joined into a run without reading anything again.

A part holds a plan, the SAE's check and shards, but no tables; and, once all its shards are read, a document that says
which they are.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.items.config import RunConfig, as_dict, parse_config
from competency_gaps.model.hooks import Hook
from competency_gaps.model.load import LanguageModel, load_tokenizer
from competency_gaps.pipeline import run as pipeline
from competency_gaps.pipeline.engines import Work, known_plan, read_here, read_missing, share
from competency_gaps.pipeline.extraction import ShardFiles
from competency_gaps.pipeline.setting import set_up
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.plan import FILE as PLAN
from competency_gaps.runs.plan import plan_differences, planned, read_plan, refuse_strangers
from competency_gaps.runs.store import RunStore
from competency_gaps.sae.load import LoadedPair, SparseAutoencoder, sae_folder
from competency_gaps.util.change import settle
from competency_gaps.util.checked import damaged, read_document, write_document
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import make_folder, sync_folder, write_atomic
from competency_gaps.util.lock import hold
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import listing

PART = "part.json"
_GATE = ("gate.parquet", "gate.json")


class Part(NamedTuple):
    """Every ``of``-th shard of a run, from the ``number``-th on."""

    number: int
    """From 1 to ``of``."""
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def choose(self, names: Sequence[str]) -> list[str]:
        """The shards of this part. Each part gets long items and short ones, because shards go from long to short."""
        return list(names[self.number - 1 :: self.of])


@dataclass(frozen=True)
class PartRecord:
    """A finished part of a run."""

    part: Part
    shards: list[str]
    """Names of the shards of the whole run."""
    settings: dict[str, Any]
    """The configuration."""
    pair: dict[str, Any]
    """What joining needs of model and SAE: their identities, the hook, the first token and the longest input."""

    @property
    def members(self) -> list[str]:
        """Names of the shards that the part holds."""
        return self.part.choose(self.shards)


def parse_part(text: str) -> Part:
    """Parse ``I/N``.

    Raises
    ------
    UserError
        If it is no part, such as 0/4 or 5/4.
    """
    if not re.fullmatch(r"[0-9]{1,9}/[0-9]{1,9}", text):
        raise UserError(f"part {text[:40]!r}: expected I/N, such as 1/8 for the first of eight parts.")
    number, of = text.split("/")
    if not 1 <= int(number) <= int(of):
        raise UserError(f"part {text}: expected I/N, with I from 1 to N.")
    return Part(int(number), int(of))


def read_part(folder: Path) -> PartRecord:
    """Read the document of a finished part.

    Raises
    ------
    UserError
        If there is none, or it is damaged.
    """
    path = folder / PART
    try:
        known = read_document(path)
        return PartRecord(**{**known, "part": Part(*known["part"])})
    except FileNotFoundError as error:
        raise UserError(
            f"{str(folder)!r} is neither a finished part nor a finished run: repeat the command that makes it; "
            "finished work in it is kept."
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise damaged(path, error, "Repeat the command that made the part: it reads only what is missing.") from error


def make_part(
    config: RunConfig, folder: Path, part: Part, progress: Progress, store: RunStore | None = None
) -> PartRecord:
    """Read a part of a run's shards into a folder, and a store if there is one; a part that was stopped goes on.

    Raises
    ------
    UserError
        As :func:`competency_gaps.pipeline.run.run`; also if the folder holds another part.
    """
    with hold(folder):
        settle(folder, MANIFEST)
        if (folder / PART).is_file() and (known := read_part(folder)).part != part:
            raise UserError(f"{str(folder)!r} holds part {known.part}, not {part}. Give each part a folder of its own.")

        def read(work: Work) -> None:
            members = set(part.choose(work.names))
            work.missing = [task for task in work.missing if task.shard.name in members]
            work.bar.expect(work.bar.done + sum(task.shard.tokens for task in work.missing))
            share(store, read_here)(work)

        setting = set_up(planned(config, known_plan(folder, store)), progress)
        pipeline.begin(setting, folder, progress)
        work = read_missing(setting, folder, read, progress)
        lm, sae, hook = setting.lm, setting.sae.identity, asdict(setting.extractor.hook)
        pair = {"model": lm.identity, "sae": sae, "hook": hook, "max_length": lm.max_length, "bos_id": setting.bos_id}
        record = PartRecord(part, work.names, as_dict(config), pair)
        write_document(folder / PART, asdict(record))
    return record


def merge(folders: Sequence[Path], out: Path, progress: Progress, command: str = "") -> RunFolder:
    """Join the parts of a run into a new run.

    Shards are linked, or copied where the file system cannot link; tables are made from them. Of model and SAE only the
    tokenizer is loaded.

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
    places = {name: folder for folder, record in zip(folders, records, strict=True) for name in record.members}
    with hold(out):
        _begin(folders[0], out)
        pair = _pair(config, records[0].pair, progress)
        pipeline.run(config, out, progress, command, pair, functools.partial(_take_shards, places=places))
    return open_folder(out)


def _pair(config: RunConfig, known: dict[str, Any], progress: Progress) -> LoadedPair:
    """The model and the SAE of a part without their weights, which nobody asks where nothing is read."""
    nothing: Any = None
    model, sae = known["model"], known["sae"]
    tokenizer = load_tokenizer(config.model, progress=progress)
    return LoadedPair(
        LanguageModel(nothing, tokenizer, config.model.name, model, known["max_length"]),
        SparseAutoencoder(nothing, sae["name"], sae["hook_name"], None, sae_folder(config.sae), sae),
        Hook(**known["hook"]),
        known["bos_id"],
    )


def _check_parts(folders: Sequence[Path], records: Sequence[PartRecord]) -> None:
    """Check that the folders are all parts of one run."""
    first, plan = records[0], read_plan(folders[0])
    for folder, record in zip(folders, records, strict=True):
        if differing := plan_differences(read_plan(folder), plan):
            raise UserError(f"{folder} is a part of another run than {folders[0]}: they differ in {differing}.")
        if record.part.of != first.part.of:
            raise UserError(f"{folder} is part {record.part}, and {folders[0]} is {first.part}: expected one division.")
    numbers = [record.part.number for record in records]
    if lacking := sorted(set(range(1, first.part.of + 1)) - set(numbers)):
        absent = listing((str(Part(number, first.part.of)) for number in lacking), len(lacking))
        raise UserError(f"of the run's parts, {absent} {'is' if len(lacking) == 1 else 'are'} missing.")
    if len(numbers) > first.part.of:
        raise UserError("merge: the same part was given twice.")


def _begin(folder: Path, out: Path) -> None:
    """Put a part's plan and gate into the folder of the joined run, as far as they are not there."""
    plan = read_plan(folder)
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
            if not (folder / name).is_file():
                raise UserError(f"{folder / name} is missing: repeat the command that made {str(folder)!r}.")
            _take(folder / name, out / name)


def _take_shards(work: Work, places: Mapping[str, Path]) -> None:
    """Take the shards that are missing from the parts, and read none.

    Parameters
    ----------
    places
        Where each shard lies.

    Raises
    ------
    UserError
        If a part lacks a shard, or it is damaged.
    """
    missing, work.missing = work.missing, []
    for task in missing:
        name, width = task.shard.name, work.setting.sae.d_sae
        for there, here in zip(ShardFiles(places[name], width).folders, work.reader.files.folders, strict=True):
            for source, target in zip(there.files(name), here.files(name), strict=True):
                if source.is_file():
                    _take(source, target)
        work.look(task.plan, task.shard)
    if lost := [f"{task.shard.name} of {places[task.shard.name]}" for task in work.missing if not task.again]:
        raise UserError(f"shards missing or damaged: {listing(lost, len(lost))}. Repeat the commands of these parts.")
    for folder in work.reader.files.folders:
        sync_folder(folder.folder)
    work.missing, work.by = [], "a merge"


def _take(source: Path, target: Path) -> None:
    """Link a file, which is never changed in place, or copy it where it cannot be linked."""
    make_folder(target.parent)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        write_atomic(target, functools.partial(shutil.copyfile, source))
