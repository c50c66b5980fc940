"""Items with the concepts that are active in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from competency_gaps.evidence.chi import saliency
from competency_gaps.items.options import not_in
from competency_gaps.reading.rows import TokenActivations
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
        "logprobs": context.rounded(np.array(row_["logprobs"] or [], np.float64), 7).tolist(),
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
    counts = context.run.item_rows.counts
    salient = [_most_salient(context, row, context.amounts.salient) for row in rows]
    size = [len(concepts) for concepts, *_ in salient]
    item = np.repeat(np.array(rows, np.int64), size)
    concepts, cas, values, peaks = (np.concatenate(parts) for parts in zip(*salient, strict=True))
    start, end = context.text_ranges.start[item], context.text_ranges.end[item]
    peaks, inside = moved(peaks, start, end)
    first = np.cumsum([0, *size]).tolist()
    tokens = token_lists(
        context, [(row, concepts_[0], at) for row, concepts_, at in zip(rows, salient, first[:-1], strict=True)], item
    )
    columns = (concepts, context.rounded(cas), context.rounded(values), peaks, inside)
    active = [
        ActiveConcept(concept, strength, share, (begin, stop) if known else None, kept)
        for concept, strength, share, (begin, stop), known, kept in zip(
            *(column.tolist() for column in columns), tokens, strict=True
        )
    ]
    bounds = zip(rows, pairwise(first), strict=True)
    return [ItemConcepts(int(counts[row]), active[a:b]) for row, (a, b) in bounds]


def _most_salient(context: Context, row: int, limit: int | None) -> tuple[np.ndarray, ...]:
    """Return an item's most salient concepts, with their CAS, saliency and peaks."""
    active = context.run.item_rows.row(row)
    values = saliency(active.cas, context.tau[active.concepts])
    order = leading((-values, -active.cas, active.concepts), len(values) if limit is None else limit)
    return active.concepts[order], active.cas[order], values[order], active.peak[order]


def leading(keys: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Return positions of the ``count`` smallest values, in order: by the first key, ties by the next ones."""
    return np.lexsort(list(reversed(keys)))[:count]


def moved(ranges: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move ranges of characters into a kept part.

    Parameters
    ----------
    ranges : ndarray of int of shape (n, 2)
    start, end : ndarray of int of shape (n,) or ()
        The kept part of each range's text.

    Returns
    -------
    tuple of ndarray
        The moved ranges, and bool of shape (n,): whether each stands for text and lies in the kept part.
    """
    first, last = ranges[:, 0].astype(np.int64), ranges[:, 1].astype(np.int64)
    inside = (last > first) & (first >= start) & (last <= end)
    return np.stack([first - start, last - start], axis=1), inside


def token_lists(
    context: Context, wanted: Iterable[tuple[int, np.ndarray, Any]], item: np.ndarray
) -> list[list[tuple[int, int, float]] | None]:
    """The tokens on which concepts are active, as far as they lie in the kept part of the text.

    Parameters
    ----------
    wanted
        Items; of each, the concepts that are asked for, and their places in the result: an array, or the first place.
    item : ndarray of int of shape (n,)
        Which item stands at each place of the result.

    Returns
    -------
    list of list of tuple, one per place
        Per token, in their order: start and end of its range in the kept part, and its activation to four digits; of
        ``amounts.active_tokens`` the strongest. None: not kept, or left out.
    """
    read: list[TokenActivations] = []
    known = np.zeros(len(item), bool)
    if context.amounts.active_tokens != 0 and context.run.has_token_activations:
        for row, concepts, places in wanted:
            places = np.arange(places, places + len(concepts)) if isinstance(places, int) else places
            tokens = context.run.item_tokens(row, concepts) if len(concepts) else None
            if tokens is not None:
                known[places] = True
                read.append(tokens._replace(concept=places[tokens.concept]))
    if not read:
        return [[] if kept else None for kept in known]
    owner, first, last, activation = (np.concatenate(parts) for parts in zip(*read, strict=True))
    ranges, inside = moved(
        np.stack([first, last], axis=1), context.text_ranges.start[item[owner]], context.text_ranges.end[item[owner]]
    )
    kept = np.flatnonzero(inside)
    if context.amounts.active_tokens is not None:
        order = np.lexsort((-activation[kept], owner[kept]))
        begin = np.searchsorted(owner[kept[order]], owner[kept[order]])
        kept = np.sort(kept[order[np.arange(len(order)) - begin < context.amounts.active_tokens]])
    kept = kept[np.argsort(owner[kept], kind="stable")]
    triples = zip(*ranges[kept].T.tolist(), significant(activation[kept]).tolist(), strict=True)
    every, ends = list(triples), np.searchsorted(owner[kept], np.arange(len(item) + 1)).tolist()
    return [every[a:b] if kept else None for kept, (a, b) in zip(known.tolist(), pairwise(ends), strict=True)]
