"""What probes and judges said of a run, and figures of whole benchmarks; redacted, without what may quote a text."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.records.run import Probe
from competency_gaps.report import judged
from competency_gaps.text import shorten, visible

FIGURES = ("arena", "bbq", "faithful", "judge", "pair", "refusal")
"""Policies whose figures are told in this package's own words and numbers."""
_LABEL_LIMIT = 80
"""Of a label in a probe's sentence (``probes/sentence.py``)."""
# What a pair's direction is called comes from the data.
_DIRECTIONS = re.compile(r"(?<=\(50%: no bias\); ).*; (?=[0-9,]+ neutral$)", re.DOTALL)


def probes(context: Context) -> list[Probe]:
    """Outcomes of probed concepts, the newest probe first; a damaged file is passed over.

    Redacted, without the labels that the concepts had when they were probed.
    """
    files = (context.run.path / "probes").glob("*/verdicts.json")
    found: list[Probe] = []
    for file in sorted(files, key=lambda file: -file.stat().st_mtime):
        rows = _read(file)
        found += [_unlabelled(row) for row in rows] if context.redact else rows
    return found


def _read(file: Path) -> list[Probe]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))["concepts"]
        return [Probe(**{field.name: row[field.name] for field in fields(Probe)}) for row in rows]
    except (ValueError, KeyError, TypeError, OSError):
        return []


def _unlabelled(probe: Probe) -> Probe:
    sentence, who = str(probe.sentence), f"Concept {probe.concept}"
    if probe.label:
        sentence = sentence.replace(f"{who} ({shorten(visible(str(probe.label)), _LABEL_LIMIT)})", who, 1)
    return replace(probe, label=None, sentence=sentence)


def figures(context: Context, name: str) -> list[str]:
    """Results of a whole benchmark and what became of its judged items, a line each.

    Redacted, without the names of judges and classifiers, the options of policies and the names of kinds of pairs.
    """
    manifest = context.manifest
    if not context.redact:
        return judged.benchmark_lines(manifest, name)
    judging = manifest.get("judging")
    if judging:
        who = "a model" if judging["judge"] else None
        judging = {**judging, "judge": who, "classifiers": ["a classifier"] if judging["classifiers"] else []}
    own = [_told(entry.get("figures") or {}) for entry in manifest["benchmarks"] if entry["name"] == name]
    return judged.benchmark_lines(
        {"judging": judging, "benchmarks": [{"name": name, "figures": one} for figures in own for one in figures]}, name
    )


def _told(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Figures by policy, one at a time: without their options two policies may have one name."""
    told = []
    for called, one in found.items():
        policy = called.split(" (", 1)[0]
        if policy in FIGURES:
            told.append({policy: {"summary": [_DIRECTIONS.sub("", str(line)) for line in one.get("summary", ())]}})
    return told
