"""The model's input for each item, tables of responses with scores, and scorers' results on whole benchmarks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from competency_gaps.items.config import Span
from competency_gaps.items.item import DTYPE, Reason, check_reason
from competency_gaps.items.scorer import Score, Scorer
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prompts import PreparedItem
from competency_gaps.model.respond import Responded
from competency_gaps.reading.extract import NEEDS_RESPONSE, ItemTokens, span_mask
from competency_gaps.reading.rows import CasBlock
from competency_gaps.runs.schemas import TOKENS
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import finite
from competency_gaps.util.table_files import read_parquet
from competency_gaps.util.text import shorten, visible

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class ItemInput:
    """What the model reads of an item."""

    tokens: ItemTokens | None
    """Tokens and span; None: the item is excluded."""
    excluded: Reason | None
    """Why the item is excluded; None: it is kept."""
    text: str
    """The whole text that the model reads, with the response if the span includes it."""


def item_input(
    index: int, item: PreparedItem, span: Span, response: str | None, response_ids: np.ndarray, lm: LanguageModel
) -> ItemInput:
    """Return the model's input for one item, with the response if the span includes it.

    The item is excluded if the response is missing, the text is longer than the context, or the span is empty.
    """
    if item.excluded is not None:
        return ItemInput(None, item.excluded, item.text.text)
    ids, offsets, text = item.tokens.ids, item.tokens.offsets, item.text.text
    written = 0
    if span in NEEDS_RESPONSE:
        if not response or not response.strip():
            if span == "response":
                return ItemInput(None, Reason("no_response", "no response"), text)
        else:
            extra_ids, extra_offsets, shown = _response_tokens(lm.tokenizer, response, response_ids, text)
            ids = np.concatenate([ids, extra_ids])
            offsets = np.concatenate([offsets, extra_offsets + len(text)]).astype(np.int32)
            text, written = text + shown, len(extra_ids)
    if len(ids) > lm.max_length:
        why = f"longer than the context: {len(ids)} > {lm.max_length} tokens"
        return ItemInput(None, Reason("too_long", why, (len(ids), lm.max_length)), text)
    mask = span_mask(span, item.tokens, written)
    if not mask.any():
        return ItemInput(None, Reason("empty_span", "empty span"), text)
    return ItemInput(ItemTokens(index, ids, offsets, mask), None, text)


def _response_tokens(
    tokenizer: PreTrainedTokenizerBase, response: str, response_ids: np.ndarray, prompt: str
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return ids, character ranges and text of a response: the generated tokens if the model wrote it, else new
    ones.
    """
    if len(response_ids):
        ends = text_ends(tokenizer, response_ids)
        shown = tokenizer.decode(response_ids, skip_special_tokens=True)
        return response_ids, np.stack([np.r_[0, ends[:-1]], ends], axis=1).astype(np.int32), shown
    shown = response if prompt[-1:].isspace() else " " + response.lstrip()
    encoded = tokenizer(shown, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids = np.asarray(encoded["input_ids"], dtype=np.int32)
    return ids, np.asarray(encoded["offset_mapping"], dtype=np.int32).reshape(-1, 2), shown


def text_ends(tokenizer: PreTrainedTokenizerBase, ids: np.ndarray) -> np.ndarray:
    """Return where each token's text ends in the decoded whole: int64 of shape (tokens,), ascending.

    A single token may decode to part of a character or lose its leading blank, so each is decoded together with the
    tokens since the last whole character but one. If these lengths do not add up to the whole text, every prefix is
    decoded.
    """

    def length(part: np.ndarray) -> tuple[int, bool]:
        """Return the length of decoded tokens, and whether they end with a whole character."""
        text = str(tokenizer.decode(part, skip_special_tokens=True))
        return len(text), not text.endswith("\ufffd")

    ends = np.zeros(len(ids), np.int64)
    begin = complete = done = 0
    for n in range(len(ids)):
        before, _ = length(ids[begin:complete])
        now, whole = length(ids[begin : n + 1])
        ends[n] = done + max(0, now - before)
        if now > before and whole:
            done, begin, complete = int(ends[n]), complete, n + 1
    if len(ids) and ends[-1] != length(ids)[0]:
        ends = np.asarray([length(ids[: n + 1])[0] for n in range(len(ids))])
    return np.maximum.accumulate(ends)


def benchmark_figures(items: Sequence[PreparedItem], responses: pl.DataFrame) -> dict[str, Any]:
    """Return a benchmark's figures by name of the scorer, each with its ``scorer``; empty if no scorer has figures.

    Parameters
    ----------
    responses
        One row per item in order, with ``score`` and ``details``.
    """
    members: dict[Scorer, list[int]] = {}
    for row, item in enumerate(items):
        # Few scorers override ``figures``, which returns None by default.
        if item.excluded is None and type(item.scorer).figures is not Scorer.figures:
            members.setdefault(item.scorer, []).append(row)
    scores, details = responses["score"].to_list(), responses["details"].to_list()
    figures: dict[str, Any] = {}
    for scorer, rows in members.items():
        scorer_figures = scorer.figures(
            [items[row].item for row in rows],
            [scores[row] for row in rows],
            [None if details[row] is None else json.loads(details[row]) for row in rows],
        )
        if scorer_figures is not None:
            summary = [check_reason(line).as_dict() for line in scorer_figures.get("summary", ())]
            scorer_figures = {"scorer": scorer.name, **scorer_figures, "summary": summary}
            figures[scorer.name] = finite(scorer_figures)
    return figures


_ROUNDING = 1e-9
"""Tolerance by which rounding may take a score outside [0, 1]."""
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
    """Return the model's responses with their scores.

    Parameters
    ----------
    members
        Positions in ``items`` of the items that were answered, in the order of ``responses``.

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
        score = items[index].scorer.score(item, responded.output)
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
    """Return a score clipped to [0, 1], None if unscored; raises UserError if the scorer, maybe a plug-in's, gave no
    score.
    """
    value = score.value
    if value is None:
        return None
    if not (isinstance(value, (Real, np.bool_)) and -_ROUNDING <= float(value) <= 1 + _ROUNDING):
        raise UserError(
            f"the scorer {item.scorer.name!r} gave the item {shorten(visible(item.item.id), 80)!r} the score "
            f"{shorten(visible(repr(value)), 80)}, expected a number in [0, 1], or None for an item without a score."
        )
    return min(1.0, max(0.0, float(value)))


def excluded_table(reasons: Mapping[int, Reason]) -> pl.DataFrame:
    """Return a table of responses for excluded items, by their positions."""
    unscored = Reason("excluded", "excluded").as_dict()
    return _table([{"item": i, "excluded": why.as_dict(), "unscored": unscored} for i, why in reasons.items()])


def why_unscored(score: Score) -> dict[str, Any] | None:
    """Return why an item is unscored, as it is stored; None if it has a score."""
    why = score.unscored or Reason("unscored", "the scorer gives no reason")
    return None if score.value is not None else check_reason(why).as_dict()


def read_responses(path: Path, members: Sequence[int]) -> pl.DataFrame | None:
    """Return a shard's table of responses; None if it cannot be read, or is about other items."""
    try:
        table = read_parquet(path)
    except (pl.exceptions.PolarsError, OSError):
        return None
    is_theirs = table.schema == pl.Schema(_RESPONSES) and sorted(table["item"].drop_nulls()) == sorted(members)
    return table if is_theirs and table["score"].drop_nulls().is_between(0, 1).all() else None


def _table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return a table of responses; columns that a row lacks are null or empty."""
    empty: dict[str, Any] = dict.fromkeys(_RESPONSES) | {"logprobs": [], "greedy": [], "response_ids": []}
    return pl.DataFrame([{**empty, **row} for row in rows], schema=_RESPONSES)


def token_table(blocks: Iterable[CasBlock], tokenizer: PreTrainedTokenizerBase) -> pl.DataFrame:
    """Return ``tokens.parquet``: id and text of every token that occurs in the run."""
    ids = sorted({token for block in blocks for token in np.unique(block.token_ids).tolist()})
    return pl.DataFrame(
        # Tokenizers decode an empty list to one empty text.
        {"token": ids, "text": tokenizer.batch_decode([[i] for i in ids]) if ids else []},
        schema=TOKENS,
    )
