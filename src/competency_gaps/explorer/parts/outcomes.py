"""What probes and judges said of a run, and figures of whole benchmarks; redacted, without what may quote a text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.records.run import Probe
from competency_gaps.items.remark import Remark
from competency_gaps.probes.sentence import sentence
from competency_gaps.report import judged


def probes(context: Context) -> list[Probe]:
    """Outcomes of probed concepts, the newest probe first; a damaged file is passed over.

    Redacted, without the labels that the concepts had when they were probed.
    """
    files = (context.run.path / "probes").glob("*/verdicts.json")
    return [
        probe
        for file in sorted(files, key=lambda file: -file.stat().st_mtime)
        for probe in _read(file, labelled=not context.redact)
    ]


def _read(file: Path, *, labelled: bool) -> list[Probe]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))["concepts"]
        return [
            Probe(row["concept"], row["label"] if labelled else None, row["claim"], row["verdict"], sentence(row))
            for row in rows
        ]
    except (ValueError, KeyError, TypeError, OSError):
        return []


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
    own = [_bare(entry.get("figures") or {}) for entry in manifest["benchmarks"] if entry["name"] == name]
    return judged.benchmark_lines(
        {"judging": judging, "benchmarks": [{"name": name, "figures": one} for figures in own for one in figures]}, name
    )


def _bare(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Figures by policy, one at a time: without their options two policies may have one name."""
    return [
        {one["policy"]: {"summary": [Remark.of(remark).withheld().as_dict() for remark in one["summary"]]}}
        for one in found.values()
    ]
