"""Logs of Inspect (inspect-ai 0.3): ``.eval`` and ``.json``.

One item per sample id; its score is the mean over the epochs that have a score. Without a choice the log's
first scorer counts. A sample that failed, or whose score is NaN, is unscored and still an item.
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
from competency_gaps.harnesses.inspect.log_files import Unreadable, read_head, samples
from competency_gaps.harnesses.inspect.log_sample import Exchange, SampleScores, Scores, asked
from competency_gaps.harnesses.shared.further import mapped
from competency_gaps.harnesses.shared.lines import files_under
from competency_gaps.harnesses.shared.options import refuse_options
from competency_gaps.harnesses.shared.part import LogEntry, LogPart, Reader
from competency_gaps.harnesses.shared.shapes import mapping, sequence
from competency_gaps.harnesses.shared.tally import Tally
from competency_gaps.items.item import Item, LeftOut
from competency_gaps.items.remark import Remark
from competency_gaps.text import shorten, visible

_CLOSE = 1e-6


def find(path: Path) -> list[LogPart]:
    """One part per task, its arguments and model: the newest log that ended well, else the newest."""
    groups: dict[tuple[str, str, str], list[tuple[Path, dict[str, Any]]]] = {}
    faults: list[str] = []
    for file in files_under(path, "*.eval", "*.json"):
        try:
            head = read_head(file)
        except Unreadable as error:
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
        model=spec.get("model"),
        stamp=spec.get("created"),
        notes=tuple(notes),
    )


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """The samples of one log as items, and the report.

    Raises
    ------
    UserError
        If the log holds no samples, ``filter`` is given, or the scorer or metric is not there or must be chosen.
    """
    refuse_options(source, part, "filter")
    (path,) = part.files
    head = read_head(path)
    if head is None:
        raise UserError(f"{path} is no log of Inspect's.")
    reading = _Reading(head, Tally(part), source)
    for sample in samples(path):
        reading.tally.records += 1
        reason = sample.fault or reading.add(sample.value, sample.where)
        if reason is not None:
            yield reading.tally.drop(sample.where, reason)
    if reading.tally.records == 0:
        raise UserError(
            f"{path} holds no samples (its status is {head.get('status') or 'started'!r}). Write the log again with "
            "samples ('inspect eval --log-samples')."
        )
    yield from reading.items()
    yield reading.report()


@dataclass
class _Epoch:
    """One time that a sample was asked."""

    number: int
    asked: Exchange
    judged: SampleScores
    score: float | None
    """Null until all samples are known, or unscored."""
    failed: bool
    """Its prompt may not be complete."""
    target: Any
    uuid: str | None
    further: dict[str, Any]
    """Mapped fields of the item."""


@dataclass
class _Reading:
    """What is gathered while a log is read; a ``.json`` log has one epoch after the other."""

    head: dict[str, Any]
    tally: Tally
    source: LogSource
    epochs: dict[str, list[_Epoch]] = field(default_factory=dict)
    """Id as JSON (1 and "1" are two samples) -> its epochs."""
    names: dict[str, str] = field(default_factory=dict)
    """Id as JSON -> the item's."""
    notes: Counter[str] = field(default_factory=Counter)
    unscored: Counter[Remark] = field(default_factory=Counter)
    failure: str | None = None
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
        """Take a sample; gives the reason if it can be no item."""
        if sample.get("id") is None:
            return Remark("sample_no_id")
        key, epoch = _key(sample["id"]), sample.get("epoch")
        number = epoch if isinstance(epoch, int) else 1
        question = asked(sample)
        if isinstance(question, Remark):
            return question
        known = self.epochs.setdefault(key, [])
        if any(other.number == number for other in known):
            return Remark("sample_again")
        self.names.setdefault(key, self._name(str(sample["id"])))
        if self.failure is None and isinstance(sample.get("error"), dict):
            self.failure = str(sample["error"].get("message"))
        self.notes.update(question.notes)
        failed = bool(sample.get("error"))
        judged = self.scores.judged(sample)
        further = mapped(self.source, where, mapping(sample.get("metadata")), sample)
        known.append(_Epoch(number, question, judged, None, failed, sample.get("target"), sample.get("uuid"), further))
        return None

    def _name(self, wanted: str) -> str:
        taken = set(self.names.values())
        numbered = (f"{wanted}#{number}" for number in itertools.count(2))
        return wanted if wanted not in taken else next(name for name in numbered if name not in taken)

    def _score(self) -> None:
        self.scores.choose()
        for epoch in itertools.chain.from_iterable(self.epochs.values()):
            number = self.scores.of(epoch.judged)
            epoch.score = number.value
            if number.reason is not None:
                self.unscored[number.reason] += 1
        self.scores.check()

    def items(self) -> Iterator[Item | LeftOut]:
        """One item per sample, in the dataset's order."""
        self._score()
        order = {_key(sample): place for place, sample in enumerate(sequence(self._dataset().get("sample_ids")))}
        for key in sorted((k for k in self.epochs if self.epochs[k]), key=lambda k: order.get(k, len(order))):
            epochs = sorted(self.epochs[key], key=lambda epoch: epoch.number)
            yield self.tally.item(self._item(key, epochs), self._first(epochs).asked.way, records=len(epochs))

    @staticmethod
    def _first(epochs: list[_Epoch]) -> _Epoch:
        """The epoch whose text stands for the item."""
        return min(epochs, key=lambda epoch: (epoch.failed, epoch.score is None, epoch.number))

    def _item(self, key: str, epochs: list[_Epoch]) -> Item:
        first = self._first(epochs)
        scored = [epoch.score for epoch in epochs if epoch.score is not None]
        if any(epoch.asked.messages != first.asked.messages for epoch in epochs if not epoch.failed):
            self.notes["sample_other_prompt"] += 1
        uuids = [epoch.uuid for epoch in epochs if epoch.uuid]
        return Item(
            id=self.names[key],
            prompt=first.asked.prompt,
            messages=first.asked.messages,
            own=first.asked.own,
            answer=first.target or None,
            policy="imported",
            score=sum(scored) / len(scored) if scored else None,
            response=first.asked.response,
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
        """The report, with everything that people should know of the log."""
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
        """Say so if the mean that was read is not the figure that Inspect gives for the same scores."""
        means = [
            sum(scored) / len(scored)
            for epochs in self.epochs.values()
            if (scored := [epoch.score for epoch in epochs if epoch.score is not None])
        ]
        name = self.scores.metric if self.scores.keys else self.scores.scorer
        for result in self._results():
            if result.get("scorer") != self.scores.scorer or result.get("name") != name or not means:
                continue
            for metric in ("accuracy", "mean"):
                theirs = mapping(mapping(result.get("metrics")).get(metric)).get("value")
                ours = sum(means) / len(means)
                if isinstance(theirs, (int, float)) and abs(theirs - ours) > _CLOSE:
                    self.tally.warn("other_mean", theirs, ours, quotes=(metric,))

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


LOG = Reader("Inspect: .eval or .json log", find, read)
