"""What the readers of all formats share: files and values, a log's parts and options, and an account of what was read.

A fault in a file costs one record, and is reported.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.items.config import LogSource
from competency_gaps.items.item import HALF, Counted, Item, LeftOut, Reason, SourceReport, is_whole
from competency_gaps.items.records import Record, Row, further_fields, is_further
from competency_gaps.util.errors import UserError, no_such
from competency_gaps.util.jsonl import json_lines

_CUT = Reason("line_cut", "the line is cut off (the tool was stopped while writing)")
_NO_OBJECT = Reason("line_no_object", "the line is not a JSON object")
OUTSIDE = Reason("score_outside", "the score is outside [0, 1]")


class LogRecord(NamedTuple):
    """One record of a log."""

    where: str
    """File and line (or number), for messages."""
    value: dict[str, Any]
    """The record; empty if there is a fault."""
    fault: Reason | None = None
    """Why the record cannot be read; None if it can."""


class LoggedScore(NamedTuple):
    """A score from a log, brought into [0, 1]."""

    value: float | None
    """In [0, 1]; None if unscored."""
    reason: Reason | None = None
    """Why it is unscored; None if it is scored."""


def log_lines(path: Path) -> Iterator[LogRecord]:
    """Yield the lines of a tool's JSONL file, each with its object or a fault.

    Raises
    ------
    UserError
        If the file does not exist or cannot be opened.
    """
    try:
        with path.open("rb") as file:
            for line in json_lines(file):
                # Only the last line can be incomplete; half a line does not prove a wrong file.
                incomplete = line.fault != "object" and not line.complete
                fault = None if line.fault is None else _CUT if incomplete else _NO_OBJECT
                yield LogRecord(f"{path.name}, line {line.number}", line.value if fault is None else {}, fault)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def score_in_unit(value: Any) -> LoggedScore:
    """Return a tool's number (or truth value) as a score: anything but a number in [0, 1] is unscored, never 0."""
    if value is None:
        return LoggedScore(None, Reason("no_score", "no score"))
    if not isinstance(value, (bool, int, float)):
        return LoggedScore(None, Reason("score_no_number", f"the score is not a number, but a {type(value).__name__}"))
    if value != value:
        return LoggedScore(None, Reason("score_nan", "the score is NaN"))
    return LoggedScore(float(value)) if 0 <= value <= 1 else LoggedScore(None, OUTSIDE)


def mean_score(scores: Iterable[float | None]) -> float | None:
    """Return the mean of the scores that are not None, or None if there are none."""
    scored = [score for score in scores if score is not None]
    return sum(scored) / len(scored) if scored else None


NONE = "none"
"""The ``metric`` that takes items without scores, for coverage."""
_MAX_ROUNDING_ERROR = 1e-6
"""Largest difference between two means that the order of addition explains."""
_MAX_MEAN = 1e9
"""Means of this size or more are not compared: no tool reports them, and they may be too large for a float."""

LogEntry = Item | LeftOut | SourceReport
"""What a log yields: items, records that became no item, and at the end a report."""


@dataclass(frozen=True)
class LogPart:
    """One benchmark of one model in another tool's output."""

    format: str
    """Its key in ``registry.LOGS``."""
    benchmark: str
    """Its name, unique among the parts of one path."""
    files: tuple[Path, ...]
    """Files to read; the first holds the records."""
    model: str | None = None
    """The model as the tool names it; None if not recorded."""
    stamp: str | None = None
    """When the tool wrote it, in a form that sorts by time; None if not recorded."""
    notes: tuple[Reason, ...] = ()
    """Doubts about the choice of this part, such as older files that were not read; the report warns of them."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the format's ``read`` needs."""
    task: str = ""
    """The tool's own name for the benchmark, which parts of several models may share; set with the unique name."""


class Reader(NamedTuple):
    """A log format: how to find its parts, and how to read one."""

    looked_for: str
    """The tool and its files, in a few words."""
    find: Callable[[Path], list[LogPart]]
    """Return the parts of this format in a file, or in a folder and its subfolders; empty if there are none. It should
    read as little of each file as tells its parts. One task of one model is one part (the newest; ``notes`` name the
    others)."""
    read: Callable[[LogPart, LogSource], Iterator[LogEntry]]
    """Yield a part's entries, with one ``SourceReport`` at the end. Items have the scorer ``imported``. Raises
    ``UserError`` if an option names something that does not exist."""
    options: tuple[str, ...] = ("metric",)
    """Which of ``metric``, ``scorer`` (for lm-eval: the filter) and ``fields`` the format understands; others are
    refused, except the metric ``none``."""


def newest(logs: Iterable[tuple[str, Path]]) -> tuple[str, Path, tuple[Reason, ...]]:
    """Return the time and file of the newest of several logs of one task, and notes that name the others."""
    *older, (stamp, file) = sorted(logs)
    text = "an older log of the same task was not read"
    return stamp, file, tuple(Reason("older_log", f"{text}: {other.name}") for _, other in older)


def refuse_options(source: LogSource, format_: str, options: Collection[str]) -> None:
    """Raise UserError for an option that the format does not understand.

    Raises
    ------
    UserError
        If such an option is set, or ``fields`` maps a field that the format reads itself.
    """
    what = "a table" if format_ == "table" else f"a log of {format_}"
    for name in ("metric", "scorer", "fields"):
        if getattr(source, name) and name not in options and (name, source.metric) != ("metric", NONE):
            raise UserError(f"{source.path}: {what} has no {name}. Leave '{name}' out.")
    for ours in source.fields if format_ != "table" else ():
        if not is_further(ours):
            raise UserError(
                f"{source.path}: 'fields' maps {ours!r}, which the format {format_} reads itself. Map cluster, group "
                "and covariates.NAME, or any field with format: table."
            )


def chosen_metric(source: LogSource, part: LogPart, faults: Mapping[str, str | None]) -> str:
    """Return the metric that the source names, else the first that can be a score; ``none`` takes items without scores.

    Parameters
    ----------
    faults
        Why each of the log's metrics, in order of preference, cannot be a score (None if it can).

    Raises
    ------
    UserError
        If the named metric does not exist or cannot be a score, or none is named and none can be a score.
    """
    file, wanted = part.files[-1], source.metric
    usable = [name for name, fault in faults.items() if fault is None]
    if wanted == NONE and NONE not in faults:
        return NONE
    if wanted is None:
        if usable:
            return usable[0]
        reasons = "; ".join(f"{name} {fault}" for name, fault in faults.items()) or "there is none"
        raise UserError(
            f"{file}: no metric can serve as an item's score ({reasons}). Name one with 'metric', or give {NONE!r} "
            "to use the items without scores. To skip this benchmark, give the other files of the folder, each as "
            "NAME=PATH."
        )
    if wanted not in faults:
        raise no_such(f"{file} has no metric", wanted, faults)
    if faults[wanted] is not None:
        raise UserError(
            f"{file}: the metric {wanted!r} {faults[wanted]}. Choose another ({', '.join(usable) or 'there is none'}), "
            f"or {NONE!r} to use the items without scores."
        )
    return wanted


def mapped(
    source: LogSource, where: str, inner: Mapping[str, Any], outer: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the fields that ``source.fields`` maps, of one record, as arguments of ``Item``; only those that are set.

    Parameters
    ----------
    where
        The record's file and line, for messages.
    inner
        What describes the item: its document, metadata or instance. Looked up first.
    outer
        The record around it.

    Raises
    ------
    UserError
        If a column does not exist, or holds what the field cannot hold.
    """
    if not source.fields:
        return {}
    return further_fields(Row(Record({**(outer or {}), **inner}, where), source.fields), only_mapped=True)


@dataclass
class Tally:
    """Counts of one part while it is read, so that nothing is dropped silently; :meth:`report` returns them."""

    part: LogPart
    metric: str | None = None
    filter: str | None = None
    scorer: str | None = None
    available: dict[str, tuple[str, ...]] = field(default_factory=dict)
    records: int = 0
    items: int = 0
    averaged: int = 0
    averaged_items: int = 0
    unscored: int = 0
    sum: float = 0.0
    """Sum of the items' scores."""
    left_out: Counter[Reason] = field(default_factory=Counter)
    body_text: Counter[str] = field(default_factory=Counter)
    warnings: dict[Reason, None] = field(default_factory=dict)
    """Each once, in order."""
    reasons: Counter[Reason] = field(default_factory=Counter)
    """Records without a score by reason, where the log gives one."""

    def item(self, item: Item, method: str, *, records: int = 1) -> Item | LeftOut:
        """Count an item and return it, without its score if the metric is ``none``.

        Its identity gets the SHA-256 of all that the model read as ``prompt_hash``, unless the tool wrote one.

        Parameters
        ----------
        method
            How its body was located in what the model read.
        records
            Number of records that it comes from; several are averaged.

        Returns
        -------
        Item or LeftOut
            The latter if one of its texts cannot be written as UTF-8.
        """
        if not is_whole(item):
            self.left_out[HALF] += records
            return LeftOut(f"item {item.id}".encode(errors="replace").decode(), HALF)
        logged = item.identity.get("prompt_hash")
        prompt_hash = logged if logged and isinstance(logged, str) else _hash(item)
        identity = {**item.identity, "prompt_hash": prompt_hash}
        item = replace(item, identity=identity, score=None if self.metric == NONE else item.score)
        self.items += 1
        self.unscored += item.score is None
        self.sum += item.score or 0.0
        self.body_text[method] += 1
        if records > 1:
            self.averaged += records
            self.averaged_items += 1
        return item

    def unscored_because(self, reason: Reason | None, count: int = 1) -> None:
        """Count records without a score by reason (None: they have one), unless no scores were requested."""
        if reason is not None and self.metric != NONE:
            self.reasons[reason] += count

    def drop(self, where: str, reason: Reason) -> LeftOut:
        """Count a record that becomes no item, and return it as left out."""
        self.left_out[reason] += 1
        return LeftOut(where, reason)

    def warn(self, code: str, text: str, *numbers: float) -> None:
        """Add a warning; a repeated one counts once."""
        self.warnings[Reason(code, text, numbers)] = None

    def compare_mean(self, theirs: Any, name: str) -> None:
        """Warn if the mean over the items differs from the tool's own figure; do nothing if there is no such figure."""
        scored = self.items - self.unscored
        known = isinstance(theirs, (int, float)) and abs(theirs) < _MAX_MEAN
        if scored and known and abs(theirs - self.sum / scored) > _MAX_ROUNDING_ERROR:
            ours = self.sum / scored
            self.warn(
                "other_mean",
                f"the log reports {name} = {theirs:.4f}, but the mean over the items read is {ours:.4f}: the file is "
                "incomplete, or the metric is not aggregated as a mean",
                *(theirs, ours),
            )

    def report(self) -> SourceReport:
        """Return the counts as a report, which accounts for every record once."""
        accounted = self.items - self.averaged_items + self.averaged + self.left_out.total()
        assert self.records == accounted, f"{self.part.format}: {self.records} records, {accounted} counted"
        return SourceReport(
            format=self.part.format,
            benchmark=self.part.benchmark,
            files=tuple(str(path) for path in self.part.files),
            model=self.part.model,
            **{name: getattr(self, name) for name in _AS_COUNTED},
            unscored_because=tuple(Counted(*entry) for entry in self.reasons.items()),
            left_out=tuple(Counted(*entry) for entry in self.left_out.items()),
            body_text=dict(self.body_text),
            warnings=(*self.part.notes, *self.warnings),
        )


_AS_COUNTED = ("metric", "filter", "scorer", "available", "records", "items", "averaged", "averaged_items", "unscored")
"""Fields that a tally and its report share."""


def _hash(item: Item) -> str:
    """Return the SHA-256 of what the model read: the messages (as JSON), or else the text."""
    content = item.seen.text if item.seen else item.prompt
    if item.messages:
        content = json.dumps(item.messages, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
