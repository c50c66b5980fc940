"""The tables of items and of tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from competency_gaps.activations.store import CasBlock
from competency_gaps.benchmarks.repeats import Repeats
from competency_gaps.model.prepare import PreparedItem
from competency_gaps.stages.readings import Reading

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def items_table(
    prepared: Mapping[str, Sequence[PreparedItem]],
    readings: Mapping[str, Sequence[Reading]],
    responses: Mapping[str, pl.DataFrame],
    repeats: Repeats,
) -> pl.DataFrame:
    """``items.parquet``: one row per item, in the benchmarks' order."""
    rows = [
        _row(name, one, read, answer)
        for name, items in prepared.items()
        for one, read, answer in zip(items, readings[name], responses[name].iter_rows(named=True), strict=True)
    ]
    for row, cluster, kind in zip(rows, *repeats.columns(list(prepared)), strict=True):
        row |= {"cluster": cluster, "cluster_kind": kind}
    schema: dict[str, Any] = {
        "benchmark": pl.String,
        "item_id": pl.String,
        "prompt": pl.String,
        "text": pl.String,
        "response": pl.String,
        "answer": pl.String,
        "score": pl.Float64,
        "epochs": pl.Int32,
        "policy": pl.String,
        "group": pl.String,
        "choices": pl.List(pl.String),
        "answer_index": pl.Int32,
        "cluster": pl.Int32,
        "cluster_kind": pl.String,
        "covariates": pl.String,
        "n_span_tokens": pl.Int32,
        "n_tokens": pl.Int32,
        "excluded": pl.String,
        "unscored": pl.String,
        "own_start": pl.Int32,
        "own_end": pl.Int32,
        "logprobs": pl.List(pl.Float64),
        "greedy": pl.List(pl.Boolean),
        "details": pl.String,
        "identity": pl.String,
    }
    return pl.DataFrame(rows, schema=schema)


def _row(benchmark: str, one: PreparedItem, read: Reading, answer: dict[str, Any]) -> dict[str, Any]:
    start, end = one.text.own[0]
    return {
        "benchmark": benchmark,
        "item_id": one.item.id,
        "prompt": one.text.text[start:end],
        "text": read.text,
        "response": answer["response"],
        "answer": _answer_text(one),
        "score": answer["score"],
        "epochs": one.item.epochs,
        "policy": one.policy.name,
        "group": one.item.group,
        "choices": None if one.item.choices is None else list(one.item.choices),
        "answer_index": _answer_index(one),
        "covariates": json.dumps(one.item.covariates, ensure_ascii=False) if one.item.covariates else None,
        "n_span_tokens": int(read.tokens.span.sum()) if read.tokens is not None else 0,
        "n_tokens": len(one.tokens.ids) if read.tokens is None else len(read.tokens.ids),
        "excluded": read.excluded,
        "unscored": answer["unscored"],
        "own_start": start,
        "own_end": end,
        "logprobs": answer["logprobs"],
        "greedy": answer["greedy"],
        "details": answer["details"],
        "identity": json.dumps(one.item.identity, ensure_ascii=False, default=str) if one.item.identity else None,
    }


def _answer_index(one: PreparedItem) -> int | None:
    answer = one.item.answer
    # Only policies that choose check the index; for the others the answer may be a number of its own.
    chosen = isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(one.item.choices or ())
    return answer if chosen else None


def _answer_text(one: PreparedItem) -> str | None:
    answer, index = one.item.answer, _answer_index(one)
    if answer is None:
        return None
    if index is not None and one.item.choices is not None:
        return one.item.choices[index]
    if isinstance(answer, (list, tuple)):
        return " | ".join(str(part) for part in answer)
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, default=str)


def token_table(suites: Iterable[Iterable[CasBlock]], tokenizer: PreTrainedTokenizerBase) -> pl.DataFrame:
    """``tokens.parquet``: id and text of every token that occurs in a run."""
    found: set[int] = set()
    for blocks in suites:
        for block in blocks:
            found.update(np.unique(block.token_ids).tolist())
    ids = sorted(found)
    return pl.DataFrame(
        # Of nothing at all, tokenizers decode one empty text.
        {"token": ids, "text": tokenizer.batch_decode([[i] for i in ids]) if ids else []},
        schema={"token": pl.Int32, "text": pl.String},
    )
