"""The details of concepts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.concepts.exemplars import Exemplar
from competency_gaps.reading.by_concept import ConceptColumn
from competency_gaps.view.facts import marks_of, provenance
from competency_gaps.view.page.parts.context import Context, significant
from competency_gaps.view.page.parts.item import shown_uses, uses_of
from competency_gaps.view.page.parts.names import last_names
from competency_gaps.view.page.parts.records import from_row
from competency_gaps.view.page.parts.records.details import (
    ConceptDetail,
    ConceptInBenchmark,
    ConceptLabel,
    Histogram,
    ItemUse,
    TextWindow,
)

_SOURCE = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", re.ASCII)


def concept_details(context: Context, concepts: Sequence[int]) -> list[ConceptDetail]:
    """Return the details of concepts, without texts of items.

    Parameters
    ----------
    context
        The run, and how much of it is shown.
    concepts : sequence of int
        Their numbers, at least one.

    Returns
    -------
    list of ConceptDetail
        One per concept.
    """
    uses = _uses(context, concepts)
    items, histograms = _items(context, uses, concepts), _histograms(context, uses, concepts)
    directions, amounts, windows = _directions(context, concepts), context.amounts, context.exemplars
    facts = context.run.concepts[list(concepts)].iter_rows(named=True)
    return [
        ConceptDetail(
            concept=concept,
            labels=_labels(context, concept, row),
            provenance=_placeless(context, provenance(row)),
            marks=marks_of(row),
            **{name: known[number] for name, known in directions.items()},
            benchmarks=None
            if not context.amounts.benchmarks
            else [
                ConceptInBenchmark(**values)
                for values in context.in_benchmarks[concept :: context.run.width].to_dicts()
            ],
            histogram=histograms[number],
            **items[number],
            exemplars=None
            if windows is None
            else [
                _exemplar(window, amounts.exemplar_tokens) for window in windows.of(concept, "top")[: amounts.exemplars]
            ],
            neuronpedia=_page(context, concept),
        )
        for number, (concept, row) in enumerate(zip(concepts, facts, strict=True))
    ]


def _uses(context: Context, concepts: Sequence[int]) -> pl.DataFrame:
    """Every item in which a concept is active, one concept after the other; ``rank`` settles ties."""
    by_concept = context.run.by_concept
    columns = map(by_concept.column, concepts)
    column = ConceptColumn(*map(np.concatenate, zip(*columns, strict=True)))
    concept = np.repeat(np.asarray(concepts, np.int64), by_concept.support[list(concepts)])
    uses = uses_of(context, concept, *column)
    score = pl.Series("score", context.scores[column.item]).fill_nan(None)
    return uses.with_columns(score, rank=context.rank[column.item])


def _items(context: Context, uses: pl.DataFrame, concepts: Sequence[int]) -> list[dict[str, Any]]:
    """Per concept its ``strongest`` items, and the ``best`` and ``worst`` of its scored ones."""

    def first(among: pl.DataFrame, count: int, *by: pl.Expr) -> pl.DataFrame:
        order = among.sort(*by, -pl.col("cas"), "rank")
        return order.group_by("concept", maintain_order=True).head(count)

    amounts, scored = context.amounts, uses.drop_nulls("score")
    chosen = {
        "strongest": first(uses, amounts.strongest),
        "best": first(scored, amounts.best, -pl.col("score")),
        "worst": first(scored, amounts.best, pl.col("score")),
    }
    every = pl.concat(chosen.values()).unique(["concept", "item"])
    shown = {}
    for use in shown_uses(context, every):
        shown[use["concept"], use["item"]] = from_row(ItemUse, use)
    items = []
    for concept in concepts:
        rows = {name: few.filter(concept=concept)["item"] for name, few in chosen.items()}
        items.append({name: [shown[concept, row] for row in numbers] for name, numbers in rows.items()})
    return items


def _labels(context: Context, concept: int, row: dict[str, Any]) -> list[ConceptLabel]:
    """The label that the run shows, as the run knows it, then the dictionary's others."""
    every, start = context.labels
    known = every[int(start[concept]) : int(start[concept + 1])]
    if row["label"]:
        shown = {
            "label": row["label"],
            "kind": row["label_kind"],
            "explainer": row["explainer"],
            "score": row["label_score"],
            "scored_by": row["label_scored_by"],
        }
        # The dictionary may have got new scores since the run was named; the same label's other fields come from it.
        key = ("label", "kind", "explainer")
        same = [i for i, label in enumerate(known) if all(label[name] == shown[name] for name in key)]
        rest = known.pop(same[0]) if same else {"placeholder": False, "date": None}
        known.insert(0, {**rest, **shown})
    return [ConceptLabel(**{**label, "explainer": _placeless(context, label["explainer"])}) for label in known]


def _placeless(context: Context, text: str | None) -> str | None:
    """Return the explainer of a label with the folders of a path removed, if the parts may leave this machine."""
    return last_names(text) if text and context.portable else text


def _directions(context: Context, concepts: Sequence[int]) -> dict[str, Sequence[Any]]:
    """Return promoted and suppressed tokens and similar concepts, where the dictionary has them."""
    dictionary = context.dictionary
    nothing: Sequence[Any] = [None] * len(concepts)
    lists = dict.fromkeys(("promoted", "suppressed", "similar"), nothing)
    if dictionary is not None and dictionary.logits is not None:
        for name in ("promoted", "suppressed"):
            lists[name] = dictionary.logits[name][list(concepts)].list.head(context.amounts.promoted).to_list()
    if dictionary is not None and dictionary.similar is not None:
        near = dictionary.similar.select("similar", "cosine")[list(concepts)]
        count = context.amounts.similar
        lists["similar"] = [
            list(zip(others[:count], context.rounded(pl.Series(cosine[:count])).to_list(), strict=True))
            for others, cosine in near.iter_rows()
        ]
    return lists


def _exemplar(exemplar: Exemplar, limit: int | None) -> TextWindow:
    """A window, or ``limit`` of its tokens around the strongest."""
    size = len(exemplar.activations)
    limit = min(limit or size, size)
    first = int(np.clip(exemplar.activations.argmax() - limit // 2, 0, size - limit)) if size else 0
    part = slice(first, first + limit)
    return TextWindow(exemplar.tokens()[part], significant(pl.Series(exemplar.activations[part])).to_list())


def _page(context: Context, concept: int) -> str | None:
    """Address of a concept's page at Neuronpedia."""
    name = str(context.manifest["sae"].get("neuronpedia_id"))
    return f"https://www.neuronpedia.org/{name}/{concept}" if _SOURCE.fullmatch(name) else None


BINS = 20


def _histograms(context: Context, uses: pl.DataFrame, concepts: Sequence[int]) -> list[Histogram]:
    """Per concept its items and their mean score by bin of CAS; a value on an edge belongs to the upper bin."""
    share = pl.col("cas").cast(pl.Float64) / pl.col("cas").max().over("concept")
    bin_number = (BINS * share).cast(pl.Int64).clip(upper_bound=BINS - 1)
    counted = uses.group_by("concept", bin=bin_number).agg(
        pl.col("cas").max(),
        count=pl.len(),
        score=context.rounded(pl.col("score").mean()),
    )
    every = pl.DataFrame({"concept": list(concepts)})
    every = every.join(pl.DataFrame({"bin": range(BINS)}), how="cross")
    every = every.join(counted, on=["concept", "bin"], how="left").sort("bin")
    every = every.with_columns(pl.col("count").fill_null(0))
    columns = every.group_by("concept").agg(pl.col("cas").max(), "count", "score")
    bins = {concept: values for concept, *values in columns.iter_rows()}
    return [Histogram(0.0, [], []) if bins[concept][0] is None else Histogram(*bins[concept]) for concept in concepts]
