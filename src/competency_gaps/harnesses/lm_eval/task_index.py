"""Look up names of lm-evaluation-harness (tasks, groups and tags), and load tasks."""

from __future__ import annotations

import functools
import json
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from competency_gaps.config import TaskSource
from competency_gaps.errors import MissingExtraError, UserError, argument, nearest

RANDOM_SEED, OTHER_SEED = 0, 1234
"""``simple_evaluate``'s seeds of Python's random numbers, and of NumPy's and torch's."""
_GROUP_KEYS = frozenset({"group", "group_alias", "task", "aggregate_metric_list", "metadata", "tag"})
"""Keys of the group itself; all others are defaults of its members."""


def load_task(source: TaskSource) -> Any:
    """Load a task and its data, with few-shot examples and seeds as in ``simple_evaluate``.

    Raises
    ------
    MissingExtraError
        If lm-evaluation-harness is not installed.
    UserError
        If there is no such task, it is a group, or its data cannot be loaded.
    """
    manager = _manager_of(source)
    kind = _kind(manager, source.name)
    if kind in ("group", "tag"):
        first = [member.name for member in members(source)][:3]
        raise UserError(
            f"lm_eval:{source.name} is a {kind} of several tasks ({', '.join(first)}, ...), each a benchmark of "
            f"its own. Give them one by one, or as {argument('task')} lm_eval:{source.name}, which takes all of them."
        )
    if kind is None and not _is_inline(source) and not Path(source.name).is_file():
        known = list(manager.task_index)
        hint = f" For task files of your own give their folder with {argument('include_path')}."
        hint = "" if source.include_path else hint
        raise UserError(f"lm_eval knows no task {source.name!r}.{nearest(source.name, known)}{hint}")
    task = _built(manager, source, registered=kind is not None)
    own = task.get_config("num_fewshot")
    if source.num_fewshot is not None and own != 0:
        task.set_config(key="num_fewshot", value=source.num_fewshot)
    elif own is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=source.fewshot_seed)
    return task


def members(source: TaskSource) -> list[TaskSource]:
    """The single tasks that a name stands for; see :func:`competency_gaps.harnesses.tasks.expand`."""
    manager = _manager_of(source)
    if _kind(manager, source.name) is None:
        return [source]
    tasks: list[TaskSource] = []
    for name, arguments in _leaves(manager, source.name, dict(source.arguments)):
        task = source.model_copy(update={"name": name, "arguments": arguments})
        if task not in tasks:  # groups may share members
            tasks.append(task)
    return tasks


def _kind(manager: Any, name: str) -> str | None:
    """``task``, ``group`` or ``tag``; None: the harness does not know the name."""
    entry = manager.task_index.get(name)
    return None if entry is None else str(entry.kind.name.lower().removeprefix("py_"))


@contextmanager
def harness_seeds() -> Iterator[None]:
    """Seed random numbers as ``simple_evaluate`` does; the former states are restored afterwards."""
    import torch

    python, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(RANDOM_SEED)
        np.random.seed(OTHER_SEED)
        torch.manual_seed(OTHER_SEED)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy_state)


@contextmanager
def quiet_harness() -> Iterator[None]:
    """Silence the harness's messages below errors; the task's report has what matters."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _manager_of(source: TaskSource) -> Any:
    try:
        import lm_eval.tasks  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "lm_eval", "lm-eval", "A task of lm-evaluation-harness") from error
    folder = source.include_path
    if folder is not None and not folder.is_dir():
        raise UserError(
            f"include_path {str(folder)!r} is not a folder. Give the folder that holds the task's .yaml file."
        )
    if folder is not None:
        # The user's own tasks take precedence, and reading the harness's thousands of task files takes seconds.
        own = _manager(str(folder.resolve()), False)
        if _kind(own, source.name) == "task":
            return own
    elif _is_inline(source) or Path(source.name).is_file():
        return _manager(None, False)
    return _manager(str(folder.resolve()) if folder else None, True)


@functools.lru_cache(maxsize=8)
def _manager(include_path: str | None, include_defaults: bool) -> Any:
    from lm_eval.tasks import TaskManager

    with quiet_harness():
        return TaskManager(include_path=include_path, include_defaults=include_defaults)


def _built(manager: Any, source: TaskSource, *, registered: bool) -> Any:
    import datasets

    spec: Any = source.name
    if registered and source.arguments:
        # A group of one: the public way to change a registered task's configuration.
        spec = {"group": "one", "task": [{"task": source.name, **source.arguments}]}
    elif not registered and _is_inline(source):
        spec = {**source.arguments, "task": source.name}
    known = (OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError, datasets.exceptions.DatasetsError)
    try:
        with quiet_harness(), harness_seeds():
            tasks = manager.load([spec])["tasks"]
    except ImportError as error:
        raise UserError(
            f"lm_eval:{source.name} needs the package {error.name!r}, which is not installed: {error}"
        ) from error
    except known as error:
        first_line = str(error).strip().split("\n")[0]
        raise UserError(
            f"lm_eval:{source.name} cannot be loaded: {type(error).__name__}: {first_line} Its data come from "
            "a dataset hub or from local files: check that the hub can be reached, or that the files are there."
        ) from error
    return next(iter(tasks.values()))


def _leaves(manager: Any, name: str, given: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Single tasks under a name, with the settings of their groups; ``given`` overrides these."""
    kind = _kind(manager, name)
    if kind in (None, "task"):
        return [(name, _plain(name, given))]
    entry = manager.task_index[name]
    if kind == "tag":
        return [leaf for task in sorted(entry.tags) for leaf in _leaves(manager, task, given)]
    return _members(manager, name, entry.cfg or {}, given)


def _members(
    manager: Any, group: str, config: dict[str, Any], given: dict[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    outer = {**{key: value for key, value in config.items() if key not in _GROUP_KEYS}, **given}
    leaves: list[tuple[str, dict[str, Any]]] = []
    listed = config.get("task") or []
    for member in [listed] if isinstance(listed, str) else listed:
        if isinstance(member, str):
            leaves += _leaves(manager, member, outer)
            continue
        own = {key: value for key, value in member.items() if key not in ("group", "task", "task_alias")}
        if "group" in member and member["group"] not in manager.task_index:
            leaves += _members(manager, member["group"], member, outer)
        elif "group" in member:
            leaves += _leaves(manager, member["group"], {**outer, **own})
        elif member["task"] not in manager.task_index:
            leaves.append((f"{group}::{member['task']}", _plain(group, {**outer, **own})))
        else:
            leaves += _leaves(manager, member["task"], {**outer, **own})
    return leaves


def _plain(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(json.loads(json.dumps(arguments)))
    except TypeError as error:
        raise UserError(
            f"lm_eval:{name}: a setting of its group cannot be written into a configuration ({error}). Name its tasks "
            "one by one."
        ) from error


def _is_inline(source: TaskSource) -> bool:
    """Whether the arguments define a whole task."""
    return "dataset_path" in source.arguments
