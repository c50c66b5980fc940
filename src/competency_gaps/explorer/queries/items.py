"""Questions about items."""

from __future__ import annotations

from typing import Any

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.explorer.parts.tables import repeats
from competency_gaps.explorer.queries.arguments import FindItems, OneItem
from competency_gaps.explorer.queries.concepts import name_of
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import fields, foreign

_FACTS = (
    *("item", "benchmark", "item_id", "group", "score", "policy", "excluded", "unscored", "n_tokens", "n_span_tokens"),
    *("cluster", "repeats"),
)
_TEXTS = {"prompt": 240, "response": 160, "answer": 120}
"""Texts of an item in a list, and most characters of each [ours]."""
_LONG_TEXTS = {"prompt": 3000, "response": 2000, "answer": 500, "details": 1000}
"""The same of a single item [ours]."""


def find_items(subject: Subject, asked: FindItems) -> dict[str, Any]:
    """List items.

    Returns
    -------
    dict
        ``total`` that qualify, ``total_without_repeats`` where those that ask the same count once, and ``items``, the
        first of them; with a concept, its activation in each as ``cas``.
    """
    benchmark = None if asked.benchmark is None else subject.benchmarks[subject.place_of(asked.benchmark)]
    items = subject.parts.context.items
    table = items.with_columns(repeats(items)).with_row_index("item").filter(_wanted(asked, benchmark))
    if asked.text is not None:
        found = subject.parts.search(asked.text, subject.parts.context.items.height)
        table = table.filter(pl.col("item").is_in(pl.Series(found.rows, dtype=pl.UInt32).implode()))
    if asked.finding is not None:
        table = _of_finding(subject, table, asked.finding)
    if asked.concept is not None:
        table = _active(subject, table, asked.concept)
    total, first = table.height, pl.int_range(pl.len()).over("cluster") == 0
    once = table.filter((pl.col("repeats") == 1) | first)
    shown = (table if asked.repeats else once).head(asked.limit)
    texts = subject.item_rows(shown["item"].to_list(), tuple(_TEXTS))
    rows = zip(shown.iter_rows(named=True), texts, strict=True)
    return {
        "total": total,
        "total_without_repeats": once.height,
        "items": [_row({**facts, **text}, _TEXTS) for facts, text in rows],
    }


def one_item(subject: Subject, asked: OneItem) -> dict[str, Any]:
    """All about one item: its texts, cut where they are long, and its most salient concepts."""
    subject.check_item(asked.item)
    (row,) = subject.item_rows([asked.item], (*_FACTS[1:-1], *_LONG_TEXTS, "epochs", "choices", "answer_index"))
    part = subject.item_part(asked.item)
    return {
        **_row({**row, "repeats": part["repeats"]}, _LONG_TEXTS),
        "choices": None if row["choices"] is None else [foreign(one, 120) for one in row["choices"][:12]],
        "answer_index": row["answer_index"],
        "epochs": row["epochs"],
        "concepts": [
            {
                **name_of(subject.concepts.row(int(active["concept"]), named=True)),
                **fields(active, ("cas", "saliency")),
            }
            for active in subject.salient_concepts(asked.item)[:10]
        ],
    }


def _row(row: dict[str, Any], limits: dict[str, int]) -> dict[str, Any]:
    texts = {name: foreign(row[name], limit) for name, limit in limits.items()}
    return {**fields(row, (*_FACTS, "cas")), **texts}


def _active(subject: Subject, table: pl.DataFrame, concept: int) -> pl.DataFrame:
    """The items in which a concept is active, strongest first, with ``cas``."""
    subject.run.check_concept(concept)
    column = subject.run.by_concept.column(concept)
    uses = pl.DataFrame({"item": column.item, "cas": column.cas}, schema={"item": pl.UInt32, "cas": pl.Float32})
    return table.join(uses, on="item", how="inner").sort(["cas", "item"], descending=[True, False])


def _of_finding(subject: Subject, table: pl.DataFrame, finding: int) -> pl.DataFrame:
    """The items of a finding that it lists, those that weigh most first."""
    every = subject.parts.context.findings
    if finding >= every.height:
        raise UserError(f"there is no finding {finding}: the run has {every.height}, numbered from 0.")
    rows = every["item_rows"][finding].to_list()
    order = pl.DataFrame({"item": rows, "place": range(len(rows))}, schema={"item": pl.UInt32, "place": pl.UInt32})
    return table.join(order, on="item", how="inner").sort("place")


def _wanted(asked: FindItems, benchmark: str | None) -> pl.Expr:
    wanted = pl.lit(True)
    if benchmark is not None:
        wanted &= pl.col("benchmark") == benchmark
    if asked.group is not None:
        wanted &= pl.col("group") == asked.group
    if asked.min_score is not None:
        wanted &= pl.col("score") >= asked.min_score
    if asked.max_score is not None:
        wanted &= pl.col("score") <= asked.max_score
    if asked.unscored:
        wanted &= pl.col("score").is_null()
    return wanted
