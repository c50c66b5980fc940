"""Logs of lm-evaluation-harness (``--log_samples``): one item per document of the chosen filter.

Which number is the score, unless ``metric`` says it: the task's first metric (in the order of its configuration) that
is one number in [0, 1] per document and of which higher is better. Which answer it is about, unless ``filter`` says
it: the first filter of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError, nearest
from competency_gaps.harnesses.lm_eval.log_files import Task, read_task_file, sample_files
from competency_gaps.harnesses.lm_eval.log_metric import choose_metric
from competency_gaps.harnesses.lm_eval.log_prompt import Asked, asked
from competency_gaps.harnesses.lm_eval.log_response import answer_of, chosen, options_of
from competency_gaps.harnesses.shared.further import mapped
from competency_gaps.harnesses.shared.lines import OUTSIDE, Number, log_lines, score_in_unit
from competency_gaps.harnesses.shared.part import LogEntry, LogPart, Reader
from competency_gaps.harnesses.shared.shapes import mapping
from competency_gaps.harnesses.shared.tally import Tally
from competency_gaps.items.item import Item
from competency_gaps.items.remark import Remark

_GROUPS = ("category", "subject", "topic")
"""Fields of a document that name its sub-topic."""
_CLOSE = 1e-6
"""Two means are one figure up to the order of addition."""


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
        found = asked(record, self.task)
        if isinstance(found, Remark):
            return self.tally.drop(where, found)
        self._seen.add(number)
        for code in found.warnings:
            self.tally.warn(code)
        score = self._score(record, where)
        if score.reason is not None:
            self.tally.unscored_because(score.reason)
        self._sum += score.value or 0.0
        further = mapped(self.source, where, mapping(record.get("doc")), record)
        return self.tally.item(replace(self._item(record, number, found, score), **further), found.way)

    def _score(self, record: dict[str, Any], where: str) -> Number:
        if self.metric is None:
            return Number(None, None)
        score = score_in_unit(record.get(self.metric))
        if score.value is None and isinstance(record.get(self.metric), (list, dict)):
            raise UserError(f"{where}: the metric {self.metric!r} is no single number. Choose another with 'metric'.")
        if score.reason == OUTSIDE:
            raise UserError(
                f"{where}: the metric {self.metric!r} is {record[self.metric]}, expected a number in [0, 1]. "
                "Choose another with 'metric', or 'none' to use the items without scores."
            )
        return score

    def _item(self, record: dict[str, Any], number: str, found: Asked, score: Number) -> Item:
        options = options_of(found.arguments, self.task)
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
            prompt=found.own,
            messages=found.messages,
            own=found.range,
            seen=found.seen,
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


LOG = Reader("lm-evaluation-harness: samples_TASK_TIME.jsonl", find, read)
