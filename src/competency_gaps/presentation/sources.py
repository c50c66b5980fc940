"""Warnings about other tools' logs and tasks, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from competency_gaps.items.remark import Remark
from competency_gaps.text import integer, plural, shorten, visible

_LIMIT = 600
_OTHER_WEIGHTS = ("other_model", "other_revision")


@dataclass(frozen=True)
class SourceWarning:
    """One warning about what a benchmark was read from."""

    benchmark: str
    text: str
    bad: bool
    """The log seems to be of another model, so that the benchmark's scores and concepts may not belong together."""


def source_warnings(manifest: Mapping[str, Any]) -> list[SourceWarning]:
    """Gather the warnings that were kept of logs and tasks, each once, benchmark after benchmark.

    Parameters
    ----------
    manifest : mapping
        Of the run; one whose benchmarks have no ``source`` gives none.
    """
    by_text: dict[tuple[str, str], SourceWarning] = {}
    for benchmark in manifest["benchmarks"]:
        name = str(benchmark["name"])
        for report in benchmark.get("source") or ():
            remarks = [Remark.of(warning) for warning in report["warnings"]]
            lines = [(str(remark), remark.code in _OTHER_WEIGHTS) for remark in remarks]
            for entry in report["unscored_because"]:
                reason = Remark.of(entry["reason"])
                lines.append((f"{plural(entry['count'], 'record')} without a score: {reason}", False))
            for line, bad in lines:
                text = shorten(visible(line), _LIMIT)
                by_text[name, text] = SourceWarning(name, text, bad)
    return list(by_text.values())


def unread(left_out: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Records from which no item could be made, grouped by reason: places, and the reason."""
    places: dict[Remark, list[str | None]] = {}
    for entry in left_out:
        places.setdefault(Remark.of(entry["reason"]), []).append(entry["where"])
    return [(_places(where), shorten(str(reason), _LIMIT)) for reason, where in places.items()]


def _places(where: list[str | None]) -> str:
    """The first place and the number of places; only their number if places are withheld."""
    first = where[0]
    if first is None:
        return plural(len(where), "record")
    return shorten(first, 200) if len(where) == 1 else f"{integer(len(where))} records: {shorten(first, 200)} …"
