"""Results of other evaluation tools: their logs read into items with scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from competency_gaps.config import LogSource
    from competency_gaps.logs.part import LogEntry


def read_log(source: LogSource) -> Iterator[LogEntry]:
    """The entries of a log; see ``logs.read.read_log``."""
    from competency_gaps.logs import read

    return read.read_log(source)


# The benchmarks' loader needs the function above, and what follows needs the benchmarks' items.
from competency_gaps.logs.detect import FORMATS, find_parts  # noqa: E402

__all__ = ["FORMATS", "find_parts", "read_log"]
