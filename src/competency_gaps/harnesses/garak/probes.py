"""The probes of a garak report as a list of weaknesses, each with the mean safety of its attempts as its score.

Families of several probes are entries too: many a probe has but a prompt or two, too few to be compared by examples.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from competency_gaps.harnesses.garak.attempt import (
    DEFAULT_THRESHOLD,
    EVALUATED,
    DetectorResults,
    attempt_of,
    model_of,
    number_or_none,
    probe_of,
    results_of,
    safety,
)
from competency_gaps.harnesses.shared.files import log_lines, mapping, mean_score, sequence
from competency_gaps.items.remark import Remark
from competency_gaps.matching.records import Raw

MOST_EXAMPLES = 300
"""Most prompts of an entry that are its examples; of more, a sample is drawn by a hash."""
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+")
"""Where a name such as ``MarkdownXSS`` or ``web_injection`` is split into words."""


@dataclass
class _Report:
    """What is gathered while a report is read."""

    known: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Probe -> what the plug-in cache says of it."""
    attempts: dict[str, tuple[str, DetectorResults, str | Remark]] = field(default_factory=dict)
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
            prompt = attempt if isinstance(attempt, Remark) else attempt.messages[-1]["content"]
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
    :func:`~competency_gaps.harnesses.garak.attempt.safety`, in [0, 1], where 1 is safe. Attempts without a judged
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
    reasons = Counter(str(prompt) for _, _, prompt in report.attempts.values() if isinstance(prompt, Remark))
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
