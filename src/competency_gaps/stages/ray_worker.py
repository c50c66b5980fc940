"""A worker of Ray: it holds the model and the SAE, and reads the shards that it is given.

It writes them into the run folder, which it must see then, or puts them into a store. Nothing large is sent: a worker
gets names of shards, and answers with counts and checksums; the configuration, which may hold all items, is only sent
where a worker does not see the run folder.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.checked import damaged, read_document
from competency_gaps.config import RunConfig, parse_config
from competency_gaps.errors import CompetencyGapsError, UserError
from competency_gaps.items.item import Reason
from competency_gaps.model.load import versions
from competency_gaps.progress import Progress
from competency_gaps.runs.plan import FILE as PLAN
from competency_gaps.runs.plan import keep_precision, plan_differences, plan_identity, read_plan
from competency_gaps.runs.store import RunStore
from competency_gaps.stages.extraction import ShardDraft, ShardReader, unreadable
from competency_gaps.stages.reading import Task, check_share
from competency_gaps.stages.setting import Setting, set_up
from competency_gaps.stages.shard_plan import plan_suite
from competency_gaps.stages.shared import SharedShards

SETTINGS = "workers.json"
"""In the run folder while workers read: the configuration."""


class Ready(NamedTuple):
    """A worker that can read."""

    host: str
    process: int
    device: str


class Read(NamedTuple):
    """A shard that was read."""

    draft: ShardDraft | None
    """In the run folder; None: the shard is in the store."""
    unreadable: list[Reason]
    """Why items could not be read."""


class Fault(NamedTuple):
    """Why a worker could not do what it was asked."""

    text: str
    by_user: bool
    """The input is wrong, so that another worker would fail as well."""


class ShardWorker:
    """Reads shards of one run; each method is called by the driver, one at a time."""

    def __init__(
        self, folder: str | None, store: str | None, settings: dict[str, Any] | None, work_folder: str, threads: int
    ) -> None:
        """Take what the driver sends: the run folder, or the address of a store and the configuration."""
        self.folder, self.address, self.settings = folder, store, settings
        self.work_folder, self.threads = work_folder, threads
        self.setting: Setting
        self.store: RunStore | None = None
        self.tasks: dict[str, Task]

    def load(self) -> Ready | Fault:
        """Load everything, and check that it is what the run's plan says."""
        try:
            return self._load()
        except CompetencyGapsError as error:
            return _fault(error)

    def read(self, name: str, made_of: str, instead_of: tuple[str, ...]) -> Read | Fault:
        """Read a shard and write a draft of it, which the driver lets count, or put it into the store.

        Parameters
        ----------
        instead_of
            Checksums of a shard in the store that is replaced.
        """
        try:
            task = self.tasks.get(name)
            if task is None or task.shard.made_of != made_of:
                raise UserError(f"shard {name} is made of other items than where the command runs.")
            return self._read(task, instead_of)
        except CompetencyGapsError as error:
            return _fault(error)

    def _read(self, task: Task, instead_of: tuple[str, ...]) -> Read:
        setting = self.setting
        config = setting.config
        with self._place() as place:
            reader = ShardReader(place, setting.extractor, config.span, setting.bos_id, config.generation)
            content = reader.read(task.plan, task.shard, _uncounted)
            reasons = unreadable(content.responses)
            check_share(reasons, task.plan, self.setting)
            draft = reader.write(task.shard, content)
            if self.store is None:
                return Read(draft, reasons)
            SharedShards(self.store, reader.files).publish(draft, instead_of)
        return Read(None, reasons)

    @contextmanager
    def _place(self) -> Iterator[Path]:
        """The run folder; with a store, a folder that is removed afterwards."""
        if self.folder is not None:
            yield Path(self.folder)
            return
        with tempfile.TemporaryDirectory(prefix="competency-gaps-") as folder:
            yield Path(folder)

    def _load(self) -> Ready:
        import torch

        torch.set_num_threads(self.threads)
        plan, here = self._plan(), versions()
        config = parse_config(RunConfig, self._settings(), "configuration")
        # First: with another version a worker would not find the log of a task, and evaluate the task itself.
        own = {"versions": {name: here.get(name) for name in plan["versions"]}}
        _refuse(plan_differences(own, {"versions": plan["versions"]}))
        with self._place() as place:
            keep_precision(place, config.model, plan)
            setting = set_up(config, Progress(quiet=True), None, place)
        _refuse(plan_differences(plan_identity(config, setting.extractor, setting.bos_id, setting.suite), plan))
        self.setting = setting
        self.tasks = {s.name: Task(plan, s) for plan in plan_suite(setting.prepared) for s in plan.shards}
        return Ready(socket.gethostname(), os.getpid(), str(setting.lm.device))

    def _plan(self) -> dict[str, Any]:
        """The run's plan, from where the shards go; the process is then in the driver's folder, if it sees it."""
        seen = Path(self.work_folder).is_dir()
        if seen:
            os.chdir(self.work_folder)
        if self.address is not None:
            self.store = RunStore(self.address)
            plan = self.store.plan()
            if plan is None:
                raise UserError(
                    f"there is no run in {self.address}: expected a store that is the same for all machines and "
                    "processes."
                )
            return plan
        assert self.folder is not None
        if not (Path(self.folder) / PLAN).is_file() or not seen:
            raise UserError(
                f"there is no {self.folder} or {self.work_folder}: expected a file system that all machines share, "
                "under the same paths, or a store."
            )
        return read_plan(Path(self.folder))

    def _settings(self) -> dict[str, Any]:
        """The configuration, as it was sent or lies in the run folder."""
        if self.folder is None:
            assert self.settings is not None
            return self.settings
        file = Path(self.folder) / SETTINGS
        try:
            return read_document(file)
        except (OSError, ValueError) as error:
            raise damaged(file, error, "Run the command again: it writes the file.") from error


def _uncounted(items: float) -> None:
    """The driver counts."""


def _refuse(differing: str) -> None:
    if differing:
        raise UserError(
            f"a worker would read another run than the folder's plan says: they differ in {differing}. Expected the "
            "same model, SAE, benchmarks and packages on all machines."
        )


def _fault(error: CompetencyGapsError) -> Fault:
    return Fault(f"on {socket.gethostname()}: {error}", isinstance(error, UserError))
