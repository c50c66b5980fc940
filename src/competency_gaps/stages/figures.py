"""Results of whole benchmarks that their policies add to the mean score."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import polars as pl

from competency_gaps.files import finite
from competency_gaps.items.policy import Policy
from competency_gaps.model.prepare import PreparedItem
from competency_gaps.text import visible


def benchmark_figures(items: Sequence[PreparedItem], responses: pl.DataFrame) -> dict[str, Any]:
    """Figures by the policy's name; empty where no policy of the benchmark has any.

    Where several policies of a benchmark share a name, the options in which they differ stand behind it.

    Parameters
    ----------
    responses
        One row per item in order, with ``score`` and ``details``.
    """
    members: dict[Policy, list[int]] = {}
    for row, one in enumerate(items):
        # Every policy gives none by default; those that do are few.
        if one.excluded is None and type(one.policy).figures is not Policy.figures:
            members.setdefault(one.policy, []).append(row)
    scores, details = responses["score"].to_list(), responses["details"].to_list()
    found: dict[str, Any] = {}
    for policy, rows in members.items():
        told = policy.figures(
            [items[row].item for row in rows],
            [scores[row] for row in rows],
            [None if details[row] is None else json.loads(details[row]) for row in rows],
        )
        if told is not None:
            found[_called(policy, list(members))] = finite(told)
    return found


def _called(policy: Policy, others: Sequence[Policy]) -> str:
    namesakes = [other for other in others if other.name == policy.name]
    if len(namesakes) == 1:
        return policy.name
    names: list[str] = [field.name for field in fields(policy)] if is_dataclass(policy) else []
    options = [name for name in names if len({repr(getattr(o, name)) for o in namesakes}) > 1]
    told = ", ".join(f"{name}={visible(str(getattr(policy, name)))}" for name in options)
    return f"{policy.name} ({told})"
