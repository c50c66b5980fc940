"""Tables of items: the shards' tables of responses and scores, ``items.parquet`` and ``tokens.parquet``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from competency_gaps.activations.store import CasBlock
from competency_gaps.benchmarks.repeats import Repeats
from competency_gaps.errors import UserError
from competency_gaps.items.item import DTYPE, Reason, check_reason
from competency_gaps.items.policy import Score
from competency_gaps.model.prompts import PreparedItem
from competency_gaps.model.respond import Responded
from competency_gaps.runs.schemas import ITEMS, TOKENS
from competency_gaps.stages.inputs import ItemInput
from competency_gaps.table_files import read_parquet
from competency_gaps.text import shorten, visible

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_ROUNDING = 1e-9
"""By which a mean of scores may leave their range."""
_RESPONSES: dict[str, Any] = {
    "item": pl.Int64,
    "score": pl.Float64,
    "response": pl.String,
    "excluded": DTYPE,
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
        One row per member: ``item``, ``score`` (null = unscored), ``response``, ``excluded`` (null: it was read),
        ``unscored`` (why), ``details`` (JSON; null = none), ``logprobs`` and ``greedy`` (per text of the request),
        ``response_ids`` (generated tokens).
    """
    rows = []
    for index, responded in zip(members, responses, strict=True):
        item = items[index].item
        score = items[index].policy.score(item, responded.output)
        rows.append(
            {
                "item": index,
                "score": _value(score, items[index]),
                "response": score.response if score.response is not None else item.response,
                "unscored": why_unscored(score),
                "details": None if score.details is None else json.dumps(score.details, ensure_ascii=False),
                "logprobs": list(responded.output.logprobs),
                "greedy": list(responded.output.greedy),
                "response_ids": responded.response_ids.tolist(),
            }
        )
    return _table(rows)


def _value(score: Score, item: PreparedItem) -> float | None:
    """A policy's score, which may be a plug-in's, checked to be one."""
    value = score.value
    if value is None:
        return None
    if not (isinstance(value, (Real, np.bool_)) and -_ROUNDING <= float(value) <= 1 + _ROUNDING):
        raise UserError(
            f"the policy {item.policy.name!r} gave the item {shorten(visible(item.item.id), 80)!r} the score "
            f"{shorten(visible(repr(value)), 80)}, expected a number in [0, 1], or None for an item without a score."
        )
    return min(1.0, max(0.0, float(value)))


def excluded_table(reasons: Mapping[int, Reason]) -> pl.DataFrame:
    """Rows of excluded items, by their positions."""
    unscored = Reason("excluded", "excluded").as_dict()
    return _table([{"item": i, "excluded": why.as_dict(), "unscored": unscored} for i, why in reasons.items()])


def why_unscored(score: Score) -> dict[str, Any] | None:
    """Why an item is unscored, as it is stored; None if it has a score."""
    return (
        None
        if score.value is not None
        else check_reason(score.unscored or Reason("unscored", "the policy gives no reason")).as_dict()
    )


def read_responses(path: Path, members: Sequence[int]) -> pl.DataFrame | None:
    """Read a table of responses; None: it cannot be read, or is not one of these items."""
    try:
        table = read_parquet(path)
    except (pl.exceptions.PolarsError, OSError):
        return None
    is_theirs = table.schema == pl.Schema(_RESPONSES) and sorted(table["item"].drop_nulls()) == sorted(members)
    return table if is_theirs and table["score"].drop_nulls().is_between(0, 1).all() else None


def _table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    empty: dict[str, Any] = dict.fromkeys(_RESPONSES) | {"logprobs": [], "greedy": [], "response_ids": []}
    return pl.DataFrame([{**empty, **row} for row in rows], schema=_RESPONSES)


def items_table(
    prepared: Mapping[str, Sequence[PreparedItem]],
    inputs: Mapping[str, Sequence[ItemInput]],
    responses: Mapping[str, pl.DataFrame],
    repeats: Repeats,
) -> pl.DataFrame:
    """``items.parquet``: one row per item, in the benchmarks' order; strata come when the evidence is known."""
    rows = [
        _row(name, item, item_input, response)
        for name, items in prepared.items()
        for item, item_input, response in zip(items, inputs[name], responses[name].iter_rows(named=True), strict=True)
    ]
    for row, cluster, kind in zip(rows, *repeats.columns(list(prepared)), strict=True):
        row |= {"cluster": cluster, "cluster_kind": kind}
    return pl.DataFrame(rows, schema={name: kind for name, kind in ITEMS.items() if name != "stratum"})


def _row(benchmark: str, item: PreparedItem, item_input: ItemInput, response: dict[str, Any]) -> dict[str, Any]:
    start, end = item.text.own
    return {
        "benchmark": benchmark,
        "item_id": item.item.id,
        "prompt": item.text.text[start:end],
        "text": item_input.text,
        "response": response["response"],
        "answer": _answer_text(item),
        "score": response["score"],
        "epochs": item.item.epochs,
        "policy": item.policy.name,
        "group": item.item.group,
        "choices": None if item.item.choices is None else list(item.item.choices),
        "answer_index": _answer_index(item),
        "covariates": json.dumps(item.item.covariates, ensure_ascii=False) if item.item.covariates else None,
        "n_span_tokens": int(item_input.tokens.span.sum()) if item_input.tokens is not None else 0,
        "n_tokens": len(item.tokens.ids) if item_input.tokens is None else len(item_input.tokens.ids),
        "excluded": None if item_input.excluded is None else item_input.excluded.as_dict(),
        "unscored": response["unscored"],
        "own_start": start,
        "own_end": end,
        "logprobs": response["logprobs"],
        "greedy": response["greedy"],
        "details": response["details"],
        "identity": json.dumps(item.item.identity, ensure_ascii=False, default=str) if item.item.identity else None,
    }


def _answer_index(item: PreparedItem) -> int | None:
    answer = item.item.answer
    # Only multiple-choice policies check the index; for others a number may be the answer itself.
    chosen = isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(item.item.choices or ())
    return answer if chosen else None


def _answer_text(item: PreparedItem) -> str | None:
    answer, index = item.item.answer, _answer_index(item)
    if answer is None:
        return None
    if index is not None and item.item.choices is not None:
        return item.item.choices[index]
    if isinstance(answer, (list, tuple)):
        return " | ".join(str(part) for part in answer)
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, default=str)


def token_table(suites: Iterable[Iterable[CasBlock]], tokenizer: PreTrainedTokenizerBase) -> pl.DataFrame:
    """``tokens.parquet``: id and text of every token that occurs in the run."""
    tokens: set[int] = set()
    for blocks in suites:
        for block in blocks:
            tokens.update(np.unique(block.token_ids).tolist())
    ids = sorted(tokens)
    return pl.DataFrame(
        # Tokenizers decode an empty list to one empty text.
        {"token": ids, "text": tokenizer.batch_decode([[i] for i in ids]) if ids else []},
        schema=TOKENS,
    )
