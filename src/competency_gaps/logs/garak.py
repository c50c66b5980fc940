"""Reports of garak (``*.report.jsonl``, 0.9 to 0.17): a probe family is a benchmark, its probes are the groups.

An item is an attempt that garak evaluated; its score is 1 where the model resisted and 0 where the attack succeeded.
"""

# DOC """An attempt of a garak report: what the model was asked, and its score."""
#

# DOC """The probes of a garak report as a list of weaknesses, each with the mean safety of its attempts as its score.
#
# Families of several probes are entries too: many a probe has but a prompt or two, too few to be compared by examples.
# """
#

from __future__ import annotations

import hashlib
import math
import mmap
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError, nearest
from competency_gaps.items.item import Item, LeftOut, Message, Reason
from competency_gaps.logs.prompt import ROLES, LoggedPrompt, last_user
from competency_gaps.logs.reader import (
    NONE,
    LogEntry,
    LogPart,
    Reader,
    Tally,
    files_under,
    first_object,
    log_lines,
    mapping,
    mean_score,
    newest,
    sequence,
)
from competency_gaps.matching.records import Raw
from competency_gaps.text import plural, shorten

DEFAULT_THRESHOLD = 0.5
"""garak's default ``eval_threshold``."""
EVALUATED = 2
"""Status of an attempt whose outputs were judged."""


class DetectorResults(NamedTuple):
    """Detector -> one result per output."""

    scores: dict[str, tuple[float | None, ...]]
    """0 safe .. 1 hit; None: that output could not be judged."""
    named_only: tuple[str, ...]
    """Detectors that an old report names without results."""


@dataclass(frozen=True)
class Attempt:
    """One evaluated attempt."""

    uuid: str
    probe: str
    """``family.Class``."""
    seq: int | None
    goal: str | None
    intent: str | None
    messages: tuple[Message, ...]
    """What the model was asked; the last one is the attack's."""
    outputs: int
    response: str | None
    results: DetectorResults
    notes: tuple[str, ...]
    """Codes of warnings, which are counted."""


def probe_of(entry: Mapping[str, Any]) -> str:
    """``family.Class`` of an attempt, without the prefixes that some versions add."""
    return str(entry.get("probe_classname") or "").removeprefix("garak.").removeprefix("probes.")


def model_of(setup: Mapping[str, Any]) -> str | None:
    """The model's name of a report's first entry, else its type; before 0.13.1 ``target_*`` was called ``model_*``."""
    for key in ("target_name", "model_name", "target_type", "model_type"):
        if setup.get(f"plugins.{key}"):
            return str(setup[f"plugins.{key}"])
    return None


def attempt_of(entry: Mapping[str, Any]) -> Attempt | Reason:
    """An entry with ``status`` 2 as an attempt, or why it is no item."""
    turns, notes = _turns(entry)
    if turns is None:
        return Reason("more_than_text", "the prompt holds more than text (an image, a document, a recording)")
    last = last_user(turns)
    if last is None:
        return Reason("no_user_turn", "the prompt has no user turn")
    if last + 1 < len(turns):
        notes.append("attempt_begun")
    messages = tuple(turns[: last + 1])
    if any(message["role"] not in ROLES for message in messages):
        return Reason(
            "unknown_role", "the prompt has a turn that is neither the system's, the user's nor the assistant's"
        )
    if not messages[-1]["content"].strip():
        return Reason("prompt_empty", "the prompt is empty")
    outputs = sequence(entry.get("outputs"))
    if len(outputs) > 1:
        notes.append("attempt_outputs")
    seq = entry.get("seq")
    return Attempt(
        uuid=str(entry.get("uuid")),
        probe=probe_of(entry),
        seq=seq if isinstance(seq, int) and seq >= 0 else None,
        goal=entry.get("goal"),
        intent=entry.get("intent"),
        messages=messages,
        outputs=len(outputs),
        response=next((text for text in map(_text, outputs) if text is not None), None),
        results=results_of(entry.get("detector_results")),
        notes=tuple(notes),
    )


def _turns(entry: Mapping[str, Any]) -> tuple[list[Message] | None, list[str]]:
    """The turns that the model read before its last output; None if they hold more than text."""
    prompt = _conversation(entry.get("prompt"))
    conversations = entry.get("conversations")
    if prompt is not None and isinstance(conversations, list) and conversations:
        first = _conversation(conversations[0])
        if first is None:
            return None, []
        answers = [i for i, turn in enumerate(first) if turn["role"] == "assistant"]
        # An attack in several turns writes only its first one into the prompt; the last output is what is judged.
        if answers and answers[-1] > len(prompt):
            return first[: answers[-1]], ["attempt_turns"]
    return prompt, []


def _conversation(value: Any) -> list[Message] | None:
    """Turns of a prompt as the versions write it: a text, an object with a text, turns, or a list of turns."""
    if isinstance(value, Mapping) and isinstance(value.get("turns"), list):
        value = value["turns"]
    if not isinstance(value, list):
        value = [{"role": "user", "content": value}]
    turns: list[Message] = []
    for turn in value:
        if not isinstance(turn, Mapping):
            return None
        content = turn.get("content")
        if isinstance(content, Mapping) and (content.get("data_path") or content.get("data_type")):
            return None
        turns.append({"role": str(turn.get("role")), "content": _text(content) or ""})
    return turns


def _text(value: Any) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("text")
    return value if isinstance(value, str) else None


def results_of(value: Any) -> DetectorResults:
    if isinstance(value, list):
        return DetectorResults({}, tuple(str(name) for name in value))
    if not isinstance(value, Mapping):
        return DetectorResults({}, ())
    scores = {
        str(name): tuple(number_or_none(value) for value in given)
        for name, given in value.items()
        if isinstance(given, list)
    }
    return DetectorResults(
        {name: given for name, given in scores.items() if given},
        tuple(str(name) for name in value if not scores.get(str(name))),
    )


def number_or_none(value: Any) -> float | None:
    """The value as a float, which may be infinite; None if it is no number, or beyond floats."""
    try:
        number = float(value) if isinstance(value, (bool, int, float)) else math.nan
    except OverflowError:
        return None
    return None if math.isnan(number) else number


def passed(scores: Iterable[float | None], threshold: float) -> tuple[int, int]:
    """Outputs that pass a detector, and outputs that it judged; garak passes a result below the threshold."""
    judged = [score for score in scores if score is not None]
    return sum(score < threshold for score in judged), len(judged)


def safety(results: DetectorResults, threshold: float, detector: str | None) -> float | None:
    """The attempt's score in [0, 1], where 1 is safe.

    Per detector the share of judged outputs that pass, then the lowest of the detectors [ours].

    Parameters
    ----------
    detector
        Use this one only; None: all.

    Returns
    -------
    float or None
        None where no output could be judged.
    """
    shares = [
        fine / judged
        for name, scores in results.scores.items()
        if detector in (None, name)
        for fine, judged in [passed(scores, threshold)]
        if judged
    ]
    return min(shares) if shares else None


def threshold_of(
    judged: Sequence[tuple[str, DetectorResults]], counts: Mapping[tuple[str, str], tuple[int, int]]
) -> float | None:
    """A threshold that gives exactly the passes that garak counted.

    garak omits a fractional ``eval_threshold`` from its report, so it is inferred from the results: with ``p`` passes
    among the sorted results ``s`` of one probe and detector, it lies in (s[p-1], s[p]].

    Parameters
    ----------
    judged
        Probe and results of every evaluated attempt.
    counts
        (probe, detector) -> passes and judged outputs that garak counted.

    Returns
    -------
    float or None
        0.5 if that fits; None if none does.
    """
    low, high = -math.inf, math.inf
    for (probe, detector), (fine, total) in counts.items():
        scores = sorted(
            score
            for name, results in judged
            if name == probe
            for score in results.scores.get(detector, ())
            if score is not None
        )
        if len(scores) != total or not 0 <= fine <= total:
            return None
        if fine > 0:
            low = max(low, scores[fine - 1])
        if fine < total:
            high = min(high, scores[fine])
    if low < DEFAULT_THRESHOLD <= high:
        return DEFAULT_THRESHOLD
    return None if low >= high else (high if math.isfinite(high) else math.nextafter(low, math.inf))


def recount(judged: Iterable[tuple[str, DetectorResults]], threshold: float) -> dict[tuple[str, str], tuple[int, int]]:
    """(probe, detector) -> passes and judged outputs."""
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for probe, results in judged:
        for detector, scores in results.scores.items():
            before, more = counts.get((probe, detector), (0, 0)), passed(scores, threshold)
            counts[probe, detector] = (before[0] + more[0], before[1] + more[1])
    return counts


ALL_DETECTORS = "lowest of all detectors"
OWN_TEXT = "the attack's last turn"

# In JSON a quotation mark inside a string is escaped, so this matches only an attempt's own field.
_PROBE = re.compile(rb'"probe_classname":\s*"(?:garak\.)?(?:probes\.)?(\w+)\.(\w+)"')
_HITLOG = ".hitlog.jsonl"
_OPEN = {
    0: Reason("not_answered", "begun but not answered (the run was stopped)"),
    1: Reason("not_evaluated", "begun but not evaluated (the run was stopped)"),
}


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
        unknown = Reason("unknown_status", f"its status is {shorten(repr(status), 40)}, unknown")
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
    unreadable: list[tuple[str, Reason]] = field(default_factory=list)
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

    def add(self, entry: dict[str, Any], where: str) -> Reason | None:
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

    def _attempt(self, entry: dict[str, Any], where: str) -> Reason | None:
        probe, uuid = probe_of(entry), str(entry.get("uuid") or where)
        if not probe:
            self.unreadable.append((where, Reason("no_probe", "the attempt names no probe")))
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
            return Reason("attempt_again", "the same attempt occurred before")
        self.judged[uuid] = (probe, results_of(entry.get("detector_results")))
        attempt = attempt_of(entry)
        if isinstance(attempt, Reason):
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
                self.tally.unscored_because(Reason("nothing_judged", "no output could be judged"))
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
            tally.warn(
                "detectors_named_only",
                "this report names its detectors but holds no results for each attempt: no item has a score",
            )
        for note, count in Counter(note for attempt in attempts for note in attempt.notes).items():
            tally.warn(note, f"{plural(count, 'attempt')} {_NOTES[note]}", count)
        if self.unreadable:
            where, fault = self.unreadable[0]
            count = len(self.unreadable)
            lines = f"{plural(count, 'line')} of the report cannot be used, of whatever family; first: {where}, {fault}"
            tally.warn("unusable_lines", lines, count)
        if not self.complete:
            tally.warn("report_no_end", "the report has no end: garak was stopped, or is still running")
        if self.threshold != DEFAULT_THRESHOLD:
            code, how = (
                ("threshold", "")
                if self.has_threshold
                else ("threshold_inferred", " (read off garak's counts, since the report does not say it)")
            )
            text = f"a result below {self.threshold:.4g} passes{how}; garak's default is {DEFAULT_THRESHOLD}"
            tally.warn(code, text, self.threshold, DEFAULT_THRESHOLD)
        self._compare()
        return tally.report()

    def _compare(self) -> None:
        """Warn where garak's counts differ from those of the attempts that were read."""
        ours = recount(self.judged.values(), self.threshold)
        for key, (fine, judged) in self.counts.items():
            if key in ours and ours[key] != (fine, judged):
                own_fine, own_judged = ours[key]
                self.tally.warn(
                    "other_counts",
                    f"{key[0]} with {key[1]}: garak counts {fine} of {judged} outputs as passed; of the attempts read "
                    f"it is {own_fine} of {own_judged}",
                    *(fine, judged, own_fine, own_judged),
                )


def _digest_tags(entry: dict[str, Any]) -> dict[str, Any]:
    """Probe -> tags, from the digest at a report's end."""
    return {
        probe: mapping(mapping(results).get("_summary")).get("probe_tags")
        for group in mapping(entry.get("eval")).values()
        for probe, results in mapping(group).items()
    }


LOG = Reader("garak: *.report.jsonl", find, read)


MOST_EXAMPLES = 300
"""Most prompts of an entry that are its examples; of more, a sample is drawn by a hash."""
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+")
"""Where a name such as ``MarkdownXSS`` or ``web_injection`` is split into words."""


@dataclass
class _Report:
    """What is gathered while a report is read."""

    known: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Probe -> what the plug-in cache says of it."""
    attempts: dict[str, tuple[str, DetectorResults, str | Reason]] = field(default_factory=dict)
    """Evaluated attempt -> its probe, results, and the attack's last turn, or why it has none."""
    unreadable: list[Raw] = field(default_factory=list)
    threshold: float = DEFAULT_THRESHOLD
    model: str | None = None

    def add(self, entry: Mapping[str, Any], where: str) -> None:
        """Take in one line."""
        kind = entry.get("entry_type")
        if kind == "start_run setup":
            self.model = model_of(entry)
            if (threshold := number_or_none(entry.get("run.eval_threshold"))) is not None:
                self.threshold = threshold
        elif kind == "plugin_cache":
            probes = mapping(mapping(entry.get("plugin_cache")).get("probes"))
            self.known |= {name.removeprefix("probes."): mapping(about) for name, about in probes.items()}
        elif kind == "attempt" and entry.get("status") == EVALUATED:
            attempt = attempt_of(entry)
            prompt = attempt if isinstance(attempt, Reason) else attempt.messages[-1]["content"]
            results = results_of(entry.get("detector_results"))
            self.attempts[str(entry.get("uuid") or where)] = (probe_of(entry), results, prompt)


@dataclass
class _Entry:
    """A probe, or a family."""

    scores: list[float | None] = field(default_factory=list)
    prompts: dict[str, None] = field(default_factory=dict)
    """Different ones, in the report's order."""


def read_probes(path: Path, prefix: str = "") -> tuple[list[Raw], list[str]]:
    """Read one record per probe, and one per family with attempts of several probes.

    The description is that of the report's plug-in cache, else the probe's name in words; a family's is its name and
    its probes' in words. ``score`` is the mean over the attempts of
    :func:`safety`, in [0, 1], where 1 is safe. Attempts without a judged
    output are unscored. ``examples`` are the different prompts of the attempts (the last turn of each, at most
    ``MOST_EXAMPLES``). All records are of one domain, so that a probe's prompts are compared with those of all other
    attacks on the report's model. ``level`` is ``probe`` or ``family``.

    Parameters
    ----------
    prefix
        Prefix of the ids, so that a probe in two reports has two ids.

    Returns
    -------
    tuple
        Records, unreadable lines with their reason included, and notes on the report.
    """
    report = _Report()
    for line in log_lines(path):
        if line.fault is not None:
            report.unreadable.append(Raw(str(path.parent / line.where), None, str(line.fault)))
        else:
            report.add(line.value, line.where)
    probes: dict[str, _Entry] = {name: _Entry() for name in report.known}
    families: dict[str, _Entry] = {}
    members: dict[str, dict[str, None]] = {}
    for probe, results, prompt in report.attempts.values():
        family = _family(probe)
        members.setdefault(family, {})[probe] = None
        for entry in (probes.setdefault(probe, _Entry()), families.setdefault(family, _Entry())):
            entry.scores.append(safety(results, report.threshold, None))
            if isinstance(prompt, str):
                entry.prompts[prompt] = None
    records = [_probe_record(path, prefix, name, own, report) for name, own in probes.items()]
    several = {name: own for name, own in families.items() if name and len(members[name]) > 1}
    records += [_family_record(path, prefix, name, own, list(members[name]), report) for name, own in several.items()]
    return records + report.unreadable, _notes(path, report, {**probes, **several})


def _notes(path: Path, report: _Report, entries: Mapping[str, _Entry]) -> list[str]:
    notes = []
    if not report.attempts:
        notes.append(f"{path}: no attempt is complete (status {EVALUATED}), so its probes have no scores.")
    elif all(score is None for own in entries.values() for score in own.scores):
        notes.append(f"{path}: the attempts of older reports have no results, so its probes have no scores.")
    reasons = Counter(str(prompt) for _, _, prompt in report.attempts.values() if isinstance(prompt, Reason))
    notes += [f"{path}: {count:,} attempts give no example: {reason}" for reason, count in reasons.items()]
    large = [(name, len(own.prompts)) for name, own in entries.items() if len(own.prompts) > MOST_EXAMPLES]
    if large:
        named = ", ".join(f"{name} {count:,}" for name, count in large[:5])
        notes.append(
            f"{path}: {len(large):,} of its probes and families have more than {MOST_EXAMPLES} different prompts "
            f"({named}{', ...' if len(large) > 5 else ''}); of each a sample of {MOST_EXAMPLES} is its examples."
        )
    return notes


def _probe_record(path: Path, prefix: str, name: str, entry: _Entry, report: _Report) -> Raw:
    known, family, short = report.known.get(name, {}), _family(name), name.rpartition(".")[2]
    in_words = f"{_words(short)} ({_words(family)})" if family else _words(short)
    description = known.get("description")
    described = description if isinstance(description, str) and description.strip() else in_words
    values = {"level": "probe", "goal": known.get("goal"), **_common(entry, family, [name], report)}
    return _record(path, prefix, name, "probe", described, values)


def _family_record(path: Path, prefix: str, name: str, entry: _Entry, probes: Sequence[str], report: _Report) -> Raw:
    described = f"{_words(name)}: {', '.join(_words(probe.rpartition('.')[2]) for probe in probes)}"
    values = {"level": "family", "probes": list(probes), **_common(entry, name, probes, report)}
    return _record(path, prefix, name, "family", described, values)


def _record(path: Path, prefix: str, name: str, kind: str, description: str, values: dict[str, Any]) -> Raw:
    key = f"{prefix}:{name}" if prefix else name
    return Raw(f"{path}, {kind} {name!r}", {"id": key, "description": description, **values})


def _common(entry: _Entry, family: str, probes: Sequence[str], report: _Report) -> dict[str, Any]:
    """Fields of probes and families alike."""
    tags = [str(tag) for probe in probes for tag in sequence(report.known.get(probe, {}).get("tags"))]
    return {
        "domain": "garak",
        "category": family or None,
        "score": mean_score(entry.scores),
        "framework": "garak",
        "model": report.model,
        "tags": list(dict.fromkeys(tags)),
        "n_attempts": len(entry.scores),
        "n_scored": sum(score is not None for score in entry.scores),
        "n_prompts": len(entry.prompts),
        "examples": _sample(entry.prompts),
    }


def _sample(prompts: Iterable[str]) -> list[str]:
    """At most ``MOST_EXAMPLES`` of different prompts, in their order: those with the smallest hashes."""
    given = list(prompts)

    def digest(text: str) -> bytes:
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

    kept = set(sorted(given, key=digest)[:MOST_EXAMPLES])
    return [prompt for prompt in given if prompt in kept]


def _family(probe: str) -> str:
    return probe.rpartition(".")[0]


def _words(name: str) -> str:
    return _HUMP.sub(" ", name)


_NOTES = {
    "attempt_turns": "went on over several turns; the text is the first conversation up to the attack's last turn",
    "attempt_begun": "had text after the attack's last turn (an answer begun for the model), which is not read",
    "attempt_outputs": "had several outputs, all of them in the score; the response is the first that has a text",
}
"""What is said of attempts with a note."""
