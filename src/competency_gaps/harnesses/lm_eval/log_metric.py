"""Choose the metric of a logged task that is an item's score."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.errors import UserError, nearest
from competency_gaps.harnesses.lm_eval.log_files import Task
from competency_gaps.harnesses.shared.lines import log_lines
from competency_gaps.harnesses.shared.part import NONE
from competency_gaps.text import shorten

_HEAD = 200
"""Records that are read to choose a metric."""


class LoggedMetric(NamedTuple):
    """The metric that is the score, and the others that could be."""

    name: str | None
    """None: the items are used without scores."""
    available: tuple[str, ...]


def choose_metric(file: Path, task: Task, wanted: str | None) -> LoggedMetric:
    """The requested metric, else the task's first that can be a score.

    Raises
    ------
    UserError
        If the metric is not there, is a list, or lower is better; or if no metric is a score.
    """
    faults = _faults(file, task)
    usable = tuple(name for name, fault in faults.items() if fault is None)
    if wanted == NONE and NONE not in faults:
        return LoggedMetric(None, usable)
    others = (
        f"Choose {', '.join(usable)}" if usable else f"No metric of this task is a score; give {NONE!r} as 'metric'"
    )
    if wanted is not None:
        if wanted not in faults:
            known = ", ".join(faults) or "none"
            raise UserError(f"{file.name} has no metric {wanted!r}; there are {known}.{nearest(wanted, faults)}")
        if faults[wanted] is not None:
            raise UserError(f"{file.name}: the metric {wanted!r} {faults[wanted]}. {others}.")
        return LoggedMetric(wanted, usable)
    if not usable:
        reasons = "; ".join(f"{name} {fault}" for name, fault in faults.items()) or "there is none"
        raise UserError(
            f"{file.name}: no metric can be an item's score ({reasons}). "
            f"Give {NONE!r} as the metric to use the items without scores. To leave this task out of a "
            "folder, name the files of the others, each as NAME=PATH."
        )
    return LoggedMetric(usable[0], usable)


def _faults(file: Path, task: Task) -> dict[str, str | None]:
    """Every metric, in the order of the task's configuration, with why it cannot be a score (None: it can)."""
    values: dict[str, list[Any]] = {}
    for line in itertools.islice(log_lines(file), _HEAD):
        names = line.value.get("metrics")
        for name in names if isinstance(names, list) else ():
            values.setdefault(str(name), []).append(line.value.get(str(name)))
    listed = task.config.get("metric_list")
    order = (
        [str(metric.get("metric")) for metric in listed if isinstance(metric, dict)] if isinstance(listed, list) else []
    )
    names = [name for name in order if name in values] + [name for name in values if name not in order]
    return {name: _fault(values[name], task.higher_is_better.get(name)) for name in names}


def _fault(values: list[Any], higher_is_better: Any) -> str | None:
    if higher_is_better is False:
        return "is better where it is lower, so it is no score"
    for value in values:
        if value is None or value != value:
            continue
        if not isinstance(value, (bool, int, float)):
            kind = "a list" if isinstance(value, list) else f"a {type(value).__name__}"
            return f"is {kind} per item, which lm-eval aggregates over all items"
        if not 0 <= value <= 1:
            number = f"{value:g}" if isinstance(value, float) else shorten(str(value), 40)
            return f"is {number} in one item, outside [0, 1]"
    if all(value is None or value != value for value in values):
        return f"is null or NaN in the first {len(values)} items"
    return None
