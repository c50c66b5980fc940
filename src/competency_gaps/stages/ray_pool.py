"""Workers of Ray, and who of them reads which shard.

The driver holds no state: what is finished stands in the folder, and in the store if there is one. It gives out
shards, and lets a shard count when the first worker has written it. A shard whose worker died goes to another one; one
that takes much longer than others is read twice at the end, and the second draft is removed.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.config import as_dict
from competency_gaps.errors import MachineError, UserError
from competency_gaps.stages.ray_cluster import Fit
from competency_gaps.stages.ray_worker import Fault, Read, Ready, ShardWorker
from competency_gaps.stages.reading import Task, Work
from competency_gaps.text import plural, shorten

TRIES = 3
"""Workers that may fail on a shard, or on loading one after another, before it is given up."""
LOOK = 2.0
"""Seconds between two looks for shards that take too long."""
SLOW = 3.0
"""A shard is read a second time if it takes this many times as long as half of the others."""
LONG = 600.0
"""Seconds of reading a shard after which it is said that it takes long."""
HANGS = 10.0
"""A worker hangs, and is ended, if it reads a shard for this many times as long as half of the others took, and longer
than ``LONG``."""
_PATIENCE = 30.0
"""Seconds after which it is said that no worker has started yet."""


class _Worker(NamedTuple):
    handle: Any
    where: str
    """Of a worker that is ready: its process and host."""
    loads: int = 1
    """How many workers in its place were to load, itself among them."""


class _Running(NamedTuple):
    worker: _Worker
    task: Task
    since: float
    warn_at: float
    """Seconds of reading after which it is said that it takes long."""


@dataclass
class Pool:
    """The workers, and who reads what."""

    ray: Any
    work: Work
    fit: Fit
    queue: deque[Task] = field(default_factory=deque)
    loading: dict[Any, _Worker] = field(default_factory=dict)
    """Workers that load, by the answer that is awaited."""
    running: dict[Any, _Running] = field(default_factory=dict)
    idle: list[_Worker] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)
    """Per shard, workers that failed on it."""
    seconds: list[float] = field(default_factory=list)
    """Of each shard that is done."""
    settings: Any = None
    """The configuration in the object store; None: workers read it in the run folder."""

    def read(self) -> None:
        """Read all missing shards.

        Raises
        ------
        UserError
            If too many items cannot be read, or the input is wrong on all workers.
        MachineError
            If a shard fails on several workers, or no worker can load.
        """
        total = len(self.work.missing)
        if self.work.shared is not None:
            # It may hold all items, up to the longest plan: kept once, however many workers there are. Who sees the run
            # folder reads it there.
            self.settings = self.ray.put(as_dict(self.work.setting.config))
        self.queue.extend(self.work.missing)
        for _ in range(min(self.fit.workers, total)):
            self._start()
        began, warned = time.monotonic(), False
        while len(self.done) < total:
            ready, _ = self.ray.wait([*self.loading, *self.running], num_returns=1, timeout=LOOK)
            for answer in ready:
                self._take(answer)
            self._give()
            self._watch()
            if not warned and not self.running and not self.done and time.monotonic() - began > _PATIENCE:
                warned = True
                self.work.progress.say("no worker has loaded the model yet: they load, or wait for room in the cluster")

    def stop(self) -> None:
        """End all workers."""
        for worker in [*self.loading.values(), *(known.worker for known in self.running.values()), *self.idle]:
            self.ray.kill(worker.handle)

    def _start(self, loads: int = 1) -> None:
        options = {"num_cpus": self.fit.threads, "num_gpus": self.fit.gpus, "scheduling_strategy": "SPREAD"}
        kind = self.ray.remote(ShardWorker).options(**options, max_restarts=0, max_task_retries=0)
        store = None if self.work.shared is None else self.work.shared.store.address
        folder = str(self.work.folder.resolve()) if store is None else None
        worker = kind.remote(folder, store, self.settings, str(Path.cwd()), self.fit.threads)
        self.loading[worker.load.remote()] = _Worker(worker, "", loads)

    def _take(self, answer: Any) -> None:
        """Take an answer, and let a shard count that nobody has finished before."""
        result = self._result(answer)
        if answer in self.loading:
            worker = self.loading.pop(answer)
            if isinstance(result, Ready):
                where = f"process {result.process} on {result.host}"
                self.idle.append(_Worker(worker.handle, where))
                threads = plural(self.fit.threads, "thread")
                self.work.progress.say(f"a worker reads: {where}, {result.device}, {threads}")
            elif isinstance(result, Fault):
                self._load_again(worker, result)
            return
        known = self.running.pop(answer)
        if isinstance(result, Fault):
            self._read_again(known, result)
        if not isinstance(result, Read):
            return
        self.idle.append(known.worker)
        if known.task.shard.name in self.done:  # the other reader was faster
            if result.draft is not None:
                self.work.reader.files.forget(result.draft)
            return
        draft = result.draft if self.work.shared is None else self.work.shared.fetch(known.task.shard)
        if draft is None:
            self._queue_again(known, "the shard that was put into the store is damaged or gone")
            return
        self.work.check(known.task, result.unreadable)
        self.work.reader.files.commit(draft)
        self.done.add(known.task.shard.name)
        self.seconds.append(time.monotonic() - known.since)
        self.work.bar.advance(len(known.task.shard.members))

    def _result(self, answer: Any) -> Ready | Read | Fault:
        try:
            result: Ready | Read | Fault = self.ray.get(answer)
        except self.ray.exceptions.RayTaskError as error:  # a fault of the program or of a package in the worker
            result = Fault(f"{type(error.cause).__name__}: {error.cause}", by_user=False)
        except self.ray.exceptions.RayError as error:
            result = Fault(f"its process ended ({shorten(' '.join(str(error).split()), 300)})", by_user=False)
        return result

    def _load_again(self, worker: _Worker, fault: Fault) -> None:
        """End a worker that cannot load, and start another in its place unless that has failed several times."""
        self.ray.kill(worker.handle)
        if not fault.by_user and worker.loads < TRIES:
            self.work.progress.say(f"a worker failed on loading the model, another one is started: {fault.text}")
            self._start(worker.loads + 1)
        elif self.loading or self.running or self.idle:
            self.work.progress.say(f"a worker cannot load the model, and the others go on without it: {fault.text}")
        elif fault.by_user:
            raise UserError(fault.text)
        else:
            raise MachineError(
                f"{plural(worker.loads, 'worker')} failed on loading the model, the last because {fault.text}. What is "
                "finished is kept: run the same command again when the cause is removed."
            )

    def _read_again(self, known: _Running, fault: Fault) -> None:
        """End a worker that failed on a shard, start another, and give the shard to a third."""
        self.ray.kill(known.worker.handle)
        if known.task.shard.name not in self.done:
            if fault.by_user:
                raise UserError(fault.text)
            self._queue_again(known, fault.text)
            self._start()
        elif self.queue and not (self.loading or self.running or self.idle):
            self._start()  # the other reader was faster, but no worker is left for the rest

    def _queue_again(self, known: _Running, why: str) -> None:
        """Let another worker read a shard, unless that has failed several times."""
        name = known.task.shard.name
        self.failures[name] += 1
        if self.failures[name] >= TRIES:
            raise MachineError(
                f"{plural(self.failures[name], 'worker')} failed on shard {name}, the last because {why}. What is "
                "finished is kept: run the same command again when the cause is removed."
            )
        self.work.progress.say(f"a worker failed on shard {name}, and it is read again: {why}")
        if not any(other.task.shard.name == name for other in self.running.values()):
            self.queue.appendleft(known.task)

    def _watch(self) -> None:
        """Say which shards take long, and end workers that hang."""
        now = time.monotonic()
        most = max(LONG, HANGS * statistics.median(self.seconds)) if self.seconds else math.inf
        for answer, known in list(self.running.items()):
            seconds = now - known.since
            took = f"has read shard {known.task.shard.name} for {seconds / 60:.0f} minutes"
            if seconds > most:
                del self.running[answer]
                self._read_again(known, Fault(f"{known.worker.where} {took} and is taken to hang", by_user=False))
            elif seconds > known.warn_at:
                self.running[answer] = known._replace(warn_at=2 * seconds)
                self.work.progress.say(f"{known.worker.where} {took}")

    def _give(self) -> None:
        """Give shards to workers that have none."""
        while self.idle and (task := self._next()) is not None:
            worker = self.idle.pop()
            answer = worker.handle.read.remote(task.shard.name, task.shard.made_of, task.instead_of)
            self.running[answer] = _Running(worker, task, time.monotonic(), LONG)

    def _next(self) -> Task | None:
        """The next shard; when all are given out, one that takes too long and is read by one worker only."""
        if self.queue:
            return self.queue.popleft()
        if not self.seconds:
            return None
        late = time.monotonic() - SLOW * statistics.median(self.seconds)
        readers = Counter(known.task.shard.name for known in self.running.values())
        slow = [known for known in self.running.values() if known.since < late and readers[known.task.shard.name] == 1]
        slow = [known for known in slow if known.task.shard.name not in self.done]
        return min(slow, key=lambda known: known.since).task if slow else None
