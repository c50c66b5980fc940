"""What reading other tools' logs and tasks left in doubt, in sentences for people."""

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
    found: dict[tuple[str, str], SourceWarning] = {}
    for entry in manifest["benchmarks"]:
        name = str(entry["name"])
        for report in entry.get("source") or ():
            warnings = [Remark.of(one) for one in report["warnings"]]
            lines = [(str(one), one.code in _OTHER_WEIGHTS) for one in warnings]
            for one in report["unscored_because"]:
                lines.append((f"{plural(one['count'], 'record')} without a score: {Remark.of(one['reason'])}", False))
            for line, bad in lines:
                text = shorten(visible(line), _LIMIT)
                found[name, text] = SourceWarning(name, text, bad)
    return list(found.values())


def unread(left_out: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Records that became no item, a line for each reason: where, and the reason."""
    places: dict[Remark, list[str | None]] = {}
    for one in left_out:
        places.setdefault(Remark.of(one["reason"]), []).append(one["where"])
    return [(_places(where), shorten(str(reason), _LIMIT)) for reason, where in places.items()]


def _places(where: list[str | None]) -> str:
    """The first of some places, and how many there are; their number alone where places are withheld."""
    first = where[0]
    if first is None:
        return plural(len(where), "record")
    return shorten(first, 200) if len(where) == 1 else f"{integer(len(where))} records: {shorten(first, 200)} …"
