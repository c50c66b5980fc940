"""Tasks of other evaluation harnesses, asked of this run's model."""

from __future__ import annotations

from collections.abc import Iterator

from competency_gaps.benchmarks.item import Item, LeftOut, SourceReport
from competency_gaps.config import TaskSource
from competency_gaps.scoring.policy import Policy


def read_task(source: TaskSource) -> Iterator[Item | LeftOut | SourceReport | Policy]:
    """Read a task."""
    raise NotImplementedError
