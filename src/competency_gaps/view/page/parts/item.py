"""Items with the concepts that are active in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from competency_gaps.evidence.chi import saliency
from competency_gaps.items.options import not_in
from competency_gaps.util.text import shorten
from competency_gaps.view.page.parts.context import Answers, Context, by_item_and_model, significant
from competency_gaps.view.page.parts.names import last_names
from competency_gaps.view.page.parts.records import from_row
from competency_gaps.view.page.parts.records.details import ActiveConcept, ItemConcepts, ItemDetail, ModelAnswer


def item_details(context: Context, rows: Sequence[int], answers: Answers | None = None) -> list[ItemDetail]:
    """Return the details of items.

    Parameters
    ----------
    context
        The run, and how much of it is shown. If it is redacted, texts and what is derived from them are null or empty.
        With a limit, longer texts are cut around the item's own text.
    rows : sequence of int
        Rows of ``items.parquet``, ascending; those between are read too.
    answers
        Other models' answers, from :meth:`Context.answers_of`; None: all answers.

    Returns
    -------
    list of ItemDetail
        One per item.
    """
    first, count = rows[0], rows[-1] + 1 - rows[0]
    facts = context.items[list(rows)].iter_rows(named=True)
    texts = context.item_texts(first, count)
    return [
        from_row(
            ItemDetail,
            fact,
            item=row,
            benchmark=context.benchmark_index[fact["benchmark"]],
            models=models,
            **_texts(context, row, texts.row(row - first, named=True)),
        )
        for row, fact, models in zip(rows, facts, _answers(context, rows, first, count, answers), strict=True)
    ]


def _answers(
    context: Context, rows: Sequence[int], first: int, count: int, answers: Answers | None
) -> list[list[ModelAnswer]]:
    """Return each model's answer to items: one list per item, in the order of ``Context.model_names``."""
    if len(context.model_names) < 2:
        return [[] for _ in rows]
    run, scores = context.run, context.model_scores
    known = dict(by_item_and_model(context.answers(rows)) if answers is None else answers)
    if run.own_model is not None:
        of_run = run.files.collect("items", run.scan("items").slice(first, count).select("response", "unscored"))
        known |= {(row, run.own_model): of_run.row(row - first, named=True) for row in rows}
    return [
        [
            _answer(context, score, known.get((row, model)))
            for model, score in zip(scores.models, scores.values[:, row].tolist(), strict=True)
        ]
        for row in rows
    ]


def _answer(context: Context, score: float, answer: Mapping[str, Any] | None) -> ModelAnswer:
    """One model's answer; ``answer``: its response and why it is unscored; None: only its score is known."""
    known = None if score != score else score
    if answer is None:
        return ModelAnswer(known, None, None)
    why = None
    if known is None and answer["unscored"] is not None:
        # A reason's text may quote; its code does not.
        why = str(answer["unscored"]["text" if context.texts else "code"])
    response = _cut(answer["response"], context.amounts.text) if context.texts else None
    return ModelAnswer(known, response, last_names(why) if context.portable else why)


def _texts(context: Context, row: int, row_: dict[str, Any]) -> dict[str, Any]:
    """Prompt, response, and what is made of them; ``row_``: the item's texts."""
    text = row_["text"]
    start, end, length = (int(values[row]) for values in context.text_ranges)
    if context.amounts.text is None:
        end = length = len(text or "")
    # Of its own text the part that is kept, if it is too long to be kept whole.
    first, last = (min(max((row_[name] or 0) - start, 0), end - start) for name in ("body_start", "body_end"))
    shown, body = text and text[start:end], (first, last) if last > first else None
    choices = not_in((shown or "")[slice(*(body or (None,)))], row_["choices"])
    return {
        "text": shown,
        "cut": (start, length - end) if end - start < length else None,
        "body": body,
        "response": _cut(row_["response"], context.amounts.text),
        "answer": _cut(row_["answer"], context.amounts.text),
        "choices": choices and [_cut(choice, context.amounts.text) for choice in choices],
        "answer_index": row_["answer_index"],
        "logprobs": context.rounded(pl.Series(row_["logprobs"] or [], dtype=pl.Float64), 7).to_list(),
        "details": _details(row_["details"], context.amounts.text),
    }


def _cut(text: str | None, limit: int | None) -> str | None:
    """A text of at most ``limit`` characters; None: whole."""
    return text if text is None or limit is None else shorten(text, limit)


def _details(text: str | None, limit: int | None) -> Any:
    """The scorer's details; as a text if they are not JSON, or longer than is kept."""
    if text is None:
        return None
    if limit is not None and len(text) > limit:
        return shorten(text, limit)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def item_concepts(context: Context, rows: range) -> list[ItemConcepts]:
    """Return the concepts that are active in items, and the tokens on which they are.

    Parameters
    ----------
    context
        The run, and how much of it is shown. If it is redacted, positions in the text are left out.
    rows : range
        Rows of ``items.parquet``, in steps of one.

    Returns
    -------
    list of ItemConcepts
        One per item.
    """
    counts = context.run.item_rows.counts[rows.start : rows.stop]
    read = map(context.run.item_rows.row, rows)
    concept, cas, peak = map(np.concatenate, zip(*read, strict=True))
    uses = uses_of(context, concept, np.repeat(rows, counts), cas, peak)
    order = uses.sort("item", "saliency", "cas", "concept", descending=[False, True, True, False])
    if context.amounts.salient is not None:
        order = order.filter(pl.int_range(pl.len()).over("item") < context.amounts.salient)
    active: dict[int, list[ActiveConcept]] = {row: [] for row in rows}
    for use in shown_uses(context, order):
        active[use["item"]].append(from_row(ActiveConcept, use))
    return [ItemConcepts(count, active[row]) for row, count in zip(rows, counts.tolist(), strict=True)]


def uses_of(context: Context, concept: np.ndarray, item: np.ndarray, cas: np.ndarray, peak: np.ndarray) -> pl.DataFrame:
    """How strongly concepts are active in items, a row each; ``peak``: ranges of the strongest tokens."""
    columns = {"concept": concept, "item": item, "cas": cas, "saliency": saliency(cas, context.tau[concept])}
    return pl.DataFrame({**columns, "start": peak[:, 0], "end": peak[:, 1]})


def shown_uses(context: Context, uses: pl.DataFrame) -> list[dict[str, Any]]:
    """What a page shows of concepts in items, a row each: ``peak`` and ``tokens`` as far as the text is kept.

    Parameters
    ----------
    uses
        As of :func:`uses_of`, with or without further columns.
    """
    item = uses["item"].to_numpy()
    peaks, inside = _moved(context, item, uses["start"].to_numpy(), uses["end"].to_numpy())
    tokens = _tokens(context, item, uses["concept"].to_numpy())
    rows = uses.with_columns(context.rounded(cs.float())).iter_rows(named=True)
    return [
        {**row, "peak": tuple(peak) if known else None, "tokens": kept}
        for row, peak, known, kept in zip(rows, peaks.tolist(), inside, tokens, strict=True)
    ]


def _moved(context: Context, item: np.ndarray, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranges of characters within the kept part of their item's text, and which of them lie in it and hold text."""
    start, end = context.text_ranges.start[item], context.text_ranges.end[item]
    inside = (last > first) & (first >= start) & (last <= end)
    return np.stack([first - start, last - start], axis=1), inside


def _tokens(context: Context, item: np.ndarray, concept: np.ndarray) -> list[list[tuple[int, int, float]] | None]:
    """The tokens of items on which concepts are active, as far as they lie in the kept part of the text.

    Returns
    -------
    list of list of tuple, one per item and concept
        Per token, in their order: start and end of its range in the kept part, and its activation to four digits; of
        ``amounts.active_tokens`` the strongest. None: not kept, or left out.
    """
    read, lists = list[tuple[np.ndarray, ...]](), dict[int, list[tuple[int, int, float]]]()
    for row in np.unique(item).tolist() if context.run.has_token_activations else ():
        pairs = np.flatnonzero(item == row)
        tokens = context.run.item_tokens(row, concept[pairs])
        if tokens is not None:
            read.append((pairs[tokens.concept], *tokens[1:]))
            lists |= {pair: [] for pair in pairs.tolist()}
    if not read:
        return [None] * len(item)
    owner, first, last, activation = (np.concatenate(parts) for parts in zip(*read, strict=True))
    ranges, inside = _moved(context, item[owner], first, last)
    columns = {"owner": owner, "first": ranges[:, 0], "last": ranges[:, 1], "activation": activation}
    kept = pl.DataFrame(columns).filter(inside)
    if context.amounts.active_tokens is not None:
        rank = (-pl.col("activation")).rank("ordinal").over("owner")
        kept = kept.filter(rank <= context.amounts.active_tokens)
    for pair, *token in kept.with_columns(significant(pl.col("activation"))).iter_rows():
        lists[pair].append(tuple(token))
    return [lists.get(pair) for pair in range(len(item))]
