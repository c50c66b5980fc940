"""Logs of lm-evaluation-harness (``--log_samples``): one item per document of the chosen filter.

By default the score is the task's first metric (in the order of its configuration) that is one number in [0, 1] per
document and of which higher is better, after the first filter of the file.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from competency_gaps.items.config import LogSource
from competency_gaps.items.item import Reason
from competency_gaps.logs.lm_eval_document import NOTES, LoggedTask, answer_of, chosen, options_of, read_document
from competency_gaps.logs.reader import (
    NONE,
    OUTSIDE,
    LogEntry,
    LoggedScore,
    LogPart,
    Reader,
    Tally,
    chosen_metric,
    log_lines,
    mapped,
    newest,
    score_in_unit,
)
from competency_gaps.util.errors import UserError, no_such
from competency_gaps.util.jsonl import files_under, first_object, json_file, mapping, sequence, text_or_none
from competency_gaps.util.text import shorten

_GROUPS = ("category", "subject", "topic")
"""Fields of a document that name its sub-topic."""
_MAX_RECORDS_FOR_METRIC = 200
"""Number of records that are read to choose a metric."""


def find(path: Path) -> list[LogPart]:
    """Return one part per task and folder, from its newest samples file."""
    parts = []
    for (_, name), logs in sample_files(path).items():
        stamp, file, older = newest(logs)
        task = read_task_file(file, name, stamp)
        files = (file,) if task.results is None else (file, task.results)
        notes = (*task.notes, *older)
        parts.append(LogPart("lm_eval", name, files, task.model, stamp or None, notes, {"task": task}))
    return parts


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Yield the items of one samples file, then the report.

    Raises
    ------
    UserError
        If no metric is a score, or the requested metric or filter does not exist.
    """
    task = part.details["task"]
    faults = _faults(part.files[0], task)
    metric = chosen_metric(source, part, faults)
    usable = tuple(name for name, fault in faults.items() if fault is None)
    tally = Tally(part, metric=None if metric == NONE and NONE not in faults else metric, filter=source.scorer)
    reader = _DocumentReader(task, tally, source)
    filters: Counter[str] = Counter()
    for line in log_lines(part.files[0]):
        tally.records += 1
        if line.fault is not None:
            yield tally.drop(line.where, line.fault)
            continue
        name = str(line.value.get("filter", "none"))
        filters[name] += 1
        if tally.filter is None:
            tally.filter = name
        if name == tally.filter:
            yield reader.entry(line.value, line.where)
        else:
            # Counted, not listed.
            tally.drop(line.where, Reason("other_filter", f"answer of another filter ({name!r})"))
    tally.available = {"metric": usable, "filter": tuple(filters)}
    if source.scorer is not None and source.scorer not in filters:
        raise no_such(f"{part.files[0].name} has no filter", source.scorer, filters)
    tally.compare_mean(task.figures.get(f"{tally.metric},{tally.filter}"), str(tally.metric))
    yield tally.report()


@dataclass
class _DocumentReader:
    """Turns the records of one file into items."""

    task: LoggedTask
    tally: Tally
    source: LogSource
    seen: set[str] = field(default_factory=set)

    def entry(self, record: dict[str, Any], where: str) -> LogEntry:
        """Return one record of the chosen filter as an item, or as left out."""
        number = str(record.get("doc_id"))
        if number in self.seen:
            text = "the file has a document more than once for one filter; the first record counts"
            self.tally.warn("document_twice", text)
            return self.tally.drop(where, Reason("document_again", "repeats an earlier document"))
        document = read_document(record, self.task)
        if isinstance(document, Reason):
            return self.tally.drop(where, document)
        self.seen.add(number)
        asked, arguments, warnings = document
        for code in warnings:
            self.tally.warn(code, NOTES[code])
        score = self._score(record, where)
        self.tally.unscored_because(score.reason)
        further = mapped(self.source, where, mapping(record.get("doc")), record)
        return self.tally.item(
            asked.item(number, **{**self._fields(record, arguments, score), **further}), asked.method
        )

    def _score(self, record: dict[str, Any], where: str) -> LoggedScore:
        """Return the record's score by the chosen metric; UserError if it is outside [0, 1]."""
        metric = self.tally.metric
        if metric is None:
            return LoggedScore(None)
        score = score_in_unit(record.get(metric))
        if score.reason == OUTSIDE:
            raise UserError(
                f"{where}: the metric {metric!r} is {record[metric]}, expected a number in [0, 1]. "
                "Choose another with 'metric', or 'none' to use the items without scores."
            )
        return score

    def _fields(self, record: dict[str, Any], arguments: list[list[Any]], score: LoggedScore) -> dict[str, Any]:
        """Return the item's further fields: options, answer, group, score, response and identity."""
        options = options_of(arguments, self.task)
        answers = sequence(record.get("resps"))
        repeats = len(answers[0]) if answers and isinstance(answers[0], list) else 1
        if repeats > 1:
            text = f"each item was asked {repeats} times; lm-eval's filter made one answer from these"
            self.tally.warn("asked_repeatedly", f"{text}, and the first is kept as the response", repeats)
        identity: dict[str, Any] = {
            "tool": "lm_eval",
            "task": self.task.name,
            "doc_id": record.get("doc_id"),
            "filter": record.get("filter"),
            "metric": self.tally.metric,
            "repeats": repeats,
            **{key: record[key] for key in ("doc_hash", "prompt_hash", "target_hash") if key in record},
        }
        doc = mapping(record.get("doc"))
        return {
            "choices": options.texts if options else None,
            "answer": answer_of(record.get("target"), options),
            "group": next((doc[key] for key in _GROUPS if isinstance(doc.get(key), str)), None),
            "score": score.value,
            "response": chosen(answers, arguments, options, self.tally.metric),
            "identity": identity,
        }


def _faults(file: Path, task: LoggedTask) -> dict[str, str | None]:
    """Return every metric, in the order of the task's configuration, with why it cannot be a score (None if it can)."""
    values: dict[str, list[Any]] = {}
    for line in itertools.islice(log_lines(file), _MAX_RECORDS_FOR_METRIC):
        for name in sequence(line.value.get("metrics")):
            values.setdefault(str(name), []).append(line.value.get(str(name)))
    order = [str(metric.get("metric")) for metric in map(mapping, sequence(task.config.get("metric_list")))]
    names = [name for name in order if name in values] + [name for name in values if name not in order]
    return {name: _fault(values[name], task.higher_is_better.get(name)) for name in names}


def _fault(values: list[Any], higher_is_better: Any) -> str | None:
    """Return why a metric with these values cannot be a score, or None if it can."""
    if higher_is_better is False:
        return "is better when lower"
    for value in values:
        if value is None or value != value:
            continue
        if not isinstance(value, (bool, int, float)):
            kind = "a list" if isinstance(value, list) else f"a {type(value).__name__}"
            return f"is {kind} per item, which lm-eval aggregates over all items"
        if not 0 <= value <= 1:
            number = f"{value:g}" if isinstance(value, float) else shorten(str(value), 40)
            return f"is {number} in one item, outside [0, 1]"
    if all(value is None or value != value for value in values):
        return f"is null or NaN in the first {len(values)} items"
    return None


_NAME = re.compile(r"samples_(?P<task>.+?)(?:_(?P<stamp>\d{4}-\d\d-\d\dT[\d.:-]+))?\.jsonl")
_RESULTS = re.compile(r"results_(?P<stamp>\d{4}-\d\d-\d\dT[\d.:-]+)\.json")
_MODEL_KEYS = ("peft", "delta", "pretrained", "model", "path", "engine")
"""Model arguments that name the model, in lm-eval's own order."""


def sample_files(path: Path) -> dict[tuple[Path, str], list[tuple[str, Path]]]:
    """Return time and path of each samples file, by folder and task; for a results file, the samples of its time."""
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
    """Return whether a path has results files of lm-eval; to be asked if it has no samples."""
    return any(_results(file) for file in files_under(path, "results*.json")[:20])


def read_task_file(samples: Path, task: str, stamp: str) -> LoggedTask:
    """Return what the results file beside a samples file records about a task.

    The results file of the same time is used, else the newest in the folder that contains the task, with a note.
    """
    beside = sorted(samples.parent.glob("results*.json"), reverse=True)
    exact = [file for file in beside if stamp and stamp in file.name]
    for file in [*exact, *(other for other in beside if other not in exact)]:
        results = _results(file)
        if task in results.get("configs", {}):
            note = Reason("other_results_file", f"{file.name} has another time stamp than {samples.name}, but is used")
            return _task(task, file, results, () if file in exact else (note,))
    model = samples.parent.name if "__" in samples.parent.name else None
    text = (
        "without a results file next to the samples, few-shot examples, the model and directions of metrics are unknown"
    )
    note = Reason("no_results_file", text)
    return LoggedTask(task, model=model.replace("__", "/") if model else None, notes=(note,))


def _task(name: str, file: Path, results: Mapping[str, Any], notes: tuple[Reason, ...]) -> LoggedTask:
    """Return a task's record in a parsed results file."""
    facts = {key: mapping(results.get(key)).get(name) for key in ("configs", "higher_is_better", "results", "n-shot")}
    bos, arguments = results.get("tokenizer_bos_token"), _arguments(results)
    named = next((str(arguments[key]) for key in _MODEL_KEYS if arguments.get(key)), None)
    return LoggedTask(
        name,
        results=file,
        model=text_or_none(results.get("model_name")) or named,
        config=mapping(facts["configs"]),
        higher_is_better=mapping(facts["higher_is_better"]),
        figures=mapping(facts["results"]),
        shots=facts["n-shot"] if isinstance(facts["n-shot"], int) else None,
        bos=text_or_none(bos[0]) or None if isinstance(bos, list) and bos else None,
        chat_template=bool(results["chat_template"]) if "chat_template" in results else None,
        system=text_or_none(results.get("system_instruction")) or None,
        notes=notes,
    )


def pretrained_model(files: Sequence[str]) -> str | None:
    """Return the model's Hub id or folder, from the results file among a report's files; None if it names none.

    Only models that lm-eval loaded itself (``hf``, ``vllm``) have ``pretrained`` among their arguments. None too with
    an adapter or a weight difference, where it names only a part of the model.
    """
    paths = (path for path in map(Path, files) if path.suffix == ".json" and path.is_file())
    arguments = _arguments(next(map(_results, paths), {}))
    name, whole = arguments.get("pretrained"), not arguments.get("peft") and not arguments.get("delta")
    return str(name) if name and whole else None


def _arguments(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return lm-eval's model arguments, from ``pretrained=NAME,dtype=float16`` or a mapping."""
    arguments = mapping(results.get("config")).get("model_args")
    if isinstance(arguments, str):
        return dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    return mapping(arguments)


def _results(file: Path) -> Mapping[str, Any]:
    """Return the content of a results file; empty if it is not one."""
    return _parsed(file, file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _parsed(file: Path, _changed: int) -> Mapping[str, Any]:
    # One file serves all tasks of an evaluation, so it is parsed once and not once per task.
    try:
        results = mapping(json_file(file))
    except UserError:
        if _RESULTS.fullmatch(file.name):  # else its models would be taken for one without a name
            raise
        return {}
    return results if all(isinstance(results.get(key), dict) for key in ("results", "configs")) else {}


LOG = Reader("lm-evaluation-harness: samples_TASK_TIME.jsonl", find, read, ("metric", "scorer", "fields"))
