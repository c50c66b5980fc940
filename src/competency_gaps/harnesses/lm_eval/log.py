"""Logs of lm-evaluation-harness (``--log_samples``): one item per document of the chosen filter.

Which number is the score, unless ``metric`` says it: the task's first metric (in the order of its configuration) that
is one number in [0, 1] per document and of which higher is better. Which answer it is about, unless ``filter`` says
it: the first filter of the file.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError, nearest
from competency_gaps.harnesses.lm_eval.log_files import Task, read_task_file, sample_files
from competency_gaps.harnesses.lm_eval.log_prompt import LoggedPrompt, logged_prompt
from competency_gaps.harnesses.lm_eval.log_response import answer_of, chosen, options_of
from competency_gaps.harnesses.shared.further import mapped
from competency_gaps.harnesses.shared.lines import OUTSIDE, LoggedScore, log_lines, score_in_unit
from competency_gaps.harnesses.shared.part import NONE, LogEntry, LogPart, Reader
from competency_gaps.harnesses.shared.shapes import mapping
from competency_gaps.harnesses.shared.tally import Tally
from competency_gaps.items.item import Item
from competency_gaps.items.remark import Remark
from competency_gaps.text import shorten

_GROUPS = ("category", "subject", "topic")
"""Fields of a document that name its sub-topic."""
_CLOSE = 1e-6
"""Two means are one figure up to the order of addition."""
_HEAD = 200
"""Records that are read to choose a metric."""


class LoggedMetric(NamedTuple):
    """The metric that is the score, and the others that could be."""

    name: str | None
    """None: the items are used without scores."""
    available: tuple[str, ...]


def find(path: Path) -> list[LogPart]:
    """Every task of which samples lie in a file or folder, the newest file of each."""
    parts = []
    for file in sample_files(path):
        task = read_task_file(file.path, file.task, file.stamp)
        parts.append(
            LogPart(
                format="lm_eval",
                benchmark=file.task,
                files=(file.path, *([task.results] if task.results else [])),
                model=task.model,
                stamp=file.stamp,
                notes=(*task.notes, *(Remark("older_log", quotes=(older,)) for older in file.older)),
                details={"task": file.task},
            )
        )
    return parts


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Items of one samples file.

    Raises
    ------
    UserError
        If no metric is a score, or the metric or filter that was asked for is not there.
    """
    task = read_task_file(part.files[0], str(part.details["task"]), part.stamp)
    metric = choose_metric(part.files[0], task, source.metric)
    tally = Tally(part, metric=metric.name, filter=source.filter, available={"metric": metric.available})
    reader = _Reader(task, metric.name, tally, source)
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
            tally.pass_over(Remark("other_filter", quotes=(name,)))
    tally.available = {"metric": metric.available, "filter": tuple(filters)}
    if source.filter is not None and source.filter not in filters:
        known = ", ".join(filters) or "none"
        raise UserError(
            f"{part.files[0].name} has no filter {source.filter!r}; there are {known}.{nearest(source.filter, filters)}"
        )
    reader.finish()
    yield tally.report()


class _Reader:
    """What is kept from record to record of one file."""

    def __init__(self, task: Task, metric: str | None, tally: Tally, source: LogSource) -> None:
        self.task = task
        self.metric = metric
        self.tally = tally
        self.source = source
        self._seen: set[str] = set()
        self._sum = 0.0

    def entry(self, record: dict[str, Any], where: str) -> LogEntry:
        """One record of the chosen filter."""
        number = str(record.get("doc_id"))
        if number in self._seen:
            self.tally.warn("document_twice")
            return self.tally.drop(where, Remark("document_again"))
        prompt = logged_prompt(record, self.task)
        if isinstance(prompt, Remark):
            return self.tally.drop(where, prompt)
        self._seen.add(number)
        for code in prompt.warnings:
            self.tally.warn(code)
        score = self._score(record, where)
        if score.reason is not None:
            self.tally.unscored_because(score.reason)
        self._sum += score.value or 0.0
        further = mapped(self.source, where, mapping(record.get("doc")), record)
        return self.tally.item(replace(self._item(record, number, prompt, score), **further), prompt.way)

    def _score(self, record: dict[str, Any], where: str) -> LoggedScore:
        if self.metric is None:
            return LoggedScore(None, None)
        score = score_in_unit(record.get(self.metric))
        if score.value is None and isinstance(record.get(self.metric), (list, dict)):
            raise UserError(f"{where}: the metric {self.metric!r} is no single number. Choose another with 'metric'.")
        if score.reason == OUTSIDE:
            raise UserError(
                f"{where}: the metric {self.metric!r} is {record[self.metric]}, expected a number in [0, 1]. "
                "Choose another with 'metric', or 'none' to use the items without scores."
            )
        return score

    def _item(self, record: dict[str, Any], number: str, prompt: LoggedPrompt, score: LoggedScore) -> Item:
        options = options_of(prompt.arguments, self.task)
        repeats = len(record["resps"][0]) if _listed(record.get("resps")) else 1
        if repeats > 1:
            self.tally.warn("asked_repeatedly", repeats)
        identity: dict[str, Any] = {
            "tool": "lm_eval",
            "task": self.task.name,
            "doc_id": record.get("doc_id"),
            "filter": record.get("filter"),
            "metric": self.metric,
            "repeats": repeats,
            **{key: record[key] for key in ("doc_hash", "prompt_hash", "target_hash") if key in record},
        }
        doc = record.get("doc")
        named = [doc[key] for key in _GROUPS if isinstance(doc.get(key), str)] if isinstance(doc, dict) else []
        return Item(
            id=number,
            prompt=prompt.own,
            messages=prompt.messages,
            own=prompt.range,
            seen=prompt.seen,
            choices=options.texts if options else None,
            answer=answer_of(record.get("target"), options),
            group=named[0] if named else None,
            policy="imported",
            score=score.value,
            response=chosen(record, options, self.metric),
            identity=identity,
        )

    def finish(self) -> None:
        """Hold the items against lm-eval's own figures."""
        scored = self.tally.items - self.tally.unscored
        reported = self.task.figure(self.metric, self.tally.filter)
        if reported is None or not scored:
            return
        mean = self._sum / scored
        if abs(mean - reported) > _CLOSE:
            self.tally.warn("other_mean", reported, mean, quotes=(str(self.metric),))


def _listed(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)


def choose_metric(file: Path, task: Task, wanted: str | None) -> LoggedMetric:
    """The requested metric, else the task's first that can be a score.

    Raises
    ------
    UserError
        If the metric is not there, is a list, or lower is better; or if no metric is a score.
    """
    faults = _faults(file, task)
    usable = tuple(name for name, fault in faults.items() if fault is None)
    if wanted == NONE and NONE not in faults:
        return LoggedMetric(None, usable)
    others = (
        f"Choose {', '.join(usable)}" if usable else f"No metric of this task is a score; give {NONE!r} as 'metric'"
    )
    if wanted is not None:
        if wanted not in faults:
            known = ", ".join(faults) or "none"
            raise UserError(f"{file.name} has no metric {wanted!r}; there are {known}.{nearest(wanted, faults)}")
        if faults[wanted] is not None:
            raise UserError(f"{file.name}: the metric {wanted!r} {faults[wanted]}. {others}.")
        return LoggedMetric(wanted, usable)
    if not usable:
        reasons = "; ".join(f"{name} {fault}" for name, fault in faults.items()) or "there is none"
        raise UserError(
            f"{file.name}: no metric can be an item's score ({reasons}). "
            f"Give {NONE!r} as the metric to use the items without scores. To leave this task out of a "
            "folder, name the files of the others, each as NAME=PATH."
        )
    return LoggedMetric(usable[0], usable)


def _faults(file: Path, task: Task) -> dict[str, str | None]:
    """Every metric, in the order of the task's configuration, with why it cannot be a score (None: it can)."""
    values: dict[str, list[Any]] = {}
    for line in itertools.islice(log_lines(file), _HEAD):
        names = line.value.get("metrics")
        for name in names if isinstance(names, list) else ():
            values.setdefault(str(name), []).append(line.value.get(str(name)))
    listed = task.config.get("metric_list")
    order = (
        [str(metric.get("metric")) for metric in listed if isinstance(metric, dict)] if isinstance(listed, list) else []
    )
    names = [name for name in order if name in values] + [name for name in values if name not in order]
    return {name: _fault(values[name], task.higher_is_better.get(name)) for name in names}


def _fault(values: list[Any], higher_is_better: Any) -> str | None:
    if higher_is_better is False:
        return "is better where it is lower, so it is no score"
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


LOG = Reader("lm-evaluation-harness: samples_TASK_TIME.jsonl", find, read)
