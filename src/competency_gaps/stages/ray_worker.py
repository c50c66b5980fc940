"""A worker of Ray: it holds the model and the SAE, and reads the shards that it is given.

It writes them into the run folder, which it must see then, or puts them into a store. A worker gets names of shards,
and answers with counts and checksums.
"""

from __future__ import annotations

import os
import socket
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from competency_gaps.config import RunConfig, parse_config
from competency_gaps.errors import CompetencyGapsError, UserError
from competency_gaps.items.item import Reason
from competency_gaps.progress import Progress
from competency_gaps.runs.plan import plan_differences, plan_identity, planned, read_plan
from competency_gaps.runs.store import RunStore
from competency_gaps.stages.engines import Task, check_share, other_versions, publish
from competency_gaps.stages.extraction import ShardDraft, ShardReader, plan_suite, unreadable
from competency_gaps.stages.setting import Setting, set_up


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
        self, folder: str, store: str | None, settings: dict[str, Any], work_folder: str, threads: int
    ) -> None:
        """Take what the driver sends: the run folder or the address of a store, and the configuration."""
        self.folder, self.address, self.settings = folder, store, settings
        self.work_folder, self.threads = work_folder, threads
        self.setting: Setting
        self.store: RunStore | None = None
        self.tasks: dict[str, Task]

    def load(self) -> str | Fault:
        """Load everything, and check that it is what the run's plan says; gives in words where the worker runs."""
        try:
            return self._load()
        except CompetencyGapsError as error:
            return _fault(error)

    def read(self, name: str, made_of: str, again: bool) -> Read | Fault:
        """Read a shard and write a draft of it, which the driver lets count, or put it into the store.

        Parameters
        ----------
        again
            Whether the shard in the store is replaced.
        """
        try:
            task = self.tasks.get(name)
            if task is None or task.shard.made_of != made_of:
                raise UserError(f"shard {name} is made of different items here than where the command runs.")
            # With a store, a folder that is removed afterwards.
            with nullcontext(self.folder) if self.address is None else TemporaryDirectory(prefix="cgaps-") as place:
                reader = ShardReader(Path(place), self.setting)
                content = reader.read(task.plan, task.shard, lambda items: None)  # the driver counts
                reasons = unreadable(content.responses)
                check_share(reasons, task.plan, self.setting)
                draft = reader.write(task.shard, content)
                if self.store is None:
                    return Read(draft, reasons)
                publish(self.store, reader.files, draft, again=again)
            return Read(None, reasons)
        except CompetencyGapsError as error:
            return _fault(error)

    def _load(self) -> str:
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
        own = plan_identity(config, setting.extractor, setting.bos_id, setting.suite)
        others = "" if config.accept_versions else other_versions(plan["versions"], own["versions"])
        if differing := plan_differences(own, plan) or others:
            raise UserError(
                f"a worker would read a different run from the folder's plan: they differ in {differing}. Expected "
                "the same model, SAE, benchmarks and packages on all machines."
            )
        self.setting, plans = setting, plan_suite(setting.prepared, config.sae.gate_tokens)
        self.tasks = {s.name: Task(plan, s) for plan in plans for s in plan.shards}
        return f"process {os.getpid()} on {socket.gethostname()}, {setting.lm.device}"


def _fault(error: CompetencyGapsError) -> Fault:
    return Fault(f"on {socket.gethostname()}: {error}", isinstance(error, UserError))
