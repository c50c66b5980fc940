"""What probes said of a run."""

from __future__ import annotations

import json
from pathlib import Path

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.records.run import Probe
from competency_gaps.probes.sentence import sentence
from competency_gaps.runs.open import RunFolder


def probes(context: Context) -> list[Probe]:
    """Outcomes of probed concepts, the newest probe first; a damaged file is passed over."""
    files = (context.run.path / "probes").glob("*/verdicts.json")
    newest = sorted(files, key=lambda file: -file.stat().st_mtime)
    return [probe for file in newest for probe in _read(context.run, file)]


def _read(run: RunFolder, file: Path) -> list[Probe]:
    try:
        rows = json.loads(run.document(file))["concepts"]
        return [Probe(row["concept"], row["label"], row["claim"], row["verdict"], sentence(row)) for row in rows]
    except (ValueError, KeyError, TypeError, OSError):
        return []
