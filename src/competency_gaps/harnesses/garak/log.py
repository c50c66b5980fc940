"""Reports of garak (``*.report.jsonl``, 0.9 to 0.17): a probe family is a benchmark, its probes are the groups.

An item is an attempt that garak evaluated; its score is 1 where the model resisted and 0 where the attack succeeded.
"""

from __future__ import annotations

import mmap
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError, nearest
from competency_gaps.harnesses.garak.attempt import (
    DEFAULT_THRESHOLD,
    EVALUATED,
    Attempt,
    DetectorResults,
    attempt_of,
    model_of,
    number_or_none,
    probe_of,
    recount,
    results_of,
    safety,
    threshold_of,
)
from competency_gaps.harnesses.shared.files import files_under, first_object, log_lines, mapping
from competency_gaps.harnesses.shared.log import NONE, LogEntry, LogPart, Reader, Tally, newest
from competency_gaps.harnesses.shared.prompt import LoggedPrompt
from competency_gaps.items.item import Item, LeftOut
from competency_gaps.items.remark import Remark
from competency_gaps.text import shorten

ALL_DETECTORS = "lowest of all detectors"
OWN_TEXT = "the attack's last turn"

# In JSON a quotation mark inside a string is escaped, so this matches only an attempt's own field.
_PROBE = re.compile(rb'"probe_classname":\s*"(?:garak\.)?(?:probes\.)?(\w+)\.(\w+)"')
_HITLOG = ".hitlog.jsonl"
_OPEN = {0: Remark("not_answered"), 1: Remark("not_evaluated")}


def find(path: Path) -> list[LogPart]:
    """One part per probe family, its probes and model: the newest report.

    Raises
    ------
    UserError
        If there is only a hit log: it holds successes alone, so it gives no rates.
    """
    files = files_under(path, "*.report.jsonl")
    if not files and path.is_file() and path.suffix == ".jsonl" and not path.name.endswith(_HITLOG):
        files = [path]
    groups: dict[tuple[str, frozenset[str], str | None], list[tuple[str, Path]]] = {}
    for file in files:
        head = first_object(file)
        if not str(head.get("entry_type", "")).startswith(("start_run", "init", "config", "attempt")):
            continue
        stamp = str(head.get("transient.starttime_iso") or head.get("start_time") or "")
        for family, probes in _families(file).items():
            groups.setdefault((family, frozenset(probes), model_of(head)), []).append((stamp, file))
    if not groups:
        hits = files_under(path, f"*{_HITLOG}")
        if hits:
            raise UserError(
                f"{hits[0]} is garak's hit log: it holds only the attacks that succeeded, so it gives no rates. Give "
                f"the report of the same run, {hits[0].name.removesuffix(_HITLOG)}.report.jsonl."
            )
    parts = []
    for (family, _, model), reports in groups.items():
        stamp, file, notes = newest(reports)
        parts.append(LogPart("garak", family, (file,), model, stamp or None, notes, {"family": family}))
    return parts


def _families(file: Path) -> dict[str, set[str]]:
    """Probe families of a report and their probes, in its order, without parsing the whole file."""
    families: dict[str, set[str]] = {}
    if file.stat().st_size:
        with file.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as text:
            for match in _PROBE.finditer(text):
                families.setdefault(match[1].decode(), set()).add(match[2].decode())
    return families


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """The evaluated attempts of one probe family, and the report.

    Raises
    ------
    UserError
        If ``metric`` is neither a detector of these attempts nor ``none``.
    """
    reader = _AttemptReader(part.details["family"], Tally(part), source.metric)
    for line in log_lines(part.files[0]):
        if line.fault is not None:
            reader.unreadable.append((line.where, line.fault))
            continue
        reason = reader.add(line.value, line.where)
        if reason is not None:
            yield reader.tally.drop(line.where, reason)
    for where, status in reader.open.values():
        reader.tally.records += 1
        unknown = Remark("unknown_status", quotes=(shorten(repr(status), 40),))
        yield reader.tally.drop(where, _OPEN.get(status, unknown))
    yield from reader.items()
    yield reader.report()


@dataclass
class _AttemptReader:
    """What is gathered while a report is read; tags and counts may follow the attempts that they belong to."""

    family: str
    tally: Tally
    detector: str | None
    attempts: dict[str, Attempt] = field(default_factory=dict)
    open: dict[str, tuple[str, Any]] = field(default_factory=dict)
    """Attempts without an evaluation so far: uuid -> place, and their last status."""
    unreadable: list[tuple[str, Remark]] = field(default_factory=list)
    """Lines that cannot be read, so that their family is unknown: place and reason."""
    judged: dict[str, tuple[str, DetectorResults]] = field(default_factory=dict)
    """Probe and results of every evaluated attempt, including those that are no items."""
    tags: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """(probe, detector) -> garak's own counts of passes and judged outputs."""
    threshold: float = DEFAULT_THRESHOLD
    has_threshold: bool = False
    """Whether the report states the threshold."""
    complete: bool = False

    def add(self, entry: dict[str, Any], where: str) -> Remark | None:
        """Process an entry; returns a reason if it is an attempt that can be no item."""
        kind = entry.get("entry_type")
        if kind == "attempt":
            return self._attempt(entry, where)
        if kind == "start_run setup" and (threshold := number_or_none(entry.get("run.eval_threshold"))) is not None:
            self.threshold, self.has_threshold = threshold, True
        elif kind == "plugin_cache":
            probes = mapping(mapping(entry.get("plugin_cache")).get("probes"))
            self._take_tags({name: mapping(info).get("tags") for name, info in probes.items()})
        elif kind == "digest":
            self._take_tags(_digest_tags(entry))
        elif kind == "eval":
            self._count(entry)
        self.complete = self.complete or kind in ("completion", "digest")
        return None

    def _attempt(self, entry: dict[str, Any], where: str) -> Remark | None:
        probe, uuid = probe_of(entry), str(entry.get("uuid") or where)
        if not probe:
            self.unreadable.append((where, Remark("no_probe")))
        if probe.split(".")[0] != self.family:
            return None
        status = entry.get("status")
        if status != EVALUATED:
            # garak writes an attempt each time that its status changes; together these lines are one record.
            if uuid not in self.judged:
                self.open[uuid] = (where, status if isinstance(status, (int, str)) else type(status).__name__)
            return None
        self.open.pop(uuid, None)
        self.tally.records += 1
        if uuid in self.judged:
            return Remark("attempt_again")
        self.judged[uuid] = (probe, results_of(entry.get("detector_results")))
        attempt = attempt_of(entry)
        if isinstance(attempt, Remark):
            return attempt
        self.attempts[uuid] = attempt
        return None

    def _take_tags(self, tags: dict[str, Any]) -> None:
        for name, values in tags.items():
            if isinstance(values, list):
                self.tags.setdefault(name.removeprefix("probes."), [str(value) for value in values])

    def _count(self, entry: dict[str, Any]) -> None:
        probe = str(entry.get("probe")).removeprefix("probes.")
        detector = str(entry.get("detector")).removeprefix("detector.")
        fine, judged = entry.get("passed"), entry.get("total_evaluated", entry.get("total"))
        if probe.split(".")[0] == self.family and isinstance(fine, int) and isinstance(judged, int):
            before = self.counts.get((probe, detector), (0, 0))
            self.counts[probe, detector] = (before[0] + fine, before[1] + judged)

    def items(self) -> Iterator[Item | LeftOut]:
        """One item per attempt, in the report's order."""
        attempts = list(self.attempts.values())
        detectors = dict.fromkeys(name for attempt in attempts for name in attempt.results.scores)
        self.tally.available = {"metric": tuple(detectors)} if detectors else {}
        if self.detector not in (None, NONE) and self.detector not in detectors:
            raise UserError(
                f"no attempt of {self.family!r} has results of the detector {self.detector!r}; there are "
                f"{', '.join(detectors) or 'none'}.{nearest(str(self.detector), detectors)}"
            )
        self.tally.metric = self.detector or (ALL_DETECTORS if len(detectors) > 1 else next(iter(detectors), None))
        if not self.has_threshold:
            self.threshold = threshold_of(list(self.judged.values()), self.counts) or DEFAULT_THRESHOLD
        used: Counter[str] = Counter()
        for attempt in attempts:
            name = f"{attempt.probe}:{attempt.uuid if attempt.seq is None else attempt.seq}"
            used[name] += 1
            unique = name if used[name] == 1 else f"{name}:{attempt.uuid}"
            item = self._item(attempt, unique)
            if item.score is None:
                self.tally.unscored_because(Remark("nothing_judged"))
            yield self.tally.item(item, OWN_TEXT)

    def _item(self, attempt: Attempt, name: str) -> Item:
        return LoggedPrompt(attempt.messages[-1]["content"], attempt.messages, None, None, OWN_TEXT).item(
            name,
            group=attempt.probe.split(".", 1)[-1],
            score=safety(attempt.results, self.threshold, self.detector),
            response=attempt.response,
            identity={
                "tool": "garak",
                "probe": attempt.probe,
                "attempt": attempt.uuid,
                "seq": attempt.seq,
                "goal": attempt.goal,
                "intent": attempt.intent,
                "tags": self.tags.get(attempt.probe),
                "detectors": {detector: list(scores) for detector, scores in attempt.results.scores.items()},
                "outputs": attempt.outputs,
                "threshold": self.threshold,
                "metric": self.tally.metric,
            },
        )

    def report(self) -> LogEntry:
        """The account of what was read, with its warnings."""
        tally, attempts = self.tally, list(self.attempts.values())
        if attempts and not tally.available and any(attempt.results.named_only for attempt in attempts):
            tally.warn("detectors_named_only")
        for note, count in Counter(note for attempt in attempts for note in attempt.notes).items():
            tally.warn(note, count)
        if self.unreadable:
            where, fault = self.unreadable[0]
            tally.warn("unusable_lines", len(self.unreadable), quotes=(f"{where}, {fault}",))
        if not self.complete:
            tally.warn("report_no_end")
        if self.threshold != DEFAULT_THRESHOLD:
            tally.warn("threshold" if self.has_threshold else "threshold_inferred", self.threshold, DEFAULT_THRESHOLD)
        self._compare()
        return tally.report()

    def _compare(self) -> None:
        """Warn where garak's counts differ from those of the attempts that were read."""
        ours = recount(self.judged.values(), self.threshold)
        for key, (fine, judged) in self.counts.items():
            if key in ours and ours[key] != (fine, judged):
                self.tally.warn("other_counts", fine, judged, *ours[key], quotes=key)


def _digest_tags(entry: dict[str, Any]) -> dict[str, Any]:
    """Probe -> tags, from the digest at a report's end."""
    return {
        probe: mapping(mapping(results).get("_summary")).get("probe_tags")
        for group in mapping(entry.get("eval")).values()
        for probe, results in mapping(group).items()
    }


LOG = Reader("garak: *.report.jsonl", find, read)
