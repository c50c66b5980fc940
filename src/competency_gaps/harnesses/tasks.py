"""Tasks of other evaluation harnesses, asked of this run's model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.config import TaskSource
    from competency_gaps.items.item import Item, LeftOut, SourceReport
    from competency_gaps.items.policy import Policy


def read_task(source: TaskSource) -> Iterator[Item | LeftOut | SourceReport | Policy]:
    """The items of a task of lm-evaluation-harness, the policy that scores them, and what was read.

    Tasks of Inspect ask the model themselves: the pipeline evaluates them first (``inspect_run.evaluated``) and reads
    their log.

    Raises
    ------
    MissingExtraError
        If the harness is not installed.
    UserError
        If there is no such task, its data cannot be reached, or it cannot be scored item by item.
    """
    if source.harness == "inspect":
        raise UserError(
            f"inspect:{source.name}: a task of Inspect asks the model itself, so it is a benchmark of its own in a run "
            "(give it as 'source', not among 'sources')."
        )
    from competency_gaps.harnesses.lm_eval.task_items import read_lm_eval

    yield from read_lm_eval(source)
