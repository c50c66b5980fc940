"""Logs of Inspect (inspect-ai 0.3): ``.eval`` and ``.json``.

One item per sample id; its score is the mean over the epochs that have a score, by default of the log's first scorer.
A sample that failed, or whose score is NaN, is an unscored item.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError
from competency_gaps.harnesses.inspect.log_files import UnreadableLogError, read_head, samples
from competency_gaps.harnesses.inspect.log_sample import Exchange, SampleScores, Scores, read_exchange, unreadable
from competency_gaps.harnesses.shared.files import files_under, mapping, mean_score, sequence, text_or_none
from competency_gaps.harnesses.shared.log import LogEntry, LogPart, Reader, Tally, free_name, mapped
from competency_gaps.items.item import Item, LeftOut
from competency_gaps.items.remark import Remark
from competency_gaps.text import shorten, visible


def find(path: Path) -> list[LogPart]:
    """One part per task, its arguments and model: the newest successful log, else the newest."""
    groups: dict[tuple[str, str, str], list[tuple[Path, dict[str, Any]]]] = {}
    faults: list[str] = []
    for file in files_under(path, "*.eval", "*.json"):
        try:
            head = read_head(file)
        except UnreadableLogError as error:
            if file == path:
                raise
            faults.append(str(error))
            continue
        if head is not None:
            spec = head["eval"]
            arguments = json.dumps(spec.get("task_args") or {}, sort_keys=True, default=str)
            groups.setdefault((str(spec["task"]), arguments, str(spec.get("model"))), []).append((file, head))
    if faults and not groups:
        raise UserError(faults[0])
    return [_part(logs, faults) for logs in groups.values()]


def _part(logs: list[tuple[Path, dict[str, Any]]], faults: Sequence[str]) -> LogPart:
    logs = sorted(logs, key=lambda log: (log[1].get("status") == "success", str(log[1]["eval"].get("created"))))
    path, head = logs[-1]
    notes = [
        Remark("older_log", quotes=(file.name,))
        if other.get("status") == head.get("status")
        else Remark("log_of_status", quotes=(file.name, str(other.get("status") or "started")))
        for file, other in logs[:-1]
    ]
    notes += [Remark("unreadable_log", quotes=(error,)) for error in faults]
    spec = head["eval"]
    return LogPart(
        format="inspect",
        benchmark=str(spec["task"]).rsplit("/", 1)[-1],
        files=(path,),
        model=text_or_none(spec.get("model")),
        stamp=text_or_none(spec.get("created")),
        notes=tuple(notes),
    )


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """The samples of one log as items, and the report.

    Raises
    ------
    UserError
        If the log holds no samples, or the scorer or metric does not exist or must be chosen.
    """
    (path,) = part.files
    head = read_head(path)
    if head is None:
        raise UserError(f"{path} is no log of Inspect.")
    reader = _SampleReader(head, Tally(part), source)
    for sample in samples(path):
        reader.tally.records += 1
        reason = sample.fault or reader.add(sample.value, sample.where)
        if reason is not None:
            yield reader.tally.drop(sample.where, reason)
    if reader.tally.records == 0:
        raise UserError(
            f"{path} holds no samples (its status is {head.get('status') or 'started'!r}). Write the log again with "
            "samples ('inspect eval --log-samples')."
        )
    yield from reader.items()
    yield reader.report()


@dataclass
class _Epoch:
    """One request for a sample."""

    number: int
    exchange: Exchange
    judged: SampleScores
    failed: bool
    """Its prompt may be incomplete."""
    target: Any
    uuid: str | None
    further: dict[str, Any]
    """Mapped fields of the item."""
    score: float | None = None
    """None until all samples are read, or unscored."""


@dataclass
class _SampleReader:
    """What is gathered while a log is read, whose epochs come in any order."""

    head: dict[str, Any]
    tally: Tally
    source: LogSource
    epochs: dict[str, list[_Epoch]] = field(default_factory=dict)
    """Id as JSON (1 and "1" are different samples) -> its epochs."""
    names: dict[str, str] = field(default_factory=dict)
    """Id as JSON -> the item's."""
    notes: Counter[str] = field(default_factory=Counter)
    unscored: Counter[Remark] = field(default_factory=Counter)
    failure: str | None = None
    unreadable: int = 0
    """Samples that the run's model could not read; Inspect's own figures count them as if they were answered."""
    scores: Scores = field(init=False)

    def __post_init__(self) -> None:
        metrics = {name for result in self._results() for name in mapping(result.get("metrics"))}
        listed = [mapping(scorer).get("name") for scorer in sequence(self.head["eval"].get("scorers"))]
        named = [result.get("scorer") for result in self._results()] + listed
        self.scores = Scores(
            self.source.scorer,
            self.source.metric,
            bool(self._config().get("score_on_error")),
            tuple(sorted(metrics)),
            tuple(name for name in named if isinstance(name, str)),
        )

    def add(self, sample: Mapping[str, Any], where: str) -> Remark | None:
        """Process a sample; returns a reason if it can be no item."""
        if sample.get("id") is None:
            return Remark("sample_no_id")
        key, epoch = _key(sample["id"]), sample.get("epoch")
        number = epoch if isinstance(epoch, int) else 1
        exchange = read_exchange(sample)
        if isinstance(exchange, Remark):
            return exchange
        known = self.epochs.setdefault(key, [])
        if any(other.number == number for other in known):
            return Remark("sample_again")
        self.names.setdefault(key, free_name(str(sample["id"]), self.names.values(), "#"))
        if self.failure is None and isinstance(sample.get("error"), dict):
            self.failure = str(sample["error"].get("message"))
        if (why := unreadable(sample)) is not None:
            self.unreadable, self.failure = self.unreadable + 1, self.failure or why
        self.notes.update(exchange.notes)
        failed = bool(sample.get("error")) or unreadable(sample) is not None
        judged = self.scores.judged(sample)
        further = mapped(self.source, where, mapping(sample.get("metadata")), sample)
        known.append(_Epoch(number, exchange, judged, failed, sample.get("target"), sample.get("uuid"), further))
        return None

    def _score(self) -> None:
        self.scores.choose()
        for epoch in itertools.chain.from_iterable(self.epochs.values()):
            epoch.score, reason = self.scores.of(epoch.judged)
            if reason is not None:
                self.unscored[reason] += 1
        self.scores.check()

    def items(self) -> Iterator[Item | LeftOut]:
        """One item per sample, in the dataset's order."""
        self._score()
        order = {_key(sample): place for place, sample in enumerate(sequence(self._dataset().get("sample_ids")))}
        for key in sorted((k for k in self.epochs if self.epochs[k]), key=lambda k: order.get(k, len(order))):
            epochs = sorted(self.epochs[key], key=lambda epoch: epoch.number)
            first = self._first(epochs)
            yield self.tally.item(self._item(key, epochs, first), first.exchange.asked.method, records=len(epochs))

    @staticmethod
    def _first(epochs: list[_Epoch]) -> _Epoch:
        """The epoch that provides the item's text."""
        return min(epochs, key=lambda epoch: (epoch.failed, epoch.score is None, epoch.number))

    def _item(self, key: str, epochs: list[_Epoch], first: _Epoch) -> Item:
        asked = first.exchange.asked
        if any(epoch.exchange.asked.messages != asked.messages for epoch in epochs if not epoch.failed):
            self.notes["sample_other_prompt"] += 1
        uuids = [epoch.uuid for epoch in epochs if epoch.uuid]
        return asked.item(
            self.names[key],
            answer=first.target or None,
            score=mean_score(epoch.score for epoch in epochs),
            response=first.exchange.response,
            epochs=len(epochs),
            identity={
                "tool": "inspect",
                "task": self.head["eval"]["task"],
                "sample_id": json.loads(key),
                "epochs": [epoch.number for epoch in epochs],
                "epoch_scores": [epoch.score for epoch in epochs],
                "scorer": self.scores.scorer,
                "metric": self.scores.metric,
                **({"uuid": uuids} if uuids else {}),
            },
            **first.further,
        )

    def report(self) -> LogEntry:
        """The account of what was read, with its warnings."""
        tally, scores = self.tally, self.scores
        tally.scorer, tally.metric = scores.scorer, scores.metric
        tally.available = {
            name: tuple(known) for name, known in (("scorer", scores.scorers), ("metric", scores.keys)) if known
        }
        self._warn_of_status()
        steps = sequence(mapping(self.head.get("plan")).get("steps"))
        if any(mapping(mapping(step).get("params")).get("shuffle") for step in steps):
            tally.warn("options_shuffled")
        for reason, count in self.unscored.items():
            if reason.code == "sample_failed" and self.failure:
                reason = replace(reason, quotes=(shorten(visible(self.failure), 120),))
            tally.unscored_because(reason, count)
        for note, count in self.notes.items():
            tally.warn(note, count)
        self._compare()
        return tally.report()

    def _warn_of_status(self) -> None:
        ids, count, epochs = sequence(self._dataset().get("sample_ids")), self._dataset().get("samples"), self._epochs()
        expected = (len(ids) or (count if isinstance(count, int) else 0)) * epochs
        status = self.head.get("status") or "started"
        there = (self.tally.records, expected)
        if status != "success":
            message = mapping(self.head.get("error")).get("message")
            if message:
                self.tally.warn("log_failed", *there, quotes=(str(status), shorten(visible(str(message)), 120)))
            else:
                self.tally.warn("log_not_finished", *there, quotes=(str(status),))
        elif self.tally.records < expected:
            self.tally.warn("samples_missing", *there)
        if self.head.get("invalidated"):
            self.tally.warn("log_invalidated")
        reducers = sequence(self._config().get("epochs_reducer")) or ["mean"]
        if epochs > 1 and reducers != ["mean"]:
            self.tally.warn("other_reducer", quotes=(", ".join(map(str, reducers)),))

    def _compare(self) -> None:
        """Warn if the mean over the items differs from Inspect's own figure for the same scores."""
        name = self.scores.metric if self.scores.keys else self.scores.scorer
        for result in self._results() if not self.unreadable else ():
            if result.get("scorer") == self.scores.scorer and result.get("name") == name:
                for metric in ("accuracy", "mean"):
                    self.tally.compare_mean(mapping(mapping(result.get("metrics")).get(metric)).get("value"), metric)

    def _results(self) -> list[dict[str, Any]]:
        scores = sequence(mapping(self.head.get("results")).get("scores"))
        return [result for result in scores if isinstance(result, dict)]

    def _dataset(self) -> dict[str, Any]:
        return mapping(self.head["eval"].get("dataset"))

    def _config(self) -> dict[str, Any]:
        return mapping(self.head["eval"].get("config"))

    def _epochs(self) -> int:
        epochs = self._config().get("epochs")
        return epochs if isinstance(epochs, int) and epochs > 0 else 1


def _key(id: Any) -> str:
    return json.dumps(id, sort_keys=True, default=str)


LOG = Reader("Inspect: .eval or .json log", find, read, ("metric", "scorer", "fields"))
