"""The table of responses: what the model answered to each item, and the score that it got."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from competency_gaps.model.prepare import PreparedItem
from competency_gaps.model.respond import Responded

SCHEMA: dict[str, Any] = {
    "item": pl.Int64,
    "score": pl.Float64,
    "response": pl.String,
    "unscored": pl.String,
    "details": pl.String,
    "logprobs": pl.List(pl.Float64),
    "greedy": pl.List(pl.Boolean),
    "response_ids": pl.List(pl.Int32),
}


def response_table(items: Sequence[PreparedItem], members: Sequence[int], found: Sequence[Responded]) -> pl.DataFrame:
    """Score what the model answered.

    Parameters
    ----------
    members
        Positions in ``items`` of those that were asked, in the order of ``found``.

    Returns
    -------
    polars.DataFrame
        One row per member: ``item``, ``score`` (null = unscored), ``response``, ``unscored`` (why), ``details`` (JSON;
        null = none), ``logprobs`` and ``greedy`` (per text that was asked for), ``response_ids`` (tokens written).
    """
    rows = []
    for index, one in zip(members, found, strict=True):
        item = items[index].item
        score = items[index].policy.score(item, one.output)
        rows.append(
            {
                "item": index,
                "score": score.value,
                "response": score.response if score.response is not None else item.response,
                "unscored": None if score.value is not None else score.note or "unscored",
                "details": None if score.details is None else json.dumps(score.details, ensure_ascii=False),
                "logprobs": list(one.output.logprobs),
                "greedy": list(one.output.greedy),
                "response_ids": one.response_ids.tolist(),
            }
        )
    return _table(rows)


def excluded_table(members: Sequence[int]) -> pl.DataFrame:
    """Rows of items that take no part."""
    return _table([{"item": i, "unscored": "excluded"} for i in members])


def _table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    empty: dict[str, Any] = dict.fromkeys(SCHEMA) | {"logprobs": [], "greedy": [], "response_ids": []}
    return pl.DataFrame([{**empty, **row} for row in rows], schema=SCHEMA)
