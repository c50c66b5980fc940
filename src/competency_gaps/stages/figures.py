"""Policies' results on whole benchmarks, beyond the mean score."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import polars as pl

from competency_gaps.files import finite
from competency_gaps.items.item import check_reason
from competency_gaps.items.policy import Policy
from competency_gaps.model.prompts import PreparedItem
from competency_gaps.text import visible


def benchmark_figures(items: Sequence[PreparedItem], responses: pl.DataFrame) -> dict[str, Any]:
    """Figures by policy name, each with its ``policy``; empty if no policy of the benchmark has any.

    If several policies of a benchmark share a name, the options in which they differ are appended to the key.

    Parameters
    ----------
    responses
        One row per item in order, with ``score`` and ``details``.
    """
    members: dict[Policy, list[int]] = {}
    for row, item in enumerate(items):
        # Few policies override ``figures``, which returns None by default.
        if item.excluded is None and type(item.policy).figures is not Policy.figures:
            members.setdefault(item.policy, []).append(row)
    scores, details = responses["score"].to_list(), responses["details"].to_list()
    figures: dict[str, Any] = {}
    for policy, rows in members.items():
        policy_figures = policy.figures(
            [items[row].item for row in rows],
            [scores[row] for row in rows],
            [None if details[row] is None else json.loads(details[row]) for row in rows],
        )
        if policy_figures is not None:
            summary = [check_reason(line).as_dict() for line in policy_figures.get("summary", ())]
            policy_figures = {"policy": policy.name, **policy_figures, "summary": summary}
            figures[_called(policy, list(members))] = finite(policy_figures)
    return figures


def _called(policy: Policy, others: Sequence[Policy]) -> str:
    namesakes = [other for other in others if other.name == policy.name]
    if len(namesakes) == 1:
        return policy.name
    names: list[str] = [field.name for field in fields(policy)] if is_dataclass(policy) else []
    options = [name for name in names if len({repr(getattr(o, name)) for o in namesakes}) > 1]
    words = ", ".join(f"{name}={visible(str(getattr(policy, name)))}" for name in options)
    return f"{policy.name} ({words})"
