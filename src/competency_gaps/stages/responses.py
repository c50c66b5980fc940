"""The table of responses: the model's answer to each item, and its score."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from competency_gaps.items.policy import Score
from competency_gaps.items.remark import DTYPE, Remark, check_remark
from competency_gaps.model.prepare import PreparedItem
from competency_gaps.model.respond import Responded

SCHEMA: dict[str, Any] = {
    "item": pl.Int64,
    "score": pl.Float64,
    "response": pl.String,
    "unscored": DTYPE,
    "details": pl.String,
    "logprobs": pl.List(pl.Float64),
    "greedy": pl.List(pl.Boolean),
    "response_ids": pl.List(pl.Int32),
}


def response_table(
    items: Sequence[PreparedItem], members: Sequence[int], responses: Sequence[Responded]
) -> pl.DataFrame:
    """Score the model's responses.

    Parameters
    ----------
    members
        Positions in ``items`` that ``responses`` belong to, in their order.

    Returns
    -------
    polars.DataFrame
        One row per member: ``item``, ``score`` (null = unscored), ``response``, ``unscored`` (why), ``details`` (JSON;
        null = none), ``logprobs`` and ``greedy`` (per text of the request), ``response_ids`` (generated tokens).
    """
    rows = []
    for index, responded in zip(members, responses, strict=True):
        item = items[index].item
        score = items[index].policy.score(item, responded.output)
        rows.append(
            {
                "item": index,
                "score": score.value,
                "response": score.response if score.response is not None else item.response,
                "unscored": why_unscored(score),
                "details": None if score.details is None else json.dumps(score.details, ensure_ascii=False),
                "logprobs": list(responded.output.logprobs),
                "greedy": list(responded.output.greedy),
                "response_ids": responded.response_ids.tolist(),
            }
        )
    return _table(rows)


def excluded_table(members: Sequence[int]) -> pl.DataFrame:
    """Rows of excluded items."""
    return _table([{"item": i, "unscored": Remark("excluded").as_dict()} for i in members])


def why_unscored(score: Score) -> dict[str, Any] | None:
    """The reason of a score that is none, as it is stored; None for a score."""
    return None if score.value is not None else check_remark(score.unscored or Remark("unscored")).as_dict()


def _table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    empty: dict[str, Any] = dict.fromkeys(SCHEMA) | {"logprobs": [], "greedy": [], "response_ids": []}
    return pl.DataFrame([{**empty, **row} for row in rows], schema=SCHEMA)
