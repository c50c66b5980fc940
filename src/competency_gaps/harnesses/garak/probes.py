"""The probes of a garak report as a list of weaknesses, each with the mean safety of its attempts as its score."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from competency_gaps.harnesses.garak.attempt import (
    DEFAULT_THRESHOLD,
    EVALUATED,
    DetectorResults,
    probe_of,
    results_of,
    safety,
)
from competency_gaps.harnesses.shared.files import log_lines, mapping, mean_score, sequence
from competency_gaps.matching.records import Raw

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+")
"""Where a name such as ``MarkdownXSS`` or ``web_injection`` is split into words."""


def read_probes(path: Path, prefix: str = "") -> tuple[list[Raw], list[str]]:
    """Read one record per probe.

    The description is that of the report's plug-in cache, else the probe's name in words. ``score`` is the mean over
    the probe's attempts of :func:`~competency_gaps.harnesses.garak.attempt.safety`, in [0, 1], where 1 is safe.
    Attempts without a judged output are unscored.

    Parameters
    ----------
    prefix
        Prefix of the ids, so that a probe in two reports has two ids.

    Returns
    -------
    tuple
        Records, unreadable lines with their reason included, and notes on the report.
    """
    known: dict[str, Mapping[str, Any]] = {}
    attempts: dict[str, tuple[str, DetectorResults]] = {}
    unreadable = []
    threshold = DEFAULT_THRESHOLD
    for line in log_lines(path):
        entry, kind = line.value, line.value.get("entry_type")
        if line.fault is not None:
            unreadable.append(Raw(str(path.parent / line.where), None, str(line.fault)))
        elif kind == "start_run setup" and isinstance(entry.get("run.eval_threshold"), (int, float)):
            threshold = float(entry["run.eval_threshold"])
        elif kind == "plugin_cache":
            probes = mapping(mapping(entry.get("plugin_cache")).get("probes"))
            known |= {name.removeprefix("probes."): mapping(about) for name, about in probes.items()}
        elif kind == "attempt" and entry.get("status") == EVALUATED:
            results = results_of(entry.get("detector_results"))
            attempts[str(entry.get("uuid") or line.where)] = (probe_of(entry), results)
    scores: dict[str, list[float | None]] = {name: [] for name in known}
    for probe, results in attempts.values():
        scores.setdefault(probe, []).append(safety(results, threshold, None))
    records = [_record(path, prefix, name, own, known.get(name, {})) for name, own in scores.items()]
    notes = []
    if not attempts:
        notes.append(f"{path}: no attempt is complete (status {EVALUATED}), so its probes have no scores.")
    elif all(score is None for own in scores.values() for score in own):
        notes.append(f"{path}: the attempts of older reports have no results, so its probes have no scores.")
    return records + unreadable, notes


def _record(path: Path, prefix: str, name: str, scores: Sequence[float | None], known: Mapping[str, Any]) -> Raw:
    family, _, short = name.rpartition(".")
    in_words = " ".join(_HUMP.sub(" ", part) for part in (short, f"({family})" if family else "") if part)
    description = known.get("description")
    values: dict[str, Any] = {
        "id": f"{prefix}:{name}" if prefix else name,
        "description": description if isinstance(description, str) and description.strip() else in_words,
        "domain": "garak",
        "category": family or None,
        "score": mean_score(scores),
        "framework": "garak",
        "tags": [str(tag) for tag in sequence(known.get("tags"))],
        "goal": known.get("goal"),
        "n_attempts": len(scores),
        "n_scored": sum(score is not None for score in scores),
    }
    return Raw(f"{path}, probe {name!r}", values)
