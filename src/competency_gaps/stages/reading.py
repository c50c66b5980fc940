"""Reading a suite: the shards that are missing are given to an engine, and finished ones are collected.

Engines are functions (:mod:`competency_gaps.stages.engines`). Which shards there are does not depend on the engine, so
results do not either.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from competency_gaps.activations.store import CasStore
from competency_gaps.items.item import Reason
from competency_gaps.model.batches import OUT_OF_MEMORY
from competency_gaps.progress import Bar, Progress
from competency_gaps.stages.extraction import Extraction, ShardDraft, ShardReader, unreadable
from competency_gaps.stages.setting import Setting
from competency_gaps.stages.shard_plan import BenchmarkPlan, Shard, plan_suite
from competency_gaps.stages.shared import SharedShards
from competency_gaps.stages.unreadable import check_unreadable, excluded_line
from competency_gaps.table_files import read_parquet

MOST_UNREADABLE = 0.1
"""Largest share of a benchmark's items to read that may be excluded because they cannot be read."""
FEW_UNREADABLE = 9
"""So many may be, whatever their share, if any other was read."""


class Task(NamedTuple):
    """A shard to read."""

    plan: BenchmarkPlan
    shard: Shard
    instead_of: tuple[str, ...] = ()
    """Checksums of its files where it is finished, but memory ran out on some of its items: what was short then may be
    there now."""


@dataclass
class Work:
    """What an engine is to read."""

    setting: Setting
    folder: Path
    reader: ShardReader
    bar: Bar
    """Counts items."""
    progress: Progress
    plans: list[BenchmarkPlan]
    missing: list[Task] = field(default_factory=list)
    """In the order of the plans."""
    finished: list[Shard] = field(default_factory=list)
    """Shards that were whole in the folder before."""
    shared: SharedShards | None = None
    """The store with which the shards are shared; None: there is none."""
    unreadable: dict[str, list[Reason]] = field(default_factory=lambda: defaultdict(list))
    """Per benchmark, why items could not be read."""
    by: str = "this process"
    """Who reads; engines that read elsewhere replace it."""
    tried: Counter[str] = field(default_factory=Counter)
    """Per benchmark, items that were read or could not be."""

    @property
    def to_read(self) -> int:
        """Number of items in the shards."""
        return sum(plan.to_read for plan in self.plans)

    @property
    def names(self) -> list[str]:
        """Names of all shards of the run."""
        return [shard.name for plan in self.plans for shard in plan.shards]

    def look(self, plan: BenchmarkPlan, shard: Shard) -> bool:
        """Count a shard if it is finished, else add it to those that are missing."""
        table = self.reader.files.finished(shard)
        if table is None or OUT_OF_MEMORY in unreadable(table):
            self.missing.append(Task(plan, shard, () if table is None else self.reader.files.checksums(shard.name)))
            return False
        self.bar.skip(len(shard.members))
        self.tried[plan.name] += len(shard.members)
        self.unreadable[plan.name] += unreadable(table)
        return True

    def commit(self, task: Task, draft: ShardDraft) -> None:
        """Let a shard count: in the store first, if there is one; where another machine was first, its shard counts."""
        while self.shared is not None and not self.shared.publish(draft, task.instead_of):
            others = self.shared.fetch(task.shard)
            if others is not None:
                self.reader.files.forget(draft)
                draft = others
                break
        self.reader.files.commit(draft)

    def check(self, task: Task, reasons: Sequence[Reason]) -> None:
        """Count a shard's unreadable items; raise if they are too many in its benchmark."""
        known = self.unreadable[task.plan.name]
        known.extend(reasons)
        self.tried[task.plan.name] += len(task.shard.members)
        check = _check_whole if self.tried[task.plan.name] == task.plan.to_read else check_share
        check(known, task.plan, self.setting)


Engine = Callable[[Work], None]


class Reading(NamedTuple):
    """What was read of a suite."""

    extractions: dict[str, Extraction]
    """By benchmark."""
    store: CasStore
    record: dict[str, Any]
    """For the manifest: ``items`` that this command read ``of`` all, and ``by`` whom."""


def read_suite(setting: Setting, folder: Path, engine: Engine, progress: Progress) -> Reading:
    """Ask the model and read its concepts.

    Raises
    ------
    UserError, MachineError
        If more than a tenth of a benchmark's items to read, and at least 10, or all of them, cannot be read; earlier
        shards are kept.
    """
    work = read_missing(setting, folder, engine, progress)
    read: dict[str, Extraction] = {}
    for plan in work.plans:
        tables = [_finished(work.reader, shard) for shard in plan.shards]
        _check_whole([why for table in tables for why in unreadable(table)], plan, setting)
        read[plan.name] = work.reader.collect(plan, tables)
    for name, extraction in read.items():
        pairs = zip(extraction.items, setting.prepared[name], strict=True)
        lost = [after for after, before in pairs if after.excluded is not None and before.excluded is None]
        if lost:
            progress.say(excluded_line(name, lost, len(extraction.items)))
    items = sum(len(task.shard.members) for task in work.missing)
    return Reading(read, work.reader.files.store, {"items": items, "of": work.to_read, "by": work.by})


def read_missing(setting: Setting, folder: Path, engine: Engine, progress: Progress) -> Work:
    """Let an engine read the shards that are not finished; raises as :func:`read_suite`."""
    config = setting.config
    reader = ShardReader(folder, setting.extractor, config.span, setting.bos_id, config.generation)
    reader.files.sweep()
    plans = plan_suite(setting.prepared)
    with progress.stage("reading", total=sum(plan.to_read for plan in plans), unit="items") as bar:
        work = Work(setting, folder, reader, bar, progress, plans)
        for plan in plans:
            for shard in plan.shards:
                if work.look(plan, shard):
                    work.finished.append(shard)
        engine(work)
    return work


def check_share(reasons: Sequence[Reason], plan: BenchmarkPlan, setting: Setting) -> None:
    """Stop if too many of a benchmark's items are unreadable already."""
    if len(reasons) > FEW_UNREADABLE:
        check_unreadable(reasons, plan.to_read, plan.name, setting.lm, share=MOST_UNREADABLE)


def _check_whole(reasons: Sequence[Reason], plan: BenchmarkPlan, setting: Setting) -> None:
    """The same when all shards are read: then not all items may be unreadable, however few they are."""
    if reasons and len(reasons) == plan.to_read:
        check_unreadable(reasons, plan.to_read, plan.name, setting.lm, share=0.0)
    check_share(reasons, plan, setting)


def _finished(reader: ShardReader, shard: Shard) -> pl.DataFrame:
    """Responses of a shard that was just read, or was whole before."""
    return read_parquet(reader.files.responses.check(shard.name))
