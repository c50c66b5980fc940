"""A worker of Ray: it holds the model and the SAE, and reads the shards that it is given into the run folder.

Nothing large is sent: a worker gets the run folder, where it reads the configuration, and names of shards, and answers
with counts and checksums.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.checked import damaged, read_document
from competency_gaps.config import RunConfig, parse_config
from competency_gaps.errors import CompetencyGapsError, UserError
from competency_gaps.installation import versions
from competency_gaps.items.remark import Remark
from competency_gaps.progress import Progress
from competency_gaps.runs.plan import FILE as PLAN
from competency_gaps.runs.plan import plan_differences, plan_identity, read_plan
from competency_gaps.stages.extraction import ShardDraft, ShardReader
from competency_gaps.stages.reading import Task, check_share
from competency_gaps.stages.setting import Setting, set_up
from competency_gaps.stages.shard_plan import plan_suite

SETTINGS = "workers.json"
"""In the run folder while workers read: the configuration."""


class Ready(NamedTuple):
    """A worker that can read."""

    host: str
    process: int
    device: str


class Read(NamedTuple):
    """A shard that was read."""

    draft: ShardDraft
    unreadable: list[Remark]
    """Why items could not be read."""


class Fault(NamedTuple):
    """Why a worker could not do what it was asked."""

    text: str
    by_user: bool
    """The input is wrong, so that another worker would fail as well."""


class ShardWorker:
    """Reads shards of one run; each method is called by the driver, one at a time."""

    def __init__(self, folder: str, work_folder: str, threads: int) -> None:
        self.folder, self.work_folder, self.threads = Path(folder), work_folder, threads
        self.setting: Setting
        self.reader: ShardReader
        self.tasks: dict[str, Task]

    def load(self) -> Ready | Fault:
        """Load everything, and check that it is what the run's plan says."""
        try:
            return self._load()
        except CompetencyGapsError as error:
            return _fault(error)

    def read(self, name: str, made_of: str) -> Read | Fault:
        """Read a shard and write a draft of it; the driver lets it count."""
        try:
            task = self.tasks.get(name)
            if task is None or task.shard.made_of != made_of:
                raise UserError(f"shard {name} is made of other items than where the command runs.")
            reasons: list[Remark] = []

            def check(why: list[Remark]) -> None:
                check_share(why, task.plan, self.setting)
                reasons.extend(why)

            return Read(self.reader.read(task.plan, task.shard, lambda _: None, check), reasons)
        except CompetencyGapsError as error:
            return _fault(error)

    def _load(self) -> Ready:
        import torch

        torch.set_num_threads(self.threads)
        if not (self.folder / PLAN).is_file() or not Path(self.work_folder).is_dir():
            raise UserError(
                f"there is no {self.folder} or {self.work_folder}: expected a file system that all machines share, "
                "under the same paths."
            )
        os.chdir(self.work_folder)
        config = parse_config(RunConfig, _read_settings(self.folder / SETTINGS), "configuration")
        plan, here = read_plan(self.folder), versions()
        # First: with another version a worker would not find the log of a task, and evaluate the task itself.
        own = {"versions": {name: here.get(name) for name in plan["versions"]}}
        _refuse(plan_differences(own, {"versions": plan["versions"]}))
        setting = set_up(config, Progress(quiet=True), None, self.folder)
        _refuse(plan_differences(plan_identity(config, setting.extractor, setting.bos_id, setting.suite), plan))
        self.setting = setting
        self.reader = ShardReader(self.folder, setting.extractor, config.span, setting.bos_id, config.generation)
        self.tasks = {s.name: Task(plan, s) for plan in plan_suite(setting.prepared) for s in plan.shards}
        return Ready(socket.gethostname(), os.getpid(), str(setting.lm.device))


def _read_settings(file: Path) -> dict[str, Any]:
    try:
        return read_document(file)
    except (OSError, ValueError) as error:
        raise damaged(file, error, "Run the command again: it writes the file.") from error


def _refuse(differing: str) -> None:
    if differing:
        raise UserError(
            f"a worker would read another run than the folder's plan says: they differ in {differing}. Expected the "
            "same model, SAE, benchmarks and packages on all machines."
        )


def _fault(error: CompetencyGapsError) -> Fault:
    return Fault(f"on {socket.gethostname()}: {error}", isinstance(error, UserError))
