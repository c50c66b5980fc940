"""lm-evaluation-harness's output folder: samples files, and the results file that belongs to each."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from competency_gaps.errors import UserError
from competency_gaps.harnesses.shared.files import files_under, first_object, json_file, mapping, text_or_none
from competency_gaps.items.remark import Remark

_NAME = re.compile(r"samples_(?P<task>.+?)(?:_(?P<stamp>\d{4}-\d\d-\d\dT[\d.:-]+))?\.jsonl")
_RESULTS = re.compile(r"results_(?P<stamp>\d{4}-\d\d-\d\dT[\d.:-]+)\.json")
_MODEL_KEYS = ("peft", "delta", "pretrained", "model", "path", "engine")
"""Model arguments that name the model, in lm-eval's own order."""


@dataclass(frozen=True)
class LoggedTask:
    """A task according to the results file; everything but the name is empty without one."""

    name: str
    results: Path | None = None
    model: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """The task's configuration, functions as their source text."""
    higher_is_better: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    """``METRIC,FILTER`` -> lm-eval's own aggregate."""
    shots: int | None = None
    """Few-shot examples before each item; None: unknown."""
    bos: str | None = None
    """The token that starts an input; None: none, or unknown."""
    chat_template: bool | None = None
    """Whether a chat template rendered the prompts; None: unknown."""
    system: str | None = None
    notes: tuple[Remark, ...] = ()


def sample_files(path: Path) -> dict[tuple[Path, str], list[tuple[str, Path]]]:
    """Folder and task -> time and path of each samples file; for a results file, samples of its time beside it."""
    time = _RESULTS.fullmatch(path.name) if path.is_file() else None
    if time is None:
        files = files_under(path, "samples_*.jsonl")
    else:
        files = [file for file in path.parent.glob(f"samples_*_{time['stamp']}.jsonl") if file.is_file()]
    dated: dict[tuple[Path, str], list[tuple[str, Path]]] = {}
    for file in sorted(files):
        match = _NAME.fullmatch(file.name)
        if match and {"doc_id", "doc"} <= first_object(file).keys():
            dated.setdefault((file.parent, match["task"]), []).append((match["stamp"] or "", file))
    return dated


def results_without_samples(path: Path) -> bool:
    """Whether there are results files of lm-eval here, whose samples were not logged."""
    return any(_is_results(_results(file)) for file in files_under(path, "results*.json")[:20])


def read_task_file(samples: Path, task: str, stamp: str) -> LoggedTask:
    """Read what the results file beside a samples file records about a task.

    The results file of the same time is used, else the newest in the folder that contains the task, with a note.
    """
    beside = sorted(samples.parent.glob("results*.json"), reverse=True)
    exact = [file for file in beside if stamp and stamp in file.name]
    for file in [*exact, *(other for other in beside if other not in exact)]:
        results = _results(file)
        if _is_results(results) and task in results["configs"]:
            note = Remark("other_results_file", quotes=(file.name, samples.name))
            return _task(task, file, results, () if file in exact else (note,))
    model = samples.parent.name if "__" in samples.parent.name else None
    return LoggedTask(task, model=model.replace("__", "/") if model else None, notes=(Remark("no_results_file"),))


def _task(name: str, file: Path, results: Mapping[str, Any], notes: tuple[Remark, ...]) -> LoggedTask:
    facts = {key: mapping(results.get(key)).get(name) for key in ("configs", "higher_is_better", "results", "n-shot")}
    bos = results.get("tokenizer_bos_token")
    return LoggedTask(
        name,
        results=file,
        model=_model(results),
        config=mapping(facts["configs"]),
        higher_is_better=mapping(facts["higher_is_better"]),
        figures=mapping(facts["results"]),
        shots=facts["n-shot"] if isinstance(facts["n-shot"], int) else None,
        bos=text_or_none(bos[0]) or None if isinstance(bos, list) and bos else None,
        chat_template=bool(results["chat_template"]) if "chat_template" in results else None,
        system=text_or_none(results.get("system_instruction")) or None,
        notes=notes,
    )


def _model(results: Mapping[str, Any]) -> str | None:
    arguments = _arguments(results)
    named = next((str(arguments[key]) for key in _MODEL_KEYS if arguments.get(key)), None)
    return text_or_none(results.get("model_name")) or named


def model_commit(files: Sequence[str]) -> str | None:
    """The model's commit on the hub, from the results file among a report's files; None: unknown."""
    return text_or_none(mapping(_results_among(files).get("config")).get("model_sha")) or None


def pretrained_model(files: Sequence[str]) -> str | None:
    """Hub id or folder of the model, from the results file among a report's files; None: it names no model.

    Only models that lm-eval loaded itself (``hf``, ``vllm``) have ``pretrained`` among their arguments. With an adapter
    or a weight difference, it names only a part of the model.
    """
    arguments = _arguments(_results_among(files))
    name, whole = arguments.get("pretrained"), not arguments.get("peft") and not arguments.get("delta")
    return str(name) if name and whole else None


def _results_among(files: Sequence[str]) -> Mapping[str, Any]:
    paths = (Path(file) for file in files)
    return next((_results(path) for path in paths if path.suffix == ".json" and path.is_file()), {})


def _arguments(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """lm-eval's model arguments: ``pretrained=NAME,dtype=float16`` or a mapping."""
    arguments = mapping(results.get("config")).get("model_args")
    if isinstance(arguments, str):
        return dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    return mapping(arguments)


def _is_results(results: Mapping[str, Any]) -> bool:
    return isinstance(results.get("results"), dict) and isinstance(results.get("configs"), dict)


def _results(file: Path) -> Mapping[str, Any]:
    return _parsed(file, file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _parsed(file: Path, _changed: int) -> Mapping[str, Any]:
    # One file serves all tasks of an evaluation, so it is parsed once and not once per task.
    try:
        return mapping(json_file(file))
    except UserError:
        return {}
