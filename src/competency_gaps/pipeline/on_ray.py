"""Read shards by workers of Ray, on one or many machines that share the run folder or a store.

The driver has no state: finished shards are in the folder, and in the store if there is one. It assigns shards to
workers, and commits a shard once a worker has written it. The shard of a worker that died goes to another.

A worker loads the model and the SAE. It receives names of shards, writes these into the run folder (which its machine
must share) or a store, and answers with counts and checksums.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from competency_gaps.items.config import RayWorkers, RunConfig, as_dict, parse_config
from competency_gaps.items.item import Reason
from competency_gaps.pipeline.engines import Engine, Task, Work, check_share, other_versions
from competency_gaps.pipeline.extraction import ShardReader, plan_suite, unreadable
from competency_gaps.pipeline.setting import Setting, set_up
from competency_gaps.runs.plan import plan_differences, plan_identity, planned, read_plan
from competency_gaps.runs.store import RunStore
from competency_gaps.util.errors import CompetencyGapsError, MachineError, MissingExtraError, UserError, argument
from competency_gaps.util.progress import Progress
from competency_gaps.util.shards import ShardDraft
from competency_gaps.util.text import one_line, plural

MAX_FAILURES = 3
"""Number of workers that fail on the same shard, or on loading, before the run stops."""
POLL_SECONDS = 2.0
"""Maximum seconds to wait for an answer before looking again."""
_OBJECT_STORE = 2**27
"""Bytes of the object store of a local cluster: it only holds the configuration."""


class Fit(NamedTuple):
    """How many workers there are, and what each takes."""

    workers: int
    threads: int
    gpus: float


@contextmanager
def ray_engine(settings: RayWorkers) -> Iterator[Engine]:
    """Provide an engine on a Ray cluster, which is disconnected when the block ends.

    Raises
    ------
    MissingExtraError, UserError, MachineError
        As :func:`cluster` and :func:`fit`; before a model is loaded.
    """
    with cluster(settings) as ray:
        fit(settings, machines_of(ray))

        def read(work: Work) -> None:
            """Read missing shards on the cluster."""
            work.check_versions()
            if work.missing:
                read_on_ray(work, ray, fit(settings, machines_of(ray)))

        yield read


def read_on_ray(work: Work, ray: Any, fitting: Fit) -> None:
    """Read the missing shards on a cluster; raises as :meth:`Pool.read`, and MachineError if the cluster is lost."""
    lost = (ray.exceptions.RayError, ConnectionError)
    pool = Pool(ray, work, fitting)
    work.by = plural(fitting.workers, "worker")
    _release(work.setting)
    try:
        try:
            pool.read()
        finally:
            with suppress(*lost):
                pool.stop()
    except lost as error:
        raise MachineError(
            f"the Ray cluster no longer answers: {one_line(error)}. Finished work is "
            "kept: repeat the command when the cluster is back."
        ) from error
    finally:
        work.reader.files.sweep()


def _release(setting: Setting) -> None:
    """Free the memory of the driver's weights: it no longer needs them, and a worker on the same machine loads its
    own.
    """
    import torch

    modules: tuple[Any, ...] = (setting.lm.model, setting.sae.sae)
    for module in modules:
        for parameter in module.parameters():
            parameter.data = parameter.data.new_empty(0)
    # Otherwise this process would not return the memory of its GPU.
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


class Pool:
    """The workers, and which shard each reads."""

    def __init__(self, ray: Any, work: Work, fitting: Fit) -> None:
        self.ray, self.work, self.fit = ray, work, fitting
        self.queue: deque[Task] = deque(work.missing)
        self.loading: dict[Any, Any] = {}
        """Awaited answer -> worker that loads."""
        self.running: dict[Any, tuple[Any, Task]] = {}
        """Awaited answer -> worker that reads, and its task."""
        self.idle: list[Any] = []
        self.done: set[str] = set()
        self.failures: Counter[str] = Counter()
        """Name of a shard, or loading -> number of workers that failed on it."""
        self.settings = ray.put(as_dict(work.setting.config))

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
        for _ in range(min(self.fit.workers, total)):
            self._start()
        while len(self.done) < total:
            ready, _ = self.ray.wait([*self.loading, *self.running], num_returns=1, timeout=POLL_SECONDS)
            for answer in ready:
                self._take(answer)
            self._give()

    def _give(self) -> None:
        """Assign shards to idle workers."""
        while self.idle and self.queue:
            worker, task = self.idle.pop(), self.queue.popleft()
            answer = worker.read.remote(task.shard.name, task.shard.made_of, task.again)
            self.running[answer] = (worker, task)

    def stop(self) -> None:
        """End all workers."""
        for worker in [*self.loading.values(), *(worker for worker, _ in self.running.values()), *self.idle]:
            self.ray.kill(worker)

    def _start(self) -> None:
        """Start a worker, which loads the model."""
        options = {"num_cpus": self.fit.threads, "num_gpus": self.fit.gpus, "scheduling_strategy": "SPREAD"}
        kind = self.ray.remote(ShardWorker).options(**options, max_restarts=0, max_task_retries=0)
        store = None if self.work.store is None else self.work.store.address
        worker = kind.remote(str(self.work.folder.resolve()), store, self.settings, str(Path.cwd()), self.fit.threads)
        self.loading[worker.load.remote()] = worker

    def _take(self, answer: Any) -> None:
        """Handle an answer: commit a shard that was read, or replace a worker that failed."""
        result = self._result(answer)
        if answer in self.loading:
            worker = self.loading.pop(answer)
            if isinstance(result, str):
                self.idle.append(worker)
                self.work.progress.say(f"a worker reads: {result}, {plural(self.fit.threads, 'thread')}")
            elif isinstance(result, Fault):
                self.ray.kill(worker)
                self._failed("loading the model", result)
                self._start()
            return
        worker, task = self.running.pop(answer)
        if isinstance(result, Read):
            self.idle.append(worker)
            files = self.work.reader.files
            draft, store, shard = result.draft, self.work.store, task.shard
            if store is not None:
                draft = store.fetch(shard.name, shard.made_of, files.folders)
            if draft is not None:
                self.work.check(task, result.unreadable)
                files.commit(draft)
                self.done.add(task.shard.name)
                self.work.bar.advance(task.shard.tokens)
                return
            result = Fault("the shard in the store is damaged or gone", by_user=False)
        else:
            self.ray.kill(worker)
            self._start()
        self._failed(f"shard {task.shard.name}", result)
        self.queue.appendleft(task)

    def _result(self, answer: Any) -> str | Read | Fault:
        """Return a worker's answer; its failure becomes a Fault."""
        try:
            result: str | Read | Fault = self.ray.get(answer)
        except self.ray.exceptions.RayTaskError as error:  # a fault of the program or of a package in the worker
            result = Fault(f"{type(error.cause).__name__}: {error.cause}", by_user=False)
        except self.ray.exceptions.RayError as error:
            result = Fault(f"its process ended ({one_line(error)})", by_user=False)
        return result

    def _failed(self, what: str, fault: Any) -> None:
        """Report that a worker failed; raise if the input is wrong, or if :data:`MAX_FAILURES` workers failed on the
        same.
        """
        if fault.by_user:
            raise UserError(fault.text)
        self.failures[what] += 1
        if self.failures[what] >= MAX_FAILURES:
            raise MachineError(
                f"{plural(self.failures[what], 'worker')} failed on {what}, the last because {fault.text}. Finished "
                "work is kept: fix the cause and repeat the command."
            )
        self.work.progress.say(f"a worker failed on {what}; another one takes over: {fault.text}")


@contextmanager
def cluster(settings: RayWorkers) -> Iterator[Any]:
    """Provide Ray, connected to the program's cluster, that of the settings, or a local one that ends with the block.

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    UserError
        If there is no cluster at the address, or it cannot be used (if it has another version, say).
    MachineError
        If a local cluster cannot be started.
    """
    # Ray would send usage statistics to its makers unasked.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("ray", "ray", "reading on several workers")
    import ray

    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"address": settings.address}
    if settings.address == "local":  # a cluster that nobody else can reach
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        needed = (settings.workers or 1) * (settings.threads or 1)
        options = {
            **{"address": "local", "num_cpus": max(cores, needed), "include_dashboard": False},
            **{"object_store_memory": _OBJECT_STORE, "_node_ip_address": "127.0.0.1"},
            **{"_system_config": {"enable_metrics_collection": False}},
        }
    try:
        ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises it as such, where a machine is too busy to start in time
        ray.shutdown()
        why = one_line(error)
        if settings.address == "local":
            raise MachineError(
                f"Ray does not start on this machine: {why}. Repeat the command when the machine is less busy, or "
                "run without workers."
            ) from error
        raise UserError(f"the Ray cluster at {settings.address!r} (ray) cannot be used: {why}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def fit(settings: RayWorkers, machines: Sequence[tuple[int, float]]) -> Fit:
    """Return the number of workers and the resources of each, as set or as chosen to fill the cluster.

    Parameters
    ----------
    machines
        Cores and GPUs of each machine of the cluster.

    Raises
    ------
    UserError
        If the workers do not fit into the cluster.
    """
    gpus = settings.gpus_per_worker
    if gpus is None:
        gpus = float(any(count > 0 for _, count in machines))

    def room(threads: int) -> int:
        """Number of workers that the machines hold."""
        return sum(min(cores // threads, int(count / gpus + 1e-9) if gpus else cores) for cores, count in machines)

    workers = settings.workers
    if workers is None:
        workers = room(settings.threads or 1) if gpus else sum(cores > 0 for cores, _ in machines)
    most = max(1, sum(cores for cores, _ in machines) // max(1, workers))
    threads = settings.threads or next((number for number in range(most, 0, -1) if room(number) >= workers), 1)
    if not 1 <= workers <= room(threads):
        there = ", ".join(f"{cores} cores and {count:g} GPUs" for cores, count in machines[:6])
        raise UserError(
            f"{argument('workers')} {workers} with {threads} threads and {gpus:g} GPUs each: the cluster has room for "
            f"{room(threads)} ({there}). Ask for fewer workers, or for less per worker."
        )
    return Fit(workers, threads, gpus)


def machines_of(ray: Any) -> list[tuple[int, float]]:
    """Return the cores and GPUs of each machine of a cluster."""
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [(int(known.get("CPU", 0)), float(known.get("GPU", 0))) for known in resources]


class Read(NamedTuple):
    """A worker's answer: a shard that was read."""

    draft: ShardDraft | None
    """Draft in the run folder; None: the shard is in the store."""
    unreadable: list[Reason]
    """Why items could not be read, one reason each."""


class Fault(NamedTuple):
    """A worker's answer: why it failed."""

    text: str
    by_user: bool
    """Whether the input is wrong, so that any other worker would fail too."""


class ShardWorker:
    """Reads shards of one run in a worker; the driver calls its methods one at a time."""

    def __init__(
        self, folder: str, store: str | None, settings: dict[str, Any], work_folder: str, threads: int
    ) -> None:
        """Store what the driver sends: the run folder, the address of a store (None: none), and the configuration."""
        self.folder, self.address, self.settings = folder, store, settings
        self.work_folder, self.threads = work_folder, threads
        self.setting: Setting
        self.store: RunStore | None = None
        self.tasks: dict[str, Task]

    def load(self) -> str | Fault:
        """Load the model and SAE, and check them against the run's plan; return in words where the worker runs."""
        try:
            return self._load()
        except CompetencyGapsError as error:
            return _fault(error)

    def read(self, name: str, made_of: str, again: bool) -> Read | Fault:
        """Read a shard, and write a draft for the driver to commit or publish the shard in the store.

        Parameters
        ----------
        again
            Whether to replace the shard in the store.
        """
        try:
            task = self.tasks.get(name)
            if task is None or task.shard.made_of != made_of:
                raise UserError(f"shard {name} is made of different items here than where the command runs.")
            # With a store, a temporary folder.
            with nullcontext(self.folder) if self.address is None else TemporaryDirectory(prefix="cgaps-") as folder:
                reader = ShardReader(Path(folder), self.setting)
                content = reader.read(task.plan, task.shard, lambda items: None)  # the driver counts
                reasons = unreadable(content.responses)
                check_share(reasons, task.plan, self.setting)
                draft = reader.write(task.shard, content)
                if self.store is None:
                    return Read(draft, reasons)
                self.store.publish(draft, reader.files.folders, again=again)
            return Read(None, reasons)
        except CompetencyGapsError as error:
            return _fault(error)

    def _load(self) -> str:
        """Load model and SAE, and check that this machine reads the same run; returns a description."""
        import torch

        torch.set_num_threads(self.threads)
        if Path(self.work_folder).is_dir():  # relative paths are the driver's
            os.chdir(self.work_folder)
        self.store = None if self.address is None else RunStore(self.address)
        plan = read_plan(Path(self.folder)) if self.store is None else self.store.plan()
        if plan is None:
            raise UserError(f"there is no run in {self.address}: expected a store that all machines share.")
        config = planned(parse_config(RunConfig, self.settings, "configuration"), plan)
        setting = set_up(config, Progress(quiet=True))
        identity = plan_identity(config, setting.extractor, setting.bos_id, setting.suite)
        others = "" if config.accept_versions else other_versions(plan["versions"], identity["versions"])
        if differing := plan_differences(identity, plan) or others:
            raise UserError(
                f"a worker would read a different run from the folder's plan: they differ in {differing}. Expected "
                "the same model, SAE, benchmarks and packages on all machines."
            )
        self.setting, plans = setting, plan_suite(setting.prepared, config.sae.gate_tokens)
        self.tasks = {s.name: Task(plan, s) for plan in plans for s in plan.shards}
        return f"process {os.getpid()} on {socket.gethostname()}, {setting.lm.device}"


def _fault(error: CompetencyGapsError) -> Fault:
    """Return an error as a value that can be sent between machines."""
    return Fault(f"on {socket.gethostname()}: {error}", isinstance(error, UserError))
