"""Choose the metric and filter of an lm-evaluation-harness task that give an item's score."""

from __future__ import annotations

import math
import numbers
from typing import Any, NamedTuple

from competency_gaps.config import TaskSource
from competency_gaps.errors import UserError, nearest

_OF_ALL = frozenset(
    {"f1", "mcc", "brier_score", "likelihood", "bleu", "chrf", "chrf++", "ter", "perplexity", "word_perplexity"}
    | {"byte_perplexity", "bits_per_byte", "acc_all", "bypass"}
)
"""The harness's metrics that are defined only over all items, unless the task takes their mean (as DROP does with its
own ``f1``): per item, they are no number in [0, 1]."""


class TaskMetric(NamedTuple):
    """The metric and filter that give the score, and all that there are."""

    metric: str
    filter: str
    metrics: tuple[str, ...]
    filters: tuple[str, ...]


def choose_metric(task: Any, source: TaskSource, where: str) -> TaskMetric:
    """The requested metric and filter, else the first metric that is a score per item, and the first filter.

    Raises
    ------
    UserError
        If there is no such metric or filter, or the metric is no score per item, or lower is better.
    """
    metrics = tuple(dict.fromkeys(str(name) for name in task.aggregation()))
    filters = tuple(ensemble.name for ensemble in task._filters)
    better = task.higher_is_better()
    if source.scorer is not None:
        raise UserError(f"{where}: 'scorer' is for Inspect. Choose with 'metric' and 'filter'.")
    if source.filter is not None and source.filter not in filters:
        raise UserError(
            f"{where} has no filter {source.filter!r}; it has {', '.join(filters)}.{nearest(source.filter, filters)}"
        )
    whole = _of_all(task)
    fit = [name for name in metrics if name not in whole and better.get(name) is not False]
    asked = source.metric
    if asked is not None:
        # A task's own function may give metrics that its configuration does not list: these are accepted.
        if asked not in metrics and not callable(task.get_config("process_results")):
            raise UserError(f"{where} has no metric {asked!r}; it has {', '.join(metrics)}.{nearest(asked, metrics)}")
        if better.get(asked) is False:
            raise UserError(f"{where}: of the metric {asked!r} less is better. Choose one of {_listed(fit)}.")
        if asked in whole:
            raise UserError(f"{where}: the metric {asked!r} has no value per item. Choose one of {_listed(fit)}.")
    elif not fit:
        raise UserError(
            f"{where} has no metric that scores each item in [0, 1]; it has {', '.join(metrics) or 'none'}. "
            "Choose another task."
        )
    return TaskMetric(asked or fit[0], source.filter or filters[0], metrics, filters)


def _of_all(task: Any) -> frozenset[str]:
    """The metrics of a task that are defined only over all of its items."""
    from lm_eval.api.registry import get_aggregation

    mean = get_aggregation("mean")
    return _OF_ALL - {str(name) for name, function in task.aggregation().items() if function is mean}


def scalar(value: Any) -> float | None:
    """A metric's value of one item as a number; None if it is no finite number (a list, a pair)."""
    if isinstance(value, numbers.Real) or type(value).__name__ == "bool_":
        number = float(value)
        return number if math.isfinite(number) else None
    return None


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "another task's: this one has none"
