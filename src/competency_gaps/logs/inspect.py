"""Logs of Inspect (inspect-ai 0.3): ``.eval`` and ``.json``.

One item per sample id; its score is the mean over the epochs that have a score, by default of the log's first scorer.
A sample that failed, or whose score is NaN, is an unscored item.
"""

# DOC """Inspect's log files: the head of one, and its samples.
#
# ``.eval`` is a zip whose members are JSON, ``.json`` one JSON object; both give the same mappings here. Samples of an
# ``.eval`` file are read one at a time, since a log holds every event of every sample and grows to gigabytes. Inspect's
# own reader opens the file anew for each sample, which costs 50 times as long on a log of 2,000 samples.
# """
#

# DOC """A sample of an Inspect log: what the model was asked, what it answered, and its score."""
#

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
from typing import Any, NamedTuple
from zipfile import BadZipFile, ZipFile

from competency_gaps.config import LogSource
from competency_gaps.errors import MissingExtraError, UserError, nearest
from competency_gaps.items.item import Item, LeftOut, Message, Reason
from competency_gaps.logs.prompt import (
    ROLES,
    WHOLE,
    LoggedPrompt,
    OwnText,
    chat_prompt,
    content_text,
    last_occurrence,
)
from competency_gaps.logs.reader import (
    NONE,
    OUTSIDE,
    LogEntry,
    LoggedScore,
    LogPart,
    LogRecord,
    Reader,
    Tally,
    files_under,
    free_name,
    json_file,
    mapped,
    mapping,
    mean_score,
    score_in_unit,
    sequence,
    text_or_none,
)
from competency_gaps.text import plural, shorten, visible


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
        Reason("older_log", f"an older log of the same task was not read: {file.name}")
        if other.get("status") == head.get("status")
        else Reason(
            "log_of_status",
            f"a log of another status was not read: {file.name}, {str(other.get('status') or 'started')!r}",
        )
        for file, other in logs[:-1]
    ]
    notes += [Reason("unreadable_log", f"a log was not read: {error}") for error in faults]
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
    unscored: Counter[Reason] = field(default_factory=Counter)
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

    def add(self, sample: Mapping[str, Any], where: str) -> Reason | None:
        """Process a sample; returns a reason if it can be no item."""
        if sample.get("id") is None:
            return Reason("sample_no_id", "the sample has no id")
        key, epoch = _key(sample["id"]), sample.get("epoch")
        number = epoch if isinstance(epoch, int) else 1
        exchange = read_exchange(sample)
        if isinstance(exchange, Reason):
            return exchange
        known = self.epochs.setdefault(key, [])
        if any(other.number == number for other in known):
            return Reason("sample_again", "the same sample and epoch occurred before")
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
            tally.warn(
                "options_shuffled",
                "multiple_choice shuffled the options and put them back in the log: the model "
                "read them in another order than the text here",
            )
        for reason, count in self.unscored.items():
            if reason.code == "sample_failed" and self.failure:
                first = shorten(visible(self.failure), 120)
                reason = replace(reason, text=f"{reason.text}, the first one with {first}")
            tally.unscored_because(reason, count)
        for note, count in self.notes.items():
            tally.warn(note, f"{plural(count, 'sample')} {_NOTES[note]}", count)
        self._compare()
        return tally.report()

    def _warn_of_status(self) -> None:
        ids, count, epochs = sequence(self._dataset().get("sample_ids")), self._dataset().get("samples"), self._epochs()
        expected = (len(ids) or (count if isinstance(count, int) else 0)) * epochs
        status = self.head.get("status") or "started"
        numbers = (self.tally.records, expected)
        there = f"{self.tally.records:,} of {expected:,} samples are there"
        if status != "success":
            message = mapping(self.head.get("error")).get("message")
            if message:
                why = shorten(visible(str(message)), 120)
                self.tally.warn("log_failed", f"the log's status is {str(status)!r} ({why}): {there}", *numbers)
            else:
                self.tally.warn("log_not_finished", f"the log's status is {str(status)!r}: {there}", *numbers)
        elif self.tally.records < expected:
            self.tally.warn("samples_missing", f"samples are missing: {there}", *numbers)
        if self.head.get("invalidated"):
            self.tally.warn("log_invalidated", "samples of this log were declared invalid")
        reducers = sequence(self._config().get("epochs_reducer")) or ["mean"]
        if epochs > 1 and reducers != ["mean"]:
            self.tally.warn(
                "other_reducer", f"Inspect reduces epochs by {', '.join(map(str, reducers))}; here it is their mean"
            )

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


NEWEST_VERSION = 2
"""Newest supported version of Inspect's log format (``LOG_SCHEMA_VERSION`` of 0.3.285)."""
LARGEST = 512 << 20
"""Size limit of a sample, or of a ``.json`` log, in bytes: a small zip can expand to any size."""
TOO_LARGE = Reason("value_too_large", f"the value is larger than {LARGEST >> 20} MB", (LARGEST >> 20,))
_BEGINNING = re.compile(rb"(\xef\xbb\xbf)?\s*\{\s*\"(version|status|eval|plan|results|stats|error|invalidated|tags)\"")
"""How a ``.json`` log begins; other JSON files are not parsed."""


class UnreadableLogError(UserError):
    """The file is a log of Inspect, but cannot be read."""


class _DamagedError(Exception):
    """A member of a zip that cannot be read."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


def read_head(path: Path) -> dict[str, Any] | None:
    """Everything but the samples: ``version``, ``status``, ``eval``, ``results`` and so on.

    Returns
    -------
    dict or None
        None if a JSON file is no log of Inspect. Without a ``status`` the evaluation was stopped early.

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
            f"{path} has version {version} of Inspect's log format; supported is {NEWEST_VERSION}."
        )
    head.pop("samples", None)
    return head


def samples(path: Path) -> Iterator[LogRecord]:
    """Every sample, in the file's order, each (id, epoch) once."""
    if path.suffix == ".eval":
        yield from _zip_samples(path)
        return
    for number, value in enumerate(sequence(_json_log(path).get("samples")), start=1):
        yield _sample(f"{path.name}, sample {number}", value)


def _sample(where: str, value: Any) -> LogRecord:
    return LogRecord(
        where,
        mapping(value),
        None if isinstance(value, dict) else Reason("sample_no_object", "the sample is not a JSON object"),
    )


def _json_log(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            begins = _BEGINNING.match(file.read(4096)) is not None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    if not begins:
        return {}
    if path.stat().st_size > LARGEST:
        raise UnreadableLogError(
            f"{path} is larger than {LARGEST >> 20} MB. Convert it with 'inspect log convert --to eval' and read the "
            "result, which is read sample by sample."
        )
    try:
        return mapping(json_file(path))
    except UserError as error:
        raise UnreadableLogError(str(error)) from error


def _open_zip(path: Path) -> ZipFile:
    # Before Python 3.14 the standard library reads no zstd; this package, which Inspect installs, adds it.
    if find_spec("zipfile_zstd") is not None:
        import_module("zipfile_zstd")
    try:
        return ZipFile(path)
    except (BadZipFile, ValueError, NotImplementedError) as error:
        raise UnreadableLogError(f"{path} is no complete .eval file: {error}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _member(archive: ZipFile, name: str) -> Any:
    """The content of a member.

    Raises
    ------
    _DamagedError
        If it is not JSON, damaged, encrypted or too large.
    MissingExtraError
        If its compression (zstd) cannot be read.
    """
    declared = archive.getinfo(name)
    if declared.file_size > LARGEST:
        raise _DamagedError(TOO_LARGE)
    if declared.compress_size > Path(str(archive.filename)).stat().st_size:  # zipfile takes as much memory to read it
        raise _DamagedError(Reason("sample_lost", f"the sample is lost: {BadZipFile.__name__}"))
    zstd = (import_module("zstandard").ZstdError,) if find_spec("zstandard") is not None else ()
    try:
        return json.loads(archive.read(name))
    except NotImplementedError as error:
        raise MissingExtraError("zipfile-zstd", "inspect", "reading Inspect's .eval logs") from error
    except (ValueError, RecursionError, BadZipFile, EOFError, OSError, zlib.error, *zstd) as error:
        raise _DamagedError(Reason("sample_lost", f"the sample is lost: {type(error).__name__}")) from error
    except RuntimeError as error:
        raise _DamagedError(Reason("sample_encrypted", "the sample is lost: it is encrypted")) from error


def _zip_head(path: Path) -> dict[str, Any]:
    with _open_zip(path) as archive:
        names = set(archive.namelist())
        # The header is written last; an evaluation that was stopped leaves only the journal.
        for name in ("header.json", "_journal/start.json"):
            if name in names:
                try:
                    return mapping(_member(archive, name))
                except _DamagedError as error:
                    raise UnreadableLogError(f"{path}: {name} is damaged: {error}.") from error
    raise UnreadableLogError(f"{path} is a zip without Inspect's header.json.")


def _zip_samples(path: Path) -> Iterator[LogRecord]:
    with _open_zip(path) as archive:
        # A sample that was run again occurs twice under one name, of which the last counts.
        for name in dict.fromkeys(archive.namelist()):
            if not (name.startswith("samples/") and name.endswith(".json")):
                continue
            where = f"{path.name}, {name}"
            try:
                yield _sample(where, _member(archive, name))
            except _DamagedError as error:
                yield LogRecord(where, {}, error.reason)


WITH_OPTIONS = "question and lettered options"
INSIDE = "input inside the last user message"
NOT_INSIDE = "whole last user message (the input does not occur in it)"
SHORT = "whole last user message (the input is short and occurs in it more than once, or inside a word)"

UNREADABLE = "competency-gaps: unreadable"
"""Key, in a sample's store, of why the run's model could not read what it was asked."""
_VALUES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


def unreadable(sample: Mapping[str, Any]) -> str | None:
    """Why the run's model could not read a sample; None: it could."""
    why = mapping(sample.get("store")).get(UNREADABLE)
    return why if isinstance(why, str) else None


class Exchange(NamedTuple):
    """What the model was asked and what it answered."""

    asked: LoggedPrompt
    """Up to the last user message before the model's first answer."""
    response: str | None
    notes: tuple[str, ...]
    """Codes of warnings, which are counted."""


def read_exchange(sample: Mapping[str, Any]) -> Exchange | Reason:
    """What the model was asked and answered, or why the sample is no item.

    The prompt ends before the model's own first answer (``source`` is ``generate``); assistant messages before that are
    examples. An agent's later turns are not read: they hold answers, and the item is the question.
    """
    raw = _list_of_messages(sample.get("messages"))
    given = _list_of_messages(sample.get("input"))
    notes = [] if raw else ["sample_no_messages"]
    raw = raw or given
    first = _first_answer(raw, given)
    users = [i for i in range(first) if raw[i].get("role") == "user"]
    if not users:
        return Reason("no_user_before_answer", "no user message stands before the first answer")
    last = users[-1]
    if last + 1 < first:
        notes.append("sample_begun")
    messages: list[Message] = []
    for message in raw[: last + 1]:
        text = content_text(message.get("content"))
        if text is None:
            return Reason("more_than_text", "the prompt holds more than text (an image, a document, a recording)")
        if message.get("role") not in ROLES:
            return Reason("tool_before_answer", "a tool's message stands before the first answer")
        messages.append({"role": message["role"], "content": text})
    content = messages[-1]["content"]
    if not content.strip():
        return Reason("prompt_empty", "the prompt is empty")
    after = raw[first:]
    if len(after) > 1:
        notes.append("sample_turns")
    if any(message.get("role") == "tool" or message.get("tool_calls") for message in after):
        notes.append("sample_tools")
    own = _own_text(content, given, sample.get("choices"))
    asked = chat_prompt(tuple(messages), own)
    if asked.prompt == content:
        asked = asked._replace(own=None)
    return Exchange(asked, _response(sample, after), tuple(notes))


def _list_of_messages(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    return [message for message in value if isinstance(message, dict)] if isinstance(value, list) else []


def _first_answer(messages: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]]) -> int:
    """Index of the model's first answer; the number of messages if there is none."""
    answers = [i for i, message in enumerate(messages) if message.get("role") == "assistant"]
    generated = [i for i in answers if messages[i].get("source") == "generate"]
    if not generated:
        # In logs without the messages' source, those of the dataset's input are no answers.
        brought = [message.get("content") for message in given if message.get("role") == "assistant"]
        generated = [
            i for i in answers if messages[i].get("source") != "input" and messages[i].get("content") not in brought
        ]
    return generated[0] if generated else len(messages)


def _own_text(content: str, given: Sequence[Mapping[str, Any]], choices: Any) -> OwnText:
    """Locate the question, with the options that ``multiple_choice`` appends to it, in the last message.

    Options may repeat the question, so they are located first, and then the question before them. A short question that
    occurs more than once cannot be distinguished from an instruction's own words (a bare ``no``).
    """
    question = next((content_text(m.get("content")) for m in reversed(given) if m.get("role") == "user"), None)
    question = (question or "").strip()
    if question == content.strip():
        return OwnText(0, len(content), WHOLE)
    options = lettered(choices) if isinstance(choices, list) else ""
    place = content.rfind(options) if options else -1
    own = _before_options(content, question, place) if place >= 0 else None
    if own is not None:
        own = OwnText(own.start, place + len(options), WITH_OPTIONS)
    else:
        own = last_occurrence(content, question, INSIDE)
    if own is None:
        return OwnText(0, len(content), SHORT if question and question in content else NOT_INSIDE)
    if content[: own.start].strip() or content[own.end :].strip():
        return own
    return OwnText(0, len(content), own.method)


def _before_options(content: str, question: str, options: int) -> OwnText | None:
    start = len(content[:options].rstrip()) - len(question)
    joined = start > 0 and question[:1].isalnum() and content[start - 1].isalnum()
    if question and start >= 0 and content.startswith(question, start) and not joined:
        return OwnText(start, start + len(question), INSIDE)
    return last_occurrence(content, question, INSIDE, before=options)


def lettered(choices: Sequence[Any]) -> str:
    """Options as Inspect's ``multiple_choice`` writes them: ``A) first``, one per line; numbers from 1 follow Z."""
    names = [chr(ord("A") + i) if i < 26 else str(i - 25) for i in range(len(choices))]
    return "\n".join(f"{name}) {choice}" for name, choice in zip(names, choices, strict=True))


def _response(sample: Mapping[str, Any], after: Sequence[Mapping[str, Any]]) -> str | None:
    if len(after) > 1:
        return _answer_text(after[0].get("content"))
    output = mapping(sample.get("output"))
    if sequence(output.get("choices")) and isinstance(output.get("completion"), str):
        return str(output["completion"])
    return _answer_text(after[0].get("content")) if after else None


def _answer_text(content: Any) -> str | None:
    """The model's answer without its hidden reasoning; None if it only called tools."""
    if isinstance(content, list):
        content = "\n".join(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return content if isinstance(content, str) and content else None


def number(value: Any) -> LoggedScore:
    """A value as a score in [0, 1], converted as Inspect's metrics do.

    ``C`` is 1, ``P`` 0.5, ``I`` and ``N`` 0; yes, no, true and false in any case; numbers, also as texts. Values that
    Inspect cannot convert, and counts as 0, are unscored here.
    """
    if not isinstance(value, str):
        return score_in_unit(value)
    known = _VALUES.get(value, _WORDS.get(value.lower()))
    if known is not None:
        return LoggedScore(known)
    try:
        return score_in_unit(float(value))
    except ValueError:
        return LoggedScore(None, Reason("score_text", "the value is a text that is not a score"))


class SampleScores(NamedTuple):
    """The scores of a sample."""

    where: str
    values: dict[str, Any]
    """Scorer -> value, as Inspect wrote it."""
    fault: Reason | None
    """Why none of them counts; None if they do."""


@dataclass
class Scores:
    """Selects the score of one scorer, and of one of its keys, from each sample, after all samples are read."""

    scorer: str | None
    """The requested scorer; None: ``choose`` takes one."""
    metric: str | None
    """Key of a mapping, or position in a list; None: values are single; ``none``: no scores are requested."""
    counts_errors: bool
    """The evaluation scored samples that failed (``score_on_error``)."""
    metrics: tuple[str, ...]
    """Names under which Inspect itself averages single values."""
    named: tuple[str, ...]
    """Scorers in the log's own order."""
    scorers: dict[str, None] = field(default_factory=dict)
    keys: dict[str, None] = field(default_factory=dict)

    def judged(self, sample: Mapping[str, Any]) -> SampleScores:
        """The scores of a sample."""
        scores = mapping(sample.get("scores"))
        if not scores and isinstance(sample.get("score"), dict):
            scores = {"score": sample["score"]}  # old logs have one scorer
        self.scorers.update(dict.fromkeys(scores))
        fault = None
        if unreadable(sample) or (sample.get("error") and not (scores and self.counts_errors)):
            fault = Reason("sample_failed", "the sample failed")
        elif sample.get("invalidation"):
            fault = Reason("sample_invalid", "the sample was declared invalid")
        elif not scores:
            fault = Reason("no_score", "no score")
        values = {name: mapping(score).get("value") for name, score in scores.items()}
        return SampleScores(f"sample {shorten(repr(sample.get('id')), 80)}", values, fault)

    def choose(self) -> None:
        """Take the log's first scorer that any sample has, if none is requested.

        Raises
        ------
        UserError
            If no sample was scored by the requested scorer.
        """
        if self.scorer is not None and self.scorer not in self.scorers:
            known = ", ".join(self.scorers) or "none"
            raise UserError(
                f"no sample was scored by {self.scorer!r}; scorers are {known}.{nearest(self.scorer, self.scorers)}"
            )
        if self.scorer is None and self.metric != NONE:
            self.scorer = next((name for name in (*self.named, *self.scorers) if name in self.scorers), None)

    def of(self, judged: SampleScores) -> LoggedScore:
        """The sample's score.

        Raises
        ------
        UserError
            If the value is a mapping or a list and no key is chosen, or a key is chosen and it is neither; or if it
            is a number outside [0, 1]: on a scale from 0 to 10, leaving those out would leave only bad answers scored.
        """
        if self.metric == NONE:
            return LoggedScore(None, Reason("score_unwanted", "no score was asked for"))
        if judged.fault is not None:
            return LoggedScore(None, judged.fault)
        if self.scorer not in judged.values:
            return LoggedScore(None, Reason("not_by_scorer", f"no score by {self.scorer!s}"))
        number, value = self._value(judged.values[self.scorer])
        if number.reason == OUTSIDE:
            raise UserError(
                f"{judged.where}: the score by {self.scorer!r} is {shorten(visible(str(value)), 40)}, expected a "
                f"number in [0, 1]. Choose another with 'scorer' ({', '.join(self.scorers)}) or 'metric', or give "
                f"{NONE!r} as 'metric' to use the items without scores."
            )
        return number

    def _value(self, value: Any) -> tuple[LoggedScore, Any]:
        """The score, and the value that it comes from."""
        parts = {str(i): part for i, part in enumerate(value)} if isinstance(value, list) else value
        if not isinstance(parts, dict):
            known = (*self.metrics, self.scorer)
            if self.metric is not None and not self.keys and value is not None and self.metric not in known:
                raise UserError(
                    f"the scorer {self.scorer!r} gives one value a sample, so there is no metric {self.metric!r} to "
                    f"choose. Leave 'metric' out, or name another scorer ({', '.join(self.scorers)})."
                )
            return number(value), value
        self.keys.update(dict.fromkeys(parts))
        if self.metric is None:
            raise UserError(
                f"the scorer {self.scorer!r} gives several values a sample. Choose one with 'metric' "
                f"({', '.join(self.keys)}), or another scorer with 'scorer' ({', '.join(self.scorers)})."
            )
        if self.metric not in parts:
            return LoggedScore(None, Reason("no_value", f"no value {self.metric}")), None
        return number(parts[self.metric]), parts[self.metric]

    def check(self) -> None:
        """Refuse a key that no sample has."""
        if self.metric is not None and self.keys and self.metric not in self.keys:
            raise UserError(
                f"the scorer {self.scorer!r} has no value {self.metric!r}; there are {', '.join(self.keys)}."
                f"{nearest(self.metric, self.keys)}"
            )


_NOTES = {
    "sample_turns": "went on over several turns; the text is that before the first answer, the response is that answer",
    "sample_tools": "used tools, whose descriptions the model also read but which are not among the log's messages",
    "sample_begun": "had text after the last user message (an answer begun for the model), which is not read",
    "sample_no_messages": "had no messages in the log (failed early?); the input is taken for the prompt",
    "sample_other_prompt": "asked something else in a later epoch; the text is that of the first",
}
"""What is said of samples with a note."""
