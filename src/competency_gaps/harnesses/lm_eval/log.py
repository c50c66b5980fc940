"""Logs of lm-evaluation-harness (``--log_samples``): one item per document of the chosen filter.

By default the score is the task's first metric (in the order of its configuration) that is one number in [0, 1] per
document and of which higher is better, after the first filter of the file.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError, nearest
from competency_gaps.harnesses.lm_eval.log_document import Document, answer_of, chosen, options_of, read_document
from competency_gaps.harnesses.lm_eval.log_files import LoggedTask, read_task_file, sample_files
from competency_gaps.harnesses.shared.files import OUTSIDE, LoggedScore, log_lines, mapping, score_in_unit, sequence
from competency_gaps.harnesses.shared.log import NONE, LogEntry, LogPart, Reader, Tally, chosen_metric, mapped, newest
from competency_gaps.items.item import Item
from competency_gaps.items.remark import Remark
from competency_gaps.text import shorten

_GROUPS = ("category", "subject", "topic")
"""Fields of a document that name its sub-topic."""
_HEAD = 200
"""Records that are read to choose a metric."""


def find(path: Path) -> list[LogPart]:
    """Every task with samples in a file or folder, the newest file of each."""
    parts = []
    for (_, name), logs in sample_files(path).items():
        stamp, file, older = newest(logs)
        task = read_task_file(file, name, stamp)
        parts.append(
            LogPart(
                format="lm_eval",
                benchmark=name,
                files=(file, *([task.results] if task.results else [])),
                model=task.model,
                stamp=stamp or None,
                notes=(*task.notes, *older),
                details={"task": task},
            )
        )
    return parts


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Items of one samples file.

    Raises
    ------
    UserError
        If no metric is a score, or the requested metric or filter does not exist.
    """
    task = part.details["task"]
    faults = _faults(part.files[0], task)
    metric = chosen_metric(source, part, faults)
    usable = tuple(name for name, fault in faults.items() if fault is None)
    tally = Tally(part, metric=None if metric == NONE and NONE not in faults else metric, filter=source.filter)
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
            tally.drop(line.where, Remark("other_filter", quotes=(name,)))  # counted, not listed
    tally.available = {"metric": usable, "filter": tuple(filters)}
    if source.filter is not None and source.filter not in filters:
        known = ", ".join(filters) or "none"
        raise UserError(
            f"{part.files[0].name} has no filter {source.filter!r}; there are {known}.{nearest(source.filter, filters)}"
        )
    tally.compare_mean(task.figures.get(f"{tally.metric},{tally.filter}"), str(tally.metric))
    yield tally.report()


class _DocumentReader:
    """Makes items of the records of one file."""

    def __init__(self, task: LoggedTask, tally: Tally, source: LogSource) -> None:
        self.task = task
        self.tally = tally
        self.source = source
        self._seen: set[str] = set()

    def entry(self, record: dict[str, Any], where: str) -> LogEntry:
        """One record of the chosen filter."""
        number = str(record.get("doc_id"))
        if number in self._seen:
            self.tally.warn("document_twice")
            return self.tally.drop(where, Remark("document_again"))
        document = read_document(record, self.task)
        if isinstance(document, Remark):
            return self.tally.drop(where, document)
        self._seen.add(number)
        for code in document.warnings:
            self.tally.warn(code)
        score = self._score(record, where)
        self.tally.unscored_because(score.reason)
        further = mapped(self.source, where, mapping(record.get("doc")), record)
        return self.tally.item(self._item(record, document, score, further), document.asked.method)

    def _score(self, record: dict[str, Any], where: str) -> LoggedScore:
        metric = self.tally.metric
        if metric is None:
            return LoggedScore(None)
        score = score_in_unit(record.get(metric))
        if isinstance(record.get(metric), (list, dict)):
            raise UserError(f"{where}: the metric {metric!r} is no single number. Choose another with 'metric'.")
        if score.reason == OUTSIDE:
            raise UserError(
                f"{where}: the metric {metric!r} is {record[metric]}, expected a number in [0, 1]. "
                "Choose another with 'metric', or 'none' to use the items without scores."
            )
        return score

    def _item(self, record: dict[str, Any], document: Document, score: LoggedScore, further: dict[str, Any]) -> Item:
        options = options_of(document.arguments, self.task)
        answers = sequence(record.get("resps"))
        repeats = len(answers[0]) if answers and isinstance(answers[0], list) else 1
        if repeats > 1:
            self.tally.warn("asked_repeatedly", repeats)
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
        fields = {
            "choices": options.texts if options else None,
            "answer": answer_of(record.get("target"), options),
            "group": next((doc[key] for key in _GROUPS if isinstance(doc.get(key), str)), None),
            "score": score.value,
            "response": chosen(answers, document.arguments, options, self.tally.metric),
            "identity": identity,
        }
        return document.asked.item(str(record.get("doc_id")), **{**fields, **further})


def _faults(file: Path, task: LoggedTask) -> dict[str, str | None]:
    """Every metric, in the order of the task's configuration, with why it cannot be a score (None: it can)."""
    values: dict[str, list[Any]] = {}
    for line in itertools.islice(log_lines(file), _HEAD):
        for name in sequence(line.value.get("metrics")):
            values.setdefault(str(name), []).append(line.value.get(str(name)))
    order = [str(metric.get("metric")) for metric in map(mapping, sequence(task.config.get("metric_list")))]
    names = [name for name in order if name in values] + [name for name in values if name not in order]
    return {name: _fault(values[name], task.higher_is_better.get(name)) for name in names}


def _fault(values: list[Any], higher_is_better: Any) -> str | None:
    if higher_is_better is False:
        return "is better where it is lower"
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


LOG = Reader("lm-evaluation-harness: samples_TASK_TIME.jsonl", find, read, ("metric", "filter", "fields"))
