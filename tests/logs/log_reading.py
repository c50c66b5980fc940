"""Reading a log in tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.items.config import LogSource
from competency_gaps.items.item import Counted, Item, LeftOut, Reason, SourceReport
from competency_gaps.logs.find import read_log


class Log(NamedTuple):
    items: list[Item]
    left_out: list[LeftOut]
    report: SourceReport

    @property
    def mean(self) -> float:
        scores = [item.score for item in self.items if item.score is not None]
        return sum(scores) / len(scores)


def read(path: Path, **choices: Any) -> Log:
    entries = list(read_log(LogSource(path=path, **choices)))
    (report,) = [one for one in entries if isinstance(one, SourceReport)]
    items = [one for one in entries if isinstance(one, Item)]
    left_out = [one for one in entries if isinstance(one, LeftOut)]
    assert (report.items, report.unscored) == (len(items), sum(item.score is None for item in items))
    made_of = report.items - report.averaged_items + report.averaged
    assert report.records == made_of + sum(one.count for one in report.left_out)
    return Log(items, left_out, report)


def counts(counted: Iterable[Counted]) -> dict[str, int]:
    """Codes of reasons -> how many records have them."""
    return {one.reason.code: one.count for one in counted}


def codes(reasons: Iterable[Reason]) -> set[tuple[str, tuple[float, ...]]]:
    """Codes of reasons with their numbers; their words are no matter of tests."""
    return {(reason.code, reason.numbers) for reason in reasons}


def read_by(model: Path, sae: Path) -> list[str]:
    """Options of ``cgaps run`` for the tiny model and its SAE, which was made for other texts."""
    return ["--model", str(model), "--sae", str(sae), "--set", "sae.force=true", "--set", "model.dtype=float32"]
