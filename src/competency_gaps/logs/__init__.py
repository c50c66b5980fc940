"""Results of other evaluation tools: their logs read into items with scores."""

from __future__ import annotations

from collections.abc import Iterator

from competency_gaps.benchmarks.item import Item, LeftOut, SourceReport
from competency_gaps.config import LogSource


def read_log(source: LogSource) -> Iterator[Item | LeftOut | SourceReport]:
    """Read a log."""
    raise NotImplementedError
