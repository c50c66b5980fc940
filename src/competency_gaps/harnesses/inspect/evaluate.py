"""Tasks of Inspect: Inspect asks this run's model, and its log is then read like any other."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from competency_gaps.config import BenchmarkConfig, LogSource, RunConfig, TaskSource, as_dict
from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.harnesses.inspect.model import CONNECTIONS, registered
from competency_gaps.harnesses.shared.folder_digest import folder_digest
from competency_gaps.harnesses.tasks import inspect_place
from competency_gaps.installation import versions
from competency_gaps.model.batches import WRITTEN_AT_ONCE
from competency_gaps.model.load import LanguageModel
from competency_gaps.progress import Progress
from competency_gaps.runs.plan import HARNESS as FOLDER
from competency_gaps.runs.plan import note_precision, refuse_others
from competency_gaps.text import shorten, visible

_PACKAGES = ("torch", "transformers", "competency-gaps", "inspect-ai")
_READ = (".py", ".json", ".jsonl", ".csv", ".yaml", ".yml", ".txt")


def asks_the_model(choice: BenchmarkConfig) -> bool:
    """Whether a benchmark is a task that asks the model itself, and so needs the model before it has items."""
    return isinstance(choice.source, TaskSource) and choice.source.harness == "inspect"


def evaluated(
    choice: BenchmarkConfig, lm: LanguageModel, config: RunConfig, folder: Path | None, progress: Progress
) -> BenchmarkConfig:
    """Let Inspect evaluate a task on the loaded model, and return the benchmark that reads its log.

    A finished log in the run folder is used as it is; an unfinished one is completed by Inspect's own retry, which
    keeps the finished samples. Epochs, scorers and sampling are the task's; ``limit`` takes the first samples, as
    in Inspect, and the tokenizer's chat template renders the task's messages. The task's file is run, as in Inspect:
    it is code of whoever wrote it.

    Raises
    ------
    MissingExtraError
        If Inspect is not installed.
    UserError
        If there is no such file or task, the tokenizer has no chat template, or the evaluation fails.
    """
    source = choice.source
    assert isinstance(source, TaskSource)
    _check(source)
    if folder is None:
        raise UserError(f"inspect:{source.name}: Inspect's log needs a run folder.")
    refuse_others(folder, config)
    try:
        import inspect_ai  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "inspect_ai", "inspect", "A task of Inspect") from error
    place = folder / FOLDER / f"{_file_name(choice.name)}-{_fingerprint(choice, lm, config, folder)}"
    logs = _logs(place)
    log = next((path for path, status in logs.items() if status == "success"), None)
    if log is None:
        note_precision(folder, lm.identity["dtype"])
        progress.say(f"{choice.name}: Inspect evaluates {source.name}" + (", continuing its log" if logs else ""))
        with (
            progress.stage("evaluating with Inspect"),
            registered(lm, config.generation, config.batch_tokens or WRITTEN_AT_ONCE) as name,
            _own_logging(),
        ):
            log = _evaluate(source, name, choice.limit, place, next(iter(logs), None))
    read = LogSource(path=log, format="inspect", scorer=source.scorer, metric=source.metric)
    return choice.model_copy(update={"source": read})


def _check(source: TaskSource) -> None:
    file, _ = inspect_place(source.name)
    if not file.is_file():
        raise UserError(f"inspect:{source.name}: there is no file {str(file)!r}. Expected inspect:FILE@TASK.")
    for option in ("include_path", "num_fewshot", "filter"):
        if getattr(source, option) is not None:
            raise UserError(f"inspect:{source.name}: {option} is an option of lm_eval. Leave it out.")


def _evaluate(source: TaskSource, model: str, limit: int | None, place: Path, unfinished: Path | None) -> Path:
    """Start an evaluation, or continue an unfinished one; returns its log."""
    import inspect_ai
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai.log import read_eval_log

    quiet = {"display": "none", "log_dir": str(place.resolve()), "max_connections": CONNECTIONS, "log_level": "error"}
    quiet |= {"ctl_server": False, "acp_server": False}
    spec, working_folder = _spec(source)
    if unfinished is not None:
        call, first = inspect_ai.eval_retry, read_eval_log(str(unfinished.resolve()))
        options = quiet
    else:
        call, first = inspect_ai.eval, spec
        options = {**quiet, "model": model, "task_args": dict(source.arguments), "limit": limit}
    known = inspect.signature(call).parameters
    try:
        with contextlib.chdir(working_folder):
            (log,) = call(first, **{key: value for key, value in options.items() if key in known})
    except ValueError as error:
        raise UserError(f"inspect:{source.name} names no single task: {error}.") from error
    except PrerequisiteError as error:
        raise UserError(f"inspect:{source.name}: Inspect says: {error}") from error
    except (OSError, ImportError, AttributeError, TypeError, SyntaxError, KeyError) as error:
        raise UserError(f"inspect:{source.name} cannot be evaluated: {type(error).__name__}: {error}") from error
    if log.status != "success":
        message = shorten(visible(log.error.message), 300) if log.error else "no reason is given"
        raise UserError(
            f"inspect:{source.name} ended with the status {log.status!r}: {message} Its log is kept in {place}; the "
            "same command continues it."
        )
    return place / Path(str(log.location).removeprefix("file://")).name


def _spec(source: TaskSource) -> tuple[str, Path]:
    """Inspect's name of the task, and the folder in which Inspect is called."""
    file, task = inspect_place(source.name)
    path = file.resolve()
    if task is None and "@" in str(path.parent):  # Inspect would take the rest of such a path for the task's name
        return path.name, path.parent
    return (str(path) if task is None else f"{path}@{task}"), Path()


def _logs(place: Path) -> dict[Path, str]:
    """Logs of a folder with their status, newest first; unreadable ones are skipped."""
    from inspect_ai.log import read_eval_log

    statuses: dict[Path, str] = {}
    for path in sorted(place.glob("*.eval"), reverse=True):
        with contextlib.suppress(ValueError, OSError, KeyError):
            statuses[path] = str(read_eval_log(str(path.resolve()), header_only=True).status)
    return statuses


def _fingerprint(choice: BenchmarkConfig, lm: LanguageModel, config: RunConfig, folder: Path) -> str:
    """A hash of everything an evaluation depends on, including the files beside the task, which it may read."""
    assert isinstance(choice.source, TaskSource)
    source = as_dict(choice.source)
    file, _ = inspect_place(choice.source.name)
    parts = [
        {key: value for key, value in source.items() if key not in ("scorer", "metric")},
        hashlib.sha256(file.read_bytes()).hexdigest(),
        folder_digest(file.resolve().parent, _READ, depth=2, skip=folder),
        choice.limit,
        {key: lm.identity[key] for key in ("content_sha256", "settings_sha256", "dtype", "tokenizer")},
        as_dict(config.generation),
        {key: value for key, value in versions().items() if key in _PACKAGES},
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)[:80]


@contextlib.contextmanager
def _own_logging() -> Iterator[None]:
    """Restore the root logger's handlers and level afterwards, which Inspect replaces."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
