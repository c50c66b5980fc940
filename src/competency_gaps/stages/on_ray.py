"""Read shards by workers of Ray, on one or many machines that share the run folder or a store.

The driver holds no state: what is finished stands in the folder, and in the store if there is one. It gives out
shards, and lets a shard count when the first worker has written it. A shard whose worker died goes to another one; one
that takes much longer than others is read twice at the end, and the second draft is removed.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.config import RayWorkers, as_dict
from competency_gaps.errors import MachineError, UserError
from competency_gaps.stages.ray_cluster import Fit, cluster, fit, machines_of, require_ray
from competency_gaps.stages.ray_worker import Fault, Read, Ready, ShardWorker
from competency_gaps.stages.reading import Task, Work
from competency_gaps.stages.setting import Setting
from competency_gaps.text import plural, shorten

TRIES = 3
"""Workers that may fail on a shard, or on loading one after another, before it is given up."""
LOOK = 2.0
"""Seconds between two looks for shards that take too long."""
SLOW = 3.0
"""A shard is read a second time if it takes this many times as long as half of the others."""
_PATIENCE = 30.0
"""Seconds after which it is said that no worker has started yet."""


@dataclass(frozen=True)
class ReadOnRay:
    """The engine."""

    settings: RayWorkers

    def __post_init__(self) -> None:
        # Not only once the model is loaded and the SAE measured.
        require_ray()

    def __call__(self, work: Work) -> None:
        """Read what is missing.

        Raises
        ------
        UserError, MachineError
            As :meth:`Pool.read`; also if the cluster ends, or cannot be used.
        """
        if not work.missing:
            return
        with cluster(self.settings) as ray:
            try:
                pool = Pool(ray, work, fit(self.settings, machines_of(ray)))
                _release(work.setting)
                try:
                    pool.read()
                finally:
                    pool.stop()
            except (ray.exceptions.RayError, ConnectionError) as error:
                raise MachineError(
                    f"the Ray cluster does not answer any more: {shorten(' '.join(str(error).split()), 300)}. What is "
                    "finished is kept: run the same command again when the cluster is back."
                ) from error
        work.reader.files.sweep()


class _Running(NamedTuple):
    worker: Any
    task: Task
    since: float


@dataclass
class Pool:
    """The workers, and who reads what."""

    ray: Any
    work: Work
    fit: Fit
    queue: deque[Task] = field(default_factory=deque)
    loading: dict[Any, Any] = field(default_factory=dict)
    """Workers that load, by the answer that is awaited."""
    running: dict[Any, _Running] = field(default_factory=dict)
    idle: list[Any] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)
    """Per shard, workers that failed on it; without a name, those that could not load."""
    seconds: list[float] = field(default_factory=list)
    """Of each shard that is done."""

    def read(self) -> None:
        """Read all missing shards.

        Raises
        ------
        UserError
            If the input is wrong, or too many items cannot be read.
        MachineError
            If a shard fails on several workers, or workers cannot load.
        """
        total = len(self.work.missing)
        self.queue.extend(self.work.missing)
        for _ in range(min(self.fit.workers, total)):
            self._start()
        began, warned = time.monotonic(), False
        while len(self.done) < total:
            ready, _ = self.ray.wait([*self.loading, *self.running], num_returns=1, timeout=LOOK)
            for answer in ready:
                self._take(answer)
            self._give()
            if not warned and not self.running and not self.done and time.monotonic() - began > _PATIENCE:
                warned = True
                self.work.progress.say("no worker has loaded the model yet: they load, or wait for room in the cluster")

    def stop(self) -> None:
        """End all workers."""
        for worker in [*self.loading.values(), *(known.worker for known in self.running.values()), *self.idle]:
            self.ray.kill(worker)

    def _start(self) -> None:
        options = {"num_cpus": self.fit.threads, "num_gpus": self.fit.gpus, "scheduling_strategy": "SPREAD"}
        kind = self.ray.remote(ShardWorker).options(**options, max_restarts=0, max_task_retries=0)
        settings = as_dict(self.work.setting.config)
        store = None if self.work.shared is None else self.work.shared.store.address
        folder = str(self.work.folder.resolve()) if store is None else None
        worker = kind.remote(settings, folder, store, str(Path.cwd()), self.fit.threads)
        self.loading[worker.load.remote()] = worker

    def _take(self, answer: Any) -> None:
        """Take an answer, and let a shard count that nobody has finished before."""
        result = self._result(answer)
        if answer in self.loading:
            worker = self.loading.pop(answer)
            if isinstance(result, Ready):
                self.failures.pop("", None)
                self.idle.append(worker)
                where = f"process {result.process} on {result.host}, {result.device}"
                self.work.progress.say(f"a worker reads: {where}, {plural(self.fit.threads, 'thread')}")
            else:
                self._replace(worker, "", result)
            return
        known = self.running.pop(answer)
        name = known.task.shard.name
        draft = None
        if isinstance(result, Read) and name not in self.done:
            draft = result.draft if self.work.shared is None else self.work.shared.fetch(known.task.shard)
            if draft is None:
                result = Fault("the shard that it put into the store is damaged or gone", by_user=False)
        if not isinstance(result, Read):
            if name in self.done:  # the other reader was faster, and this one is not missed
                self.ray.kill(known.worker)
                return
            self._replace(known.worker, name, result)
            if not any(other.task.shard.name == name for other in self.running.values()):
                self.queue.appendleft(known.task)
            return
        self.idle.append(known.worker)
        if draft is None:  # the other reader was faster
            if result.draft is not None:
                self.work.reader.files.forget(result.draft)
            return
        self.work.check(known.task, result.unreadable)
        self.work.reader.files.commit(draft)
        self.done.add(name)
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

    def _replace(self, worker: Any, name: str, fault: Fault | Ready | Read) -> None:
        """End a worker that failed on a shard, or without a name on loading, and start another."""
        assert isinstance(fault, Fault)
        self.ray.kill(worker)
        if fault.by_user:
            raise UserError(fault.text)
        self.failures[name] += 1
        what = f"shard {name}" if name else "loading the model"
        if self.failures[name] >= TRIES:
            raise MachineError(
                f"{plural(self.failures[name], 'worker')} failed on {what}, the last because {fault.text}. What is "
                "finished is kept: run the same command again when the cause is removed."
            )
        self.work.progress.say(f"a worker failed on {what}, another one is started: {fault.text}")
        self._start()

    def _give(self) -> None:
        """Give shards to workers that have none."""
        while self.idle and (task := self._next()) is not None:
            worker = self.idle.pop()
            answer = worker.read.remote(task.shard.name, task.shard.made_of, task.again)
            self.running[answer] = _Running(worker, task, time.monotonic())

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


def _release(setting: Setting) -> None:
    """Free the driver's weights, which are not needed any more: a worker beside it loads its own."""
    import torch

    modules: tuple[Any, ...] = (setting.lm.model, setting.sae.sae)
    for module in modules:
        for parameter in module.parameters():
            parameter.data = parameter.data.new_empty(0)
    # Else this process keeps the memory of its GPU for itself.
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
