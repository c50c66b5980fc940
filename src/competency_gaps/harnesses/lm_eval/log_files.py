"""lm-evaluation-harness's output folder: samples files, and the results file that belongs to each."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.errors import UserError
from competency_gaps.harnesses.shared.lines import files_under, first_object, json_file
from competency_gaps.items.remark import Remark

_NAME = re.compile(r"samples_(?P<task>.+?)(?:_(?P<stamp>\d{4}-\d\d-\d\dT[\d.:-]+))?\.jsonl")
_RESULTS = re.compile(r"results_(?P<stamp>\d{4}-\d\d-\d\dT[\d.:-]+)\.json")
_MODEL_KEYS = ("peft", "delta", "pretrained", "model", "path", "engine")
"""Model arguments that name the model, in lm-eval's own order."""


class SampleFile(NamedTuple):
    """The newest samples file of a task in one folder."""

    path: Path
    task: str
    stamp: str | None
    older: tuple[str, ...]
    """Names of the older files of the task."""


@dataclass(frozen=True)
class Task:
    """Facts about a task from the results file; all are empty without one."""

    name: str
    results: Path | None = None
    model: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """The task's configuration, functions as their source text."""
    higher_is_better: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    """``METRIC,FILTER`` -> lm-eval's own aggregate."""
    shots: int | None = None
    """Examples before each item; None: unknown."""
    bos: str | None = None
    """The token that starts an input; None: none, or unknown."""
    chat_template: bool | None = None
    """Whether the prompts were rendered by a chat template; None: unknown."""
    system: str | None = None
    notes: tuple[Remark, ...] = ()

    def figure(self, metric: str | None, filter_: str | None) -> float | None:
        """lm-eval's own aggregate; None if there is none."""
        value = self.figures.get(f"{metric},{filter_}")
        return float(value) if isinstance(value, (int, float)) and value == value else None


def sample_files(path: Path) -> list[SampleFile]:
    """Samples files, the newest of each task in each folder; for a results file, those of its time beside it."""
    time = _RESULTS.fullmatch(path.name) if path.is_file() else None
    if time is not None:
        beside = path.parent.glob(f"samples_*_{time['stamp']}.jsonl")
        return _newest(sorted(file for file in beside if file.is_file()))
    return _newest(files_under(path, "samples_*.jsonl"))


def _newest(files: Iterable[Path]) -> list[SampleFile]:
    dated_files: dict[tuple[Path, str], list[tuple[str, Path]]] = {}
    for file in files:
        match = _NAME.fullmatch(file.name)
        if match and _is_sample(first_object(file)):
            dated_files.setdefault((file.parent, match["task"]), []).append((match["stamp"] or "", file))
    newest = []
    for (_, task), dated in dated_files.items():
        *older, (stamp, file) = sorted(dated)
        newest.append(SampleFile(file, task, stamp or None, tuple(old.name for _, old in older)))
    return newest


def _is_sample(record: Mapping[str, Any] | None) -> bool:
    return record is not None and "doc_id" in record and "doc" in record


def results_without_samples(path: Path) -> bool:
    """Whether results files of lm-eval lie here (their samples were not logged)."""
    return any(_is_results(_results(file)) for file in files_under(path, "results*.json")[:20])


def read_task_file(samples: Path, task: str, stamp: str | None) -> Task:
    """Read the facts about a task from the results file beside a samples file.

    The results file of the same time is taken, else the newest in the folder that knows the task, with a note.
    """
    beside = sorted(samples.parent.glob("results*.json"), reverse=True)
    exact = [file for file in beside if stamp is not None and stamp in file.name]
    for file in [*exact, *(other for other in beside if other not in exact)]:
        results = _results(file)
        if _is_results(results) and task in results["configs"]:
            note = Remark("other_results_file", quotes=(file.name, samples.name))
            return _task(task, file, results, () if file in exact else (note,))
    model = samples.parent.name if "__" in samples.parent.name else None
    return Task(task, model=model.replace("__", "/") if model else None, notes=(Remark("no_results_file"),))


def _task(name: str, file: Path, results: Mapping[str, Any], notes: tuple[Remark, ...]) -> Task:
    bos = results.get("tokenizer_bos_token")
    first = bos[0] if isinstance(bos, list) and bos else None
    shots = _of(results, "n-shot").get(name)
    system = results.get("system_instruction")
    return Task(
        name,
        results=file,
        model=_model(results),
        config=_of(_of(results, "configs"), name),
        higher_is_better=_of(_of(results, "higher_is_better"), name),
        figures=_of(_of(results, "results"), name),
        shots=shots if isinstance(shots, int) else None,
        bos=first if isinstance(first, str) and first else None,
        chat_template=bool(results["chat_template"]) if "chat_template" in results else None,
        system=system if isinstance(system, str) and system else None,
        notes=notes,
    )


def _model(results: Mapping[str, Any]) -> str | None:
    name = results.get("model_name")
    if isinstance(name, str) and name:
        return name
    arguments = _arguments(results)
    return next((str(arguments[key]) for key in _MODEL_KEYS if arguments.get(key)), None)


def model_commit(files: Sequence[str]) -> str | None:
    """The model's commit on the hub, from the results file among a report's files; None: unknown."""
    for file in files:
        if Path(file).suffix == ".json" and Path(file).is_file():
            commit = _of(_results(Path(file)), "config").get("model_sha")
            return commit if isinstance(commit, str) and commit else None
    return None


def pretrained_model(files: Sequence[str]) -> str | None:
    """Hub id or folder of the model, from the results file among a report's files; None: it names no model.

    Only models that lm-eval loaded itself (``hf``, ``vllm``) have ``pretrained`` among their arguments. Where an
    adapter or a difference of weights was added, it names only a part of the model.
    """
    for file in files:
        if Path(file).suffix == ".json" and Path(file).is_file():
            arguments = _arguments(_results(Path(file)))
            whole = not arguments.get("peft") and not arguments.get("delta")
            name = arguments.get("pretrained")
            return str(name) if name and whole else None
    return None


def _arguments(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """lm-eval's model arguments: ``pretrained=NAME,dtype=float16`` or a mapping."""
    arguments = _of(results, "config").get("model_args")
    if isinstance(arguments, str):
        return dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    return arguments if isinstance(arguments, dict) else {}


def _of(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = value.get(key)
    return inner if isinstance(inner, dict) else {}


def _is_results(results: Mapping[str, Any]) -> bool:
    return isinstance(results.get("results"), dict) and isinstance(results.get("configs"), dict)


def _results(file: Path) -> Mapping[str, Any]:
    return _parsed(file, file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _parsed(file: Path, _changed: int) -> Mapping[str, Any]:
    # One file serves all tasks of an evaluation, so it is parsed once and not once per task.
    try:
        value = json_file(file)
    except UserError:
        return {}
    return value if isinstance(value, dict) else {}
