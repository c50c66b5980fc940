"""Reading a suite: an engine reads the missing shards, and finished ones are collected.

An engine is a function that reads the missing shards: in this process, through a store, or by workers on many machines
(:mod:`competency_gaps.pipeline.on_ray`). The shards do not depend on the engine, so the results do not either.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.items.item import Reason
from competency_gaps.model.batches import OUT_OF_MEMORY
from competency_gaps.model.load import versions
from competency_gaps.pipeline.extraction import (
    BenchmarkPlan,
    Content,
    Extraction,
    Shard,
    ShardReader,
    plan_suite,
    unreadable,
)
from competency_gaps.pipeline.setting import Setting, check_unreadable, excluded_line
from competency_gaps.reading.rows import CasStore
from competency_gaps.runs.plan import read_plan
from competency_gaps.runs.store import RunStore
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Bar, Progress
from competency_gaps.util.shards import Draft, ShardDraft
from competency_gaps.util.table_files import read_parquet
from competency_gaps.util.text import listing, plural

MAX_UNREADABLE_SHARE = 0.1
"""Maximum share of a benchmark's items that may be unreadable (and so excluded) before the run stops."""
ALLOWED_UNREADABLE = 9
"""This many items may be unreadable, whatever their share, if at least one other was read."""


class Task(NamedTuple):
    """A shard to read."""

    plan: BenchmarkPlan
    shard: Shard
    again: bool = False
    """Whether to read a finished shard again, because memory ran out on some of its items."""


@dataclass
class Work:
    """What an engine has to read, and what is finished."""

    setting: Setting
    folder: Path
    reader: ShardReader
    bar: Bar
    """Progress in tokens, not items: the longest items are read first."""
    progress: Progress
    plans: list[BenchmarkPlan]
    missing: list[Task] = field(default_factory=list)
    """Shards to read, in the order of the plans."""
    finished: list[Shard] = field(default_factory=list)
    """Shards that were complete in the folder, or were taken from the store."""
    store: RunStore | None = None
    """Store that shares the shards between machines; None: the folder alone has them."""
    unreadable: dict[str, list[Reason]] = field(default_factory=lambda: defaultdict(list))
    """Name of a benchmark -> why items could not be read, one reason each."""
    by: str = "this process"
    """Who reads, in words, for the manifest; engines that read elsewhere replace it."""

    @property
    def to_read(self) -> int:
        """Number of items in all shards."""
        return sum(plan.to_read for plan in self.plans)

    @property
    def names(self) -> list[str]:
        """Names of all shards of the run."""
        return [shard.name for plan in self.plans for shard in plan.shards]

    def look(self, plan: BenchmarkPlan, shard: Shard, *, again: bool = False) -> bool:
        """Return whether a shard is finished, and count it if so; otherwise add it to the missing ones.

        A shard with items on which memory ran out counts as missing.
        """
        table = self.reader.files.finished(shard)
        if table is None or OUT_OF_MEMORY in unreadable(table):
            self.missing.append(Task(plan, shard, again or table is not None))
            return False
        self.bar.skip(shard.tokens)
        self.unreadable[plan.name] += unreadable(table)
        self.finished.append(shard)
        return True

    def check_versions(self) -> None:
        """Raise UserError if the missing shards would be read with another torch or transformers, unless that is
        accepted.
        """
        if not self.missing or self.setting.config.accept_versions:
            return
        for was in self.read_with(shard.name for shard in self.finished):
            if differing := other_versions(was, versions()):
                raise UserError(
                    f"{str(self.folder)!r} was read in part with {differing}: rows, scores and answers of the rest may "
                    "differ by rounding, or by what a package changed. To go on, and have the manifest name all "
                    "versions, add --set accept_versions=true; or install the former ones."
                )

    def read_with(self, shards: Iterable[str]) -> list[dict[str, str]]:
        """Return the versions of packages with which some shards were read, each combination once."""
        return [json.loads(text) for text in sorted({self.reader.files.store.read_with(name) for name in shards})]

    def commit(self, task: Task, draft: ShardDraft) -> None:
        """Make a shard count, in the store first if there is one; if another machine was first there, use its shard."""
        while self.store is not None and not self.store.publish(draft, self.reader.files.folders, again=task.again):
            others = self.store.fetch(draft.name, draft.made_of, self.reader.files.folders)
            if others is not None:
                self.reader.files.forget(draft)
                draft = others
                break
        self.reader.files.commit(draft)

    def check(self, task: Task, reasons: Sequence[Reason]) -> None:
        """Count a shard's unreadable items; raises as :func:`check_share` if its benchmark has too many."""
        known = self.unreadable[task.plan.name]
        known.extend(reasons)
        check_share(known, task.plan, self.setting)


def other_versions(was: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return in words which packages differ in version, of those that may change what is read; empty if none."""
    differing = [name for name in ("torch", "transformers") if was.get(name) != now.get(name)]
    return listing((f"{name} {was.get(name)}, here {now.get(name)}" for name in differing), len(differing))


Engine = Callable[[Work], None]


def read_suite(
    setting: Setting, folder: Path, engine: Engine, progress: Progress
) -> tuple[dict[str, Extraction], CasStore, dict[str, Any]]:
    """Ask the model about all items and read its concepts.

    Returns
    -------
    tuple
        What was read, by benchmark; the stored rows; and the manifest's record: number of ``items`` that this command
        read, ``of`` how many, ``by`` whom, and the ``versions`` of packages with which shards were read.

    Raises
    ------
    UserError, MachineError
        If more than a tenth of a benchmark's items, and at least 10, or all of them, cannot be read; finished shards
        remain.
    """
    work = read_missing(setting, folder, engine, progress)
    files = work.reader.files
    read: dict[str, Extraction] = {}
    for plan in work.plans:
        tables = [read_parquet(files.responses.check(shard.name)) for shard in plan.shards]
        check_share([why for table in tables for why in unreadable(table)], plan, setting, whole=True)
        read[plan.name] = work.reader.collect(plan, tables)
    for name, extraction in read.items():
        pairs = zip(extraction.items, setting.prepared[name], strict=True)
        lost = [after for after, before in pairs if after.excluded is not None and before.excluded is None]
        if lost:
            progress.say(excluded_line(name, lost, len(extraction.items)))
    items = sum(len(task.shard.members) for task in work.missing)
    record = {"items": items, "of": work.to_read, "by": work.by, "versions": work.read_with(work.names)}
    return read, files.store, record


def read_missing(setting: Setting, folder: Path, engine: Engine, progress: Progress) -> Work:
    """Let an engine read the missing shards, and return what it did; raises as :func:`read_suite`."""
    reader = ShardReader(folder, setting)
    reader.files.sweep()
    plans = plan_suite(setting.prepared, setting.config.sae.gate_tokens)
    tokens = sum(shard.tokens for plan in plans for shard in plan.shards)
    with progress.stage("reading", total=tokens, unit="tokens") as bar:
        work = Work(setting, folder, reader, bar, progress, plans)
        for plan in plans:
            for shard in plan.shards:
                work.look(plan, shard)
        try:
            engine(work)
        finally:
            reader.files.sweep()
    return work


def check_share(reasons: Sequence[Reason], plan: BenchmarkPlan, setting: Setting, *, whole: bool = False) -> None:
    """Raise UserError or MachineError if too many of a benchmark's items are unreadable already.

    Parameters
    ----------
    whole
        Whether all its shards were tried: then it is also an error if every item is unreadable, however few there are.
    """
    if whole and reasons and len(reasons) == plan.to_read:
        check_unreadable(reasons, plan.to_read, plan.name, setting.lm, share=0.0)
    if len(reasons) > ALLOWED_UNREADABLE:
        check_unreadable(reasons, plan.to_read, plan.name, setting.lm, share=MAX_UNREADABLE_SHARE)


def read_here(work: Work) -> None:
    """Read all missing shards in this process; each is written while the next is read, so that a GPU does not idle."""
    work.check_versions()

    def write(task: Task, content: Content) -> None:
        """Write a shard that was read."""
        work.commit(task, work.reader.write(task.shard, content))

    with ThreadPoolExecutor(1, "writer") as pool:
        written = pool.submit(lambda: None)

        def advance(tokens: float) -> None:
            """Advance the progress bar; a failed write ends the reading here."""
            if written.done():
                written.result()  # a full disk stops the reading now
            work.bar.advance(tokens)

        for task in work.missing:
            work.bar.note(task.plan.name)
            content = work.reader.read(task.plan, task.shard, task.shard.counter(advance))
            work.check(task, unreadable(content.responses))
            written.result()
            written = pool.submit(write, task, content)
        written.result()


def share(store: RunStore | None, engine: Engine) -> Engine:
    """Return an engine that shares shards through a store; without a store, the engine itself.

    It takes the shards that are in the store, lets ``engine`` read the others, and publishes what was read. It raises
    UserError if the store holds another run, and MachineError if the store no longer answers.
    """
    if store is None:
        return engine

    def read(work: Work) -> None:
        """Take shards from the store, read the others, and publish them."""
        store.claim(read_plan(work.folder))
        work.store, files, there = store, work.reader.files, store.names()
        for shard in work.finished:
            if shard.name not in there:
                drafts = [Draft(folder.path(shard.name).name, folder.checksum(shard.name)) for folder in files.folders]
                store.publish(ShardDraft(shard.name, shard.made_of, drafts), files.folders)
        missing, work.missing = work.missing, []
        taken = 0
        for task in missing:
            name, made_of = task.shard.name, task.shard.made_of
            draft = store.fetch(name, made_of, files.folders) if name in there else None
            if draft is None:
                work.missing.append(task)
                continue
            files.commit(draft)
            taken += work.look(task.plan, task.shard, again=True)
        if taken:
            work.progress.say(f"{plural(taken, 'shard')} taken from {store.address}")
        engine(work)

    return read
