"""Logs of Inspect (inspect-ai 0.3): ``.eval``, a zip of JSON files, and ``.json``.

One item per sample id; its score is the mean over the epochs that have a score, by default of the log's first scorer.
A sample that failed, or whose score is NaN, is an unscored item. Samples of an ``.eval`` file are read one at a time,
since a log holds every event of every sample and grows to gigabytes.
"""

from __future__ import annotations

import itertools
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from competency_gaps.items.config import LogSource
from competency_gaps.items.item import Item, LeftOut, Reason
from competency_gaps.logs.inspect_sample import NOTES, Exchange, SampleScores, Scores, read_exchange
from competency_gaps.logs.reader import LogEntry, LogPart, LogRecord, Reader, Tally, mapped, mean_score
from competency_gaps.util.errors import MissingExtraError, UserError, argument
from competency_gaps.util.jsonl import files_under, json_file, mapping, sequence, text_or_none
from competency_gaps.util.text import plural, shorten, visible


def find(path: Path) -> list[LogPart]:
    """Return one part per task, its arguments and model: the newest successful log, else the newest."""
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
    """Return the part of one task's logs, with notes about the logs that are not read."""
    logs = sorted(logs, key=lambda log: (log[1].get("status") == "success", str(log[1]["eval"].get("created"))))
    path, head = logs[-1]
    notes = [
        Reason("older_log", f"an older log of the same task was not read: {file.name}")
        if other.get("status") == head.get("status")
        else Reason("log_of_status", f"a log of status {other.get('status') or 'started'!r} was not read: {file.name}")
        for file, other in logs[:-1]
    ]
    notes += [Reason("unreadable_log", f"a log was not read: {error}") for error in faults]
    model, created = (text_or_none(head["eval"].get(key)) for key in ("model", "created"))
    return LogPart("inspect", str(head["eval"]["task"]).rsplit("/", 1)[-1], (path,), model, created, tuple(notes))


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Yield the samples of one log as items, then the report.

    Raises
    ------
    UserError
        If the log holds no samples, or the scorer or metric does not exist or must be chosen.
    """
    (path,) = part.files
    head = read_head(path)
    assert head is not None, "found as a log"
    reader = _SampleReader(head, Tally(part), source)
    for sample in samples(path):
        reader.tally.records += 1
        reason = sample.fault or reader.add(sample.value, sample.where)
        if reason is not None:
            yield reader.tally.drop(sample.where, reason)
    if reader.tally.records == 0:
        raise UserError(
            f"{path} has no samples (its status is {head.get('status') or 'started'!r}). Write the log again with "
            "samples ('inspect eval --log-samples')."
        )
    yield from reader.items()
    yield reader.report()


@dataclass
class _SampleEpoch:
    """One epoch of a sample."""

    number: int
    exchange: Exchange
    judged: SampleScores
    failed: bool
    """The sample failed in this epoch; its prompt may be incomplete."""
    target: Any
    uuid: str | None
    further: dict[str, Any]
    """Mapped fields of the item."""
    score: float | None = None
    """In [0, 1]; None if unscored, and until all samples are read."""


@dataclass
class _SampleReader:
    """Collects a log's epochs, which come in any order, and turns them into items and a report."""

    head: dict[str, Any]
    tally: Tally
    source: LogSource
    epochs: dict[str, list[_SampleEpoch]] = field(default_factory=dict)
    """Epochs by the sample's id as JSON (1 and "1" are different samples)."""
    names: dict[str, str] = field(default_factory=dict)
    """The item's id by the sample's id as JSON."""
    notes: Counter[str] = field(default_factory=Counter)
    unscored: Counter[Reason] = field(default_factory=Counter)
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

    def add(self, sample: Mapping[str, Any], where: str) -> Reason | None:
        """Add one epoch of a sample; returns a reason if it cannot be part of an item."""
        if sample.get("id") is None:
            return Reason("sample_no_id", "the sample has no id")
        key, epoch = _key(sample["id"]), sample.get("epoch")
        number = epoch if isinstance(epoch, int) else 1
        exchange = read_exchange(sample)
        if isinstance(exchange, Reason):
            return exchange
        known = self.epochs.setdefault(key, [])
        if any(other.number == number for other in known):
            return Reason("sample_again", "repeats an earlier sample and epoch")
        name = str(sample["id"])
        self.names.setdefault(key, f"{name}#2" if name in self.names.values() else name)
        if self.failure is None and isinstance(sample.get("error"), dict):
            self.failure = str(sample["error"].get("message"))
        self.notes.update(exchange.notes)
        failed = bool(sample.get("error"))
        judged = self.scores.judged(sample)
        further = mapped(self.source, where, mapping(sample.get("metadata")), sample)
        known.append(_SampleEpoch(number, exchange, judged, failed, sample.get("target"), sample.get("uuid"), further))
        return None

    def items(self) -> Iterator[Item | LeftOut]:
        """Yield one item per sample, in the dataset's order."""
        self.scores.choose()
        for epoch in itertools.chain.from_iterable(self.epochs.values()):
            epoch.score, reason = self.scores.of(epoch.judged)
            if reason is not None:
                self.unscored[reason] += 1
        self.scores.check()
        order = {_key(sample): number for number, sample in enumerate(sequence(self._dataset().get("sample_ids")))}
        for key in sorted((k for k in self.epochs if self.epochs[k]), key=lambda k: order.get(k, len(order))):
            epochs = sorted(self.epochs[key], key=lambda epoch: epoch.number)
            # The epoch that provides the item's text.
            first = min(epochs, key=lambda epoch: (epoch.failed, epoch.score is None, epoch.number))
            yield self.tally.item(self._item(key, epochs, first), first.exchange.asked.method, records=len(epochs))

    def _item(self, key: str, epochs: list[_SampleEpoch], first: _SampleEpoch) -> Item:
        """Return a sample's item: text, answer and response from ``first``, the score from all epochs."""
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
        """Return the report, with its warnings."""
        tally, scores = self.tally, self.scores
        tally.scorer, tally.metric = scores.scorer, scores.metric
        tally.available = {
            name: tuple(known) for name, known in (("scorer", scores.scorers), ("metric", scores.keys)) if known
        }
        self._warn_of_status()
        steps = sequence(mapping(self.head.get("plan")).get("steps"))
        if any(mapping(mapping(step).get("params")).get("shuffle") for step in steps):
            text = "multiple_choice shuffled the options but logs them unshuffled: the model read another order"
            tally.warn("options_shuffled", f"{text} than stands in the text here")
        for reason, count in self.unscored.items():
            if reason.code == "sample_failed" and self.failure:
                first = shorten(visible(self.failure), 120)
                reason = replace(reason, text=f"{reason.text}; the first with {first}")
            tally.unscored_because(reason, count)
        for note, count in self.notes.items():
            tally.warn(note, f"{plural(count, 'sample')} {NOTES[note]}", count)
        self._compare()
        return tally.report()

    def _warn_of_status(self) -> None:
        """Warn if the log is unfinished, invalid or lacks samples, or reduces epochs other than by their mean."""
        ids, count = sequence(self._dataset().get("sample_ids")), self._dataset().get("samples")
        stated = self._config().get("epochs")
        epochs = stated if isinstance(stated, int) and stated > 0 else 1
        expected = (len(ids) or (count if isinstance(count, int) else 0)) * epochs
        status = self.head.get("status") or "started"
        numbers = (self.tally.records, expected)
        there = f"{self.tally.records:,} of {expected:,} samples are there"
        if status != "success":
            message = mapping(self.head.get("error")).get("message")
            why = f" ({shorten(visible(str(message)), 120)})" if message else ""
            code = "log_failed" if message else "log_not_finished"
            self.tally.warn(code, f"the log's status is {str(status)!r}{why}: {there}", *numbers)
        elif self.tally.records < expected:
            self.tally.warn("samples_missing", f"samples are missing: {there}", *numbers)
        if self.head.get("invalidated"):
            self.tally.warn("log_invalidated", "samples of this log were marked invalid")
        reducers = sequence(self._config().get("epochs_reducer")) or ["mean"]
        if epochs > 1 and reducers != ["mean"]:
            how = ", ".join(map(str, reducers))
            self.tally.warn("other_reducer", f"Inspect reduces epochs by {how}; here it is their mean")

    def _compare(self) -> None:
        """Warn if the mean over the items differs from Inspect's own figure for the same scores."""
        name = self.scores.metric if self.scores.keys else self.scores.scorer
        for result in self._results():
            if result.get("scorer") == self.scores.scorer and result.get("name") == name:
                metrics = mapping(result.get("metrics"))
                for metric in [name for name in ("accuracy", "mean") if name in metrics][:1]:
                    self.tally.compare_mean(mapping(metrics[metric]).get("value"), metric)

    def _results(self) -> list[dict[str, Any]]:
        scores = sequence(mapping(self.head.get("results")).get("scores"))
        return [result for result in scores if isinstance(result, dict)]

    def _dataset(self) -> dict[str, Any]:
        return mapping(self.head["eval"].get("dataset"))

    def _config(self) -> dict[str, Any]:
        return mapping(self.head["eval"].get("config"))


def _key(id: Any) -> str:
    return json.dumps(id, sort_keys=True, default=str)


NEWEST_VERSION = 3
"""Newest supported version of Inspect's log format.

Releases up to 0.3.285 write 2. Version 3 moves the messages of events into a pool, but has a sample's own messages in
full."""
MAX_BYTES = 512 << 20
"""Size limit of a sample, or of a ``.json`` log, in bytes: a small zip can expand to any size."""
TOO_LARGE = Reason("value_too_large", f"the value is larger than {MAX_BYTES >> 20} MB", (MAX_BYTES >> 20,))
_BEGINNING = re.compile(rb"(\xef\xbb\xbf)?\s*\{\s*\"(version|status|eval|plan|results|stats|error|invalidated|tags)\"")
"""Matches the beginning of a ``.json`` log; other JSON files are not parsed."""


class UnreadableLogError(UserError):
    """The file is an Inspect log that cannot be read."""


def read_head(path: Path) -> dict[str, Any] | None:
    """Return everything but the samples: ``version``, ``status``, ``eval``, ``results`` and so on.

    Returns
    -------
    dict or None
        None if a JSON file is not an Inspect log. Without a ``status`` the evaluation was stopped early.

    Raises
    ------
    UserError
        If the file is damaged or too large, or the log is newer than the supported version.
    MissingExtraError
        If an ``.eval`` file's compression (zstd) cannot be read.
    """
    head = _zip_head(path) if path.suffix == ".eval" else _json_log(path)
    if "task" not in mapping(head.get("eval")):
        return None
    version = head.get("version")
    if isinstance(version, int) and version > NEWEST_VERSION:
        raise UnreadableLogError(
            f"{path} has version {version} of Inspect's log format; supported up to {NEWEST_VERSION}. Upgrade with "
            "'pip install --upgrade competency-gaps' ('inspect log convert' keeps the version), or write prompts and "
            f"scores as a table and name its columns with {argument('fields')} prompt=COLUMN and "
            f"{argument('fields')} score=COLUMN."
        )
    head.pop("samples", None)
    return head


def samples(path: Path) -> Iterator[LogRecord]:
    """Yield every sample in the file's order; each (id, epoch) of an ``.eval`` file comes once."""
    if path.suffix != ".eval":
        for number, value in enumerate(sequence(_json_log(path).get("samples")), start=1):
            yield _sample(f"{path.name}, sample {number}", value)
        return
    with _open_zip(path) as archive:
        # A sample that was run again occurs twice under one name, of which the last counts.
        for name in dict.fromkeys(archive.namelist()):
            if name.startswith("samples/") and name.endswith(".json"):
                yield _sample(f"{path.name}, {name}", _member(archive, name))


def _sample(where: str, value: Any) -> LogRecord:
    if not isinstance(value, (dict, Reason)):
        value = Reason("sample_no_object", "the sample is not a JSON object")
    return LogRecord(where, mapping(value), value if isinstance(value, Reason) else None)


def _json_log(path: Path) -> dict[str, Any]:
    """Return the content of a ``.json`` log; empty if the file is not one."""
    try:
        with path.open("rb") as file:
            begins = _BEGINNING.match(file.read(4096)) is not None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    if not begins:
        return {}
    if path.stat().st_size > MAX_BYTES:
        raise UnreadableLogError(
            f"{path} is larger than {MAX_BYTES >> 20} MB. Convert it with 'inspect log convert --to eval' and read the "
            "result, which can be read sample by sample."
        )
    try:
        return mapping(json_file(path))
    except UserError as error:
        raise UnreadableLogError(str(error)) from error


def _open_zip(path: Path) -> ZipFile:
    """Return the opened ``.eval`` file; UserError if it is damaged or cannot be read."""
    # Before Python 3.14 the standard library reads no zstd; this package, which Inspect installs, adds it.
    if find_spec("zipfile_zstd") is not None:
        import_module("zipfile_zstd")
    try:
        return ZipFile(path)
    except (BadZipFile, ValueError, NotImplementedError) as error:
        raise UnreadableLogError(f"{path} is not a complete .eval file: {error}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _member(archive: ZipFile, name: str) -> Any:
    """Return a member's content, or a Reason if it is not JSON, damaged, encrypted or too large.

    Raises
    ------
    MissingExtraError
        If its compression (zstd) cannot be read.
    """
    zstd = (import_module("zstandard").ZstdError,) if find_spec("zstandard") is not None else ()
    declared = archive.getinfo(name)
    if declared.file_size > MAX_BYTES:
        return TOO_LARGE
    if declared.compress_size > Path(str(archive.filename)).stat().st_size:  # zipfile takes as much memory to read it
        return Reason("sample_lost", f"the sample is lost: {BadZipFile.__name__}")
    try:
        return json.loads(archive.read(name))
    except NotImplementedError as error:
        raise MissingExtraError("zipfile-zstd", "inspect", "reading Inspect's .eval logs") from error
    except (ValueError, RecursionError, BadZipFile, EOFError, OSError, zlib.error, *zstd) as error:
        return Reason("sample_lost", f"the sample is lost: {type(error).__name__}")
    except RuntimeError:
        return Reason("sample_encrypted", "the sample is lost: it is encrypted")


def _zip_head(path: Path) -> dict[str, Any]:
    """Return the header of an ``.eval`` file, or what the journal has of it."""
    with _open_zip(path) as archive:
        # The header is written last; an evaluation that was stopped leaves only the journal.
        for name in ("header.json", "_journal/start.json"):
            if name in archive.namelist():
                head = _member(archive, name)
                if isinstance(head, Reason):
                    raise UnreadableLogError(f"{path}: {name} is damaged: {head}.")
                return mapping(head)
    raise UnreadableLogError(f"{path} is a zip file without Inspect's header.json.")


LOG = Reader("Inspect: .eval or .json log", find, read, ("metric", "scorer", "fields"))
