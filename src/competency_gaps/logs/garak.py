"""Reports of garak (``*.report.jsonl``, 0.9 to 0.17): a probe family is a benchmark, its probes are the groups.

An item is an attempt that garak evaluated; its score is 1 where the model resisted and 0 where the attack succeeded.
"""

from __future__ import annotations

import math
import mmap
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.items.config import LogSource
from competency_gaps.items.item import Item, Message, Reason
from competency_gaps.logs.prompt import ROLES, LoggedPrompt, last_user
from competency_gaps.logs.reader import NONE, LogEntry, LogPart, Reader, Tally, log_lines, newest
from competency_gaps.util.errors import UserError, no_such
from competency_gaps.util.jsonl import files_under, first_object, mapping, number_or_none, sequence
from competency_gaps.util.text import plural, shorten

DEFAULT_THRESHOLD = 0.5
"""garak's default ``eval_threshold``."""
EVALUATED = 2
"""Status of an attempt whose outputs were evaluated by detectors."""
ALL_DETECTORS = "lowest of all detectors"
OWN_TEXT = "the attack's last turn"
# In JSON a quotation mark inside a string is escaped, so this matches only an attempt's own field.
_PROBE = re.compile(rb'"probe_classname":\s*"(?:garak\.)?(?:probes\.)?(\w+)\.(\w+)"')
_HITLOG = ".hitlog.jsonl"
_OPEN = {
    0: Reason("not_answered", "begun but not answered (the run was stopped)"),
    1: Reason("not_evaluated", "begun but not evaluated (the run was stopped)"),
}
_NOT_ONLY_TEXT = Reason("more_than_text", "the prompt contains more than text (an image, a document, a recording)")

_NOTES = {
    "attempt_turns": "had several turns; the text is the first conversation up to the attack's last turn",
    "attempt_begun": "had text after the attack's last turn (an answer begun for the model), which is not read",
    "attempt_outputs": "had several outputs, all counted in the score; the response is the first with text",
}

Results = dict[str, tuple[float | None, ...]]
"""One number per output, by detector: from 0 (safe) to 1 (hit); None if that output could not be judged."""


def find(path: Path) -> list[LogPart]:
    """Return one part per probe family, set of probes and model, from the newest report.

    Raises
    ------
    UserError
        If there is only a hit log: it holds only successful attacks, so it gives no rates.
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
            groups.setdefault((family, frozenset(probes), _model_of(head)), []).append((stamp, file))
    if not groups and (hits := files_under(path, f"*{_HITLOG}")):
        raise UserError(
            f"{hits[0]} is garak's hit log: it has only the attacks that succeeded, so no rates. Give "
            f"the report of the same run, {hits[0].name.removesuffix(_HITLOG)}.report.jsonl."
        )
    parts = []
    for (family, _, model), reports in groups.items():
        stamp, file, notes = newest(reports)
        parts.append(LogPart("garak", family, (file,), model, stamp or None, notes, {"family": family}))
    return parts


def _families(file: Path) -> dict[str, set[str]]:
    """Return the probes of each probe family in a report, in its order, without parsing the whole file."""
    families: dict[str, set[str]] = {}
    if file.stat().st_size:
        with file.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as text:
            for match in _PROBE.finditer(text):
                families.setdefault(match[1].decode(), set()).add(match[2].decode())
    return families


def _model_of(setup: Mapping[str, Any]) -> str | None:
    """Return the model's name in a report's first entry, else its type; before 0.13.1 ``target_*`` was ``model_*``."""
    named = (setup.get(f"plugins.{key}") for key in ("target_name", "model_name", "target_type", "model_type"))
    return next((str(name) for name in named if name), None)


class _Attempt(NamedTuple):
    """An attempt that garak evaluated."""

    where: str
    probe: str
    """``family.Class``."""
    entry: Mapping[str, Any]
    messages: tuple[Message, ...] | Reason
    """What the model was asked, ending with the attack's last turn; or why the attempt is no item."""
    results: Results
    notes: tuple[str, ...]
    """Codes of warnings, which are counted."""


@dataclass
class _Report:
    """What a report says about one probe family, or about all."""

    family: str | None = None
    attempts: dict[str, _Attempt] = field(default_factory=dict)
    """By uuid, in the report's order."""
    again: list[str] = field(default_factory=list)
    """Lines whose attempt was already evaluated on an earlier line."""
    open: dict[str, tuple[str, Any]] = field(default_factory=dict)
    """Attempts without an evaluation, by uuid: their line and last status."""
    unreadable: list[tuple[str, Reason]] = field(default_factory=list)
    """Lines that cannot be read, so that their family is unknown: line and reason."""
    tags: dict[str, list[str]] = field(default_factory=dict)
    """Tags by probe, from the plug-in cache or the digest at the report's end."""
    counts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """garak's own counts of passes and judged outputs, by (probe, detector)."""
    stated: float | None = None
    """The threshold that the report states; None if it states none."""
    complete: bool = False

    @classmethod
    def read(cls, path: Path, family: str | None = None) -> _Report:
        """Return a whole report; tags and counts may follow the attempts that they belong to."""
        report = cls(family)
        for line in log_lines(path):
            if line.fault is None:
                report._add(line.value, line.where)
            else:
                report.unreadable.append((line.where, line.fault))
        return report

    def _add(self, entry: dict[str, Any], where: str) -> None:
        kind = entry.get("entry_type")
        if kind == "attempt":
            self._attempt(entry, where)
        elif kind == "start_run setup":
            self.stated = number_or_none(entry.get("run.eval_threshold"))
        elif kind == "plugin_cache":
            for name, about in mapping(mapping(entry.get("plugin_cache")).get("probes")).items():
                self._tag(name, mapping(about).get("tags"))
        elif kind == "digest":
            for probes in map(mapping, mapping(entry.get("eval")).values()):
                for name, results in probes.items():
                    self._tag(name, mapping(mapping(results).get("_summary")).get("probe_tags"))
        elif kind == "eval":
            self._count(entry)
        self.complete = self.complete or kind in ("completion", "digest")

    def _tag(self, probe: str, tags: Any) -> None:
        if isinstance(tags, list):
            self.tags.setdefault(probe.removeprefix("probes."), list(map(str, tags)))

    def _attempt(self, entry: dict[str, Any], where: str) -> None:
        """Add an attempt of the family: evaluated, evaluated again, or not (yet) evaluated."""
        probe = str(entry.get("probe_classname") or "").removeprefix("garak.").removeprefix("probes.")
        uuid, status = str(entry.get("uuid") or where), entry.get("status")
        if not probe:
            self.unreadable.append((where, Reason("no_probe", "the attempt does not name a probe")))
        if self.family not in (None, probe.split(".")[0]):
            return
        if status == EVALUATED and uuid in self.attempts:
            self.again.append(where)
        elif status == EVALUATED:
            self.open.pop(uuid, None)
            messages, notes = _asked(entry)
            self.attempts[uuid] = _Attempt(where, probe, entry, messages, _results(entry), tuple(notes))
        elif uuid not in self.attempts:
            # garak writes an attempt each time that its status changes; together these lines are one record.
            self.open[uuid] = (where, status if isinstance(status, (int, str)) else type(status).__name__)

    def _count(self, entry: dict[str, Any]) -> None:
        """Add garak's counts of one probe and detector."""
        probe = str(entry.get("probe")).removeprefix("probes.")
        detector = str(entry.get("detector")).removeprefix("detector.")
        fine, judged = entry.get("passed"), entry.get("total_evaluated", entry.get("total"))
        if self.family in (None, probe.split(".")[0]) and isinstance(fine, int) and isinstance(judged, int):
            before = self.counts.get((probe, detector), (0, 0))
            self.counts[probe, detector] = (before[0] + fine, before[1] + judged)

    @property
    def threshold(self) -> float:
        """Results below this pass: as stated, else a threshold that gives exactly the passes that garak counted.

        garak omits a fractional ``eval_threshold`` from its report. With ``p`` passes among the sorted results ``s`` of
        one probe and detector, it lies in (s[p-1], s[p]]. 0.5 if that fits, or if no threshold does.
        """
        if self.stated is not None:
            return self.stated
        low, high = -math.inf, math.inf
        for key, (fine, total) in self.counts.items():
            scores = sorted(self._judged().get(key, []))
            if len(scores) != total or not 0 <= fine <= total:
                return DEFAULT_THRESHOLD
            low = max(low, scores[fine - 1]) if fine > 0 else low
            high = min(high, scores[fine]) if fine < total else high
        if low >= high or low < DEFAULT_THRESHOLD <= high:
            return DEFAULT_THRESHOLD
        return high if math.isfinite(high) else math.nextafter(low, math.inf)

    def _judged(self) -> dict[tuple[str, str], list[float]]:
        """Return the results of all judged outputs by (probe, detector)."""
        judged: dict[tuple[str, str], list[float]] = {}
        for attempt in self.attempts.values():
            for detector, results in attempt.results.items():
                known = judged.setdefault((attempt.probe, detector), [])
                known += [result for result in results if result is not None]
        return judged

    def other_counts(self, threshold: float) -> Iterator[tuple[tuple[str, str], tuple[int, ...]]]:
        """Yield (probe, detector) where garak's counts differ from the attempts', and (passed, judged) of both."""
        for key, results in self._judged().items():
            ours = (sum(result < threshold for result in results), len(results))
            if self.counts.get(key, ours) != ours:
                yield key, (*self.counts[key], *ours)


def _asked(entry: Mapping[str, Any]) -> tuple[tuple[Message, ...] | Reason, list[str]]:
    """Return what the model was asked in an attempt, or why the attempt is no item; and codes of warnings."""
    notes = ["attempt_outputs"] if len(sequence(entry.get("outputs"))) > 1 else []
    turns = _conversation(entry.get("prompt"))
    conversations = sequence(entry.get("conversations"))
    if turns is not None and conversations:
        first = _conversation(conversations[0])
        if first is None:
            return _NOT_ONLY_TEXT, notes
        answers = [i for i, turn in enumerate(first) if turn["role"] == "assistant"]
        # An attack in several turns writes only its first one into the prompt; the last output is what is judged.
        if answers and answers[-1] > len(turns):
            turns = first[: answers[-1]]
            notes.append("attempt_turns")
    if turns is None:
        return _NOT_ONLY_TEXT, notes
    last = last_user(turns)
    if last is None:
        return Reason("no_user_turn", "the prompt has no user turn"), notes
    if last + 1 < len(turns):
        notes.append("attempt_begun")
    messages = tuple(turns[: last + 1])
    if any(message["role"] not in ROLES for message in messages):
        who = "neither the system's, the user's nor the assistant's"
        return Reason("unknown_role", f"the prompt has a turn that is {who}"), notes
    return (messages if messages[-1]["content"].strip() else Reason("prompt_empty", "the prompt is empty")), notes


def _conversation(value: Any) -> list[Message] | None:
    """Return a prompt's turns, or None if it contains more than text.

    Versions of garak write a text, an object with a text, an object with turns, or a list of turns.
    """
    if isinstance(value, Mapping) and isinstance(value.get("turns"), list):
        value = value["turns"]
    turns: list[Message] = []
    for turn in value if isinstance(value, list) else [{"role": "user", "content": value}]:
        content = mapping(turn).get("content")
        if not isinstance(turn, Mapping) or any(mapping(content).get(key) for key in ("data_path", "data_type")):
            return None
        turns.append({"role": str(turn.get("role")), "content": _text(content) or ""})
    return turns


def _text(value: Any) -> str | None:
    """Return a text, or the ``text`` of an object; None for anything else."""
    value = value.get("text") if isinstance(value, Mapping) else value
    return value if isinstance(value, str) else None


def _results(entry: Mapping[str, Any]) -> Results:
    """Return the results by detector, leaving out detectors without any, as older reports name them."""
    results = mapping(entry.get("detector_results"))
    lists = {str(name): values for name, values in results.items() if isinstance(values, list) and values}
    return {name: tuple(number_or_none(value) for value in values) for name, values in lists.items()}


def _safety(results: Results, threshold: float, detector: str | None = None) -> float | None:
    """Return the attempt's score in [0, 1], where 1 is safe: the lowest pass rate of all detectors (or of one). [ours]

    A detector's pass rate is the share of judged outputs that pass; None if no output could be judged.
    """
    rates = []
    for name, of_detector in results.items():
        judged = [result for result in of_detector if result is not None]
        if judged and detector in (None, name):
            rates.append(sum(result < threshold for result in judged) / len(judged))
    return min(rates, default=None)


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Yield the evaluated attempts of one probe family as items, then the report.

    Raises
    ------
    UserError
        If ``metric`` is neither a detector of these attempts nor ``none``.
    """
    report, tally = _Report.read(part.files[0], part.details["family"]), Tally(part)
    tally.records = len(report.attempts) + len(report.again) + len(report.open)
    for where in report.again:
        yield tally.drop(where, Reason("attempt_again", "repeats an earlier attempt"))
    for attempt in report.attempts.values():
        if isinstance(attempt.messages, Reason):
            yield tally.drop(attempt.where, attempt.messages)
    for where, status in report.open.values():
        unknown = Reason("unknown_status", f"its status is {shorten(repr(status), 40)}, unknown")
        yield tally.drop(where, _OPEN.get(status, unknown))
    attempts = {uuid: attempt for uuid, attempt in report.attempts.items() if not isinstance(attempt.messages, Reason)}
    detectors = dict.fromkeys(name for attempt in attempts.values() for name in attempt.results)
    if source.metric not in (None, NONE) and source.metric not in detectors:
        raise no_such(f"no attempt of {report.family!r} has results of the detector", source.metric, detectors)
    tally.available = {"metric": tuple(detectors)} if detectors else {}
    tally.metric = source.metric or (ALL_DETECTORS if len(detectors) > 1 else next(iter(detectors), None))
    threshold, used = report.threshold, Counter[str]()
    for uuid, attempt in attempts.items():
        seq = attempt.entry.get("seq")
        name = f"{attempt.probe}:{seq if isinstance(seq, int) and seq >= 0 else attempt.entry.get('uuid')}"
        used[name] += 1
        score = _safety(attempt.results, threshold, source.metric)
        tally.unscored_because(Reason("nothing_judged", "no output could be judged") if score is None else None)
        identity = {"threshold": threshold, "metric": tally.metric, "tags": report.tags.get(attempt.probe)}
        yield tally.item(_item(attempt, name if used[name] == 1 else f"{name}:{uuid}", score, identity), OWN_TEXT)
    _warn(report, tally, list(attempts.values()), threshold)
    yield tally.report()


def _item(attempt: _Attempt, id: str, score: float | None, identity: dict[str, Any]) -> Item:
    """Return an attempt as an item with this score."""
    entry, messages = attempt.entry, attempt.messages
    assert not isinstance(messages, Reason)
    outputs, seq = sequence(entry.get("outputs")), entry.get("seq")
    return LoggedPrompt(messages[-1]["content"], messages, None, None, OWN_TEXT).item(
        id,
        group=attempt.probe.split(".", 1)[-1],
        score=score,
        response=next((text for text in map(_text, outputs) if text is not None), None),
        identity={
            "tool": "garak",
            "probe": attempt.probe,
            "attempt": str(entry.get("uuid")),
            "seq": seq if isinstance(seq, int) and seq >= 0 else None,
            "goal": entry.get("goal"),
            "intent": entry.get("intent"),
            "detectors": {detector: list(results) for detector, results in attempt.results.items()},
            "outputs": len(outputs),
            **identity,
        },
    )


def _warn(report: _Report, tally: Tally, attempts: list[_Attempt], threshold: float) -> None:
    """Add the report's warnings: no results, an unfinished report, the threshold, differing counts."""
    if not tally.available and any(attempt.entry.get("detector_results") for attempt in attempts):
        text = "this report names its detectors but has no results per attempt, so no item has a score"
        tally.warn("detectors_named_only", text)
    for note, count in Counter(note for attempt in attempts for note in attempt.notes).items():
        tally.warn(note, f"{plural(count, 'attempt')} {_NOTES[note]}", count)
    if report.unreadable:
        where, fault = report.unreadable[0]
        count = len(report.unreadable)
        text = f"{plural(count, 'line')} of the report unusable (in any family); first: {where}, {fault}"
        tally.warn("unusable_lines", text, count)
    if not report.complete:
        tally.warn("report_no_end", "the report is incomplete: garak was stopped or is still running")
    if threshold != DEFAULT_THRESHOLD:
        how = "" if report.stated is not None else " (inferred from garak's counts, since the report does not state it)"
        text = f"a result below {threshold:.4g} passes{how}; garak's default is {DEFAULT_THRESHOLD}"
        tally.warn("threshold_inferred" if report.stated is None else "threshold", text, threshold, DEFAULT_THRESHOLD)
    for (probe, detector), (fine, judged, *ours) in report.other_counts(threshold):
        text = (
            f"{probe} with {detector}: garak counts {fine} of {judged} outputs as passed; among the attempts read it is"
        )
        tally.warn("other_counts", f"{text} {ours[0]} of {ours[1]}", fine, judged, *ours)


LOG = Reader("garak: *.report.jsonl", find, read)
