"""Engines, which read the shards of a run: here, in parts, through a store, or not at all.

Workers on many machines are an engine too (:mod:`competency_gaps.stages.on_ray`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from competency_gaps.config import RunConfig
from competency_gaps.errors import UserError
from competency_gaps.lock import keep_held
from competency_gaps.runs.part import Part
from competency_gaps.runs.plan import keep_precision, read_plan
from competency_gaps.runs.store import RunStore
from competency_gaps.stages.extraction import Content, ShardDraft, unreadable
from competency_gaps.stages.reading import Engine, Task, Work
from competency_gaps.stages.shared import SharedShards
from competency_gaps.text import listing, plural

_CALM = 0.05
"""Seconds until polars is tried again: it refuses all calls until those that were running are stopped."""


def read_here(work: Work) -> None:
    """Read all missing shards in this process; each is written while the next one is read.

    However often it is interrupted, the folder stays held until the thread that writes has ended.
    """
    writing: Future[None] | None = None

    def write(task: Task, content: Content, let_go: Callable[[], None]) -> None:
        try:
            work.commit(task, _written(lambda: work.reader.write(task.shard, content)))
        finally:
            let_go()

    def begin(task: Task, content: Content) -> Future[None]:
        let_go = keep_held(work.folder)
        try:
            return writer.submit(write, task, content, let_go)
        except BaseException:  # no thread, or an interrupt
            let_go()
            raise

    with ThreadPoolExecutor(1) as writer:
        try:
            for task in work.missing:
                work.bar.note(task.plan.name)
                content = work.reader.read(task.plan, task.shard, work.bar.advance)
                work.check(task, unreadable(content.responses))
                try:
                    if writing is not None:
                        writing.result()
                except KeyboardInterrupt:  # during the wait: this one is read as well
                    writing = begin(task, content)
                    raise
                writing = begin(task, content)
        finally:  # what cannot be written is said, whatever else went wrong
            if writing is not None:
                writing.result()


def _written(write: Callable[[], ShardDraft]) -> ShardDraft:
    """Write a shard in a thread of its own, however often it is interrupted.

    Python interrupts the main thread alone, but polars whatever thread it works in: what was read would be lost.
    """
    while True:
        try:
            return write()
        except KeyboardInterrupt:  # the main thread has it as well, and ends the reading
            time.sleep(_CALM)


@dataclass(frozen=True)
class ReadPart:
    """Reads a part of the shards."""

    part: Part
    engine: Engine = read_here

    def __call__(self, work: Work) -> None:
        """Read what is missing of the part; the bar counts only this."""
        own = set(self.part.choose(work.names))
        work.missing = [task for task in work.missing if task.shard.name in own]
        work.bar.expect(work.bar.done + sum(len(task.shard.members) for task in work.missing))
        self.engine(work)


@dataclass(frozen=True)
class ReadShared:
    """Takes shards from a store, lets an engine read those that are not there, and puts what it reads there."""

    store: RunStore
    engine: Engine

    def __call__(self, work: Work) -> None:
        """Read what is missing.

        Raises
        ------
        UserError
            As the engine; also if the store holds another run.
        MachineError
            As the engine; also if the store does not answer any more.
        """
        self.store.claim(read_plan(work.folder))
        work.shared = SharedShards(self.store, work.reader.files)
        there = self.store.names()
        for shard in work.finished:
            if shard.name not in there:
                work.shared.publish_finished(shard)
        missing, work.missing = work.missing, []
        taken = 0
        for task in missing:
            draft = work.shared.fetch(task.shard) if task.shard.name in there else None
            if draft is None:
                work.missing.append(task)
                continue
            work.reader.files.commit(draft)
            taken += work.look(task.plan, task.shard)
        if taken:
            work.progress.say(f"{plural(taken, 'shard')} taken from {self.store.address}")
        self.engine(work)


def share(store: RunStore | None, config: RunConfig, folder: Path, engine: Engine) -> Engine:
    """Let an engine share shards with a store, in the precision of the run whose shards lie there."""
    if store is None:
        return engine
    keep_precision(folder, config.model, store.plan())
    return ReadShared(store, engine)


def read_nothing(work: Work, places: Mapping[str, str]) -> None:
    """Take finished shards as they are.

    Parameters
    ----------
    places
        Where each shard came from.

    Raises
    ------
    UserError
        If a shard is missing.
    """
    if missing := [task.shard.name for task in work.missing if not task.instead_of]:
        raise UserError(missing_line([places[name] for name in missing]))
    for task in work.missing:
        work.bar.skip(len(task.shard.members))
    work.missing, work.by = [], "a merge"


def missing_line(names: Sequence[str]) -> str:
    """The error of shards that nobody has read."""
    return (
        f"shards are missing or damaged: {listing(names, len(names))}. Run the command that was to read them again; it "
        "reads only what is missing."
    )
