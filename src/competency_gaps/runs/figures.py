"""Results of whole benchmarks that their policies add to the mean score."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from competency_gaps.files import finite
from competency_gaps.model.prepare import PreparedItem
from competency_gaps.scoring.policy import Policy


def benchmark_figures(items: Sequence[PreparedItem], responses: pl.DataFrame) -> dict[str, Any]:
    """Figures by the policy's name; empty where no policy of the benchmark has any.

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
            found[policy.name] = finite(told)
    return found
