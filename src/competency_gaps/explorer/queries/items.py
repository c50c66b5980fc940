"""Questions about items."""

from __future__ import annotations

from typing import Annotated

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.explorer.parts.tables import repeats
from competency_gaps.explorer.queries.arguments import FindItems, OneItem
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import AtMost, NamedConcept, Number, QueryAnswer, Text120, Text160


class ItemSummary(QueryAnswer):
    """An item without its texts."""

    item: int
    benchmark: str
    item_id: str
    group: str | None
    score: Number
    policy: str | None
    excluded: str | None
    unscored: str | None
    n_tokens: int | None
    n_span_tokens: int | None
    cluster: int | None
    repeats: int


class ItemLine(ItemSummary):
    """An item in a list."""

    cas: Number = None
    prompt: Annotated[str | None, AtMost(240)]
    response: Text160
    answer: Text120


class ItemList(QueryAnswer):
    """``total`` items qualify, or ``total_without_repeats`` where those that ask the same count once; the first."""

    total: int
    total_without_repeats: int
    items: list[ItemLine]


class SalientConcept(NamedConcept):
    """A concept that is active in an item."""

    cas: Number
    saliency: Number


class ItemAnswer(ItemSummary):
    """All about one item."""

    prompt: Annotated[str | None, AtMost(3000)]
    response: Annotated[str | None, AtMost(2000)]
    answer: Annotated[str | None, AtMost(500)]
    details: Annotated[str | None, AtMost(1000)]
    choices: Annotated[list[str] | None, AtMost(120)]
    answer_index: int | None
    epochs: int
    concepts: list[SalientConcept] | None


def find_items(subject: Subject, arguments: FindItems) -> ItemList:
    """List items; if a concept is given, with its activation in each as ``cas``."""
    benchmark = None if arguments.benchmark is None else subject.context.names[subject.place_of(arguments.benchmark)]
    items = subject.context.items
    table = items.with_columns(repeats(items)).with_row_index("item").filter(_selection(arguments, benchmark))
    if arguments.text is not None:
        hits = subject.context.sources.texts.search(arguments.text, items.height)
        table = table.filter(pl.col("item").is_in(pl.Series(hits.rows, dtype=pl.UInt32).implode()))
    if arguments.finding is not None:
        table = _of_finding(subject, table, arguments.finding)
    if arguments.concept is not None:
        table = _active(subject, table, arguments.concept)
    first = pl.int_range(pl.len()).over("cluster") == 0
    once = table.filter((pl.col("repeats") == 1) | first)
    shown = (table if arguments.repeats else once).head(arguments.limit)
    texts = subject.item_rows(shown["item"].to_list(), ("prompt", "response", "answer"))
    lines = [
        ItemLine.model_validate({**facts, **text})
        for facts, text in zip(shown.iter_rows(named=True), texts, strict=True)
    ]
    return ItemList(total=table.height, total_without_repeats=once.height, items=lines)


def one_item(subject: Subject, arguments: OneItem) -> ItemAnswer:
    """Describe one item: its texts, cut where they are long, and its most salient concepts."""
    detail, active = subject.item_detail(arguments.item)
    (texts,) = subject.item_rows([arguments.item], ("benchmark", "prompt", "details"))
    concepts = [
        SalientConcept.model_validate({**vars(use), "label": subject.concepts["label"][use.concept]})
        for use in active.concepts[:10]
    ]
    known = None if active.active is None else concepts
    choices = None if detail.choices is None else detail.choices[:12]
    return ItemAnswer.model_validate({**vars(detail), **texts, "choices": choices, "concepts": known})


def _active(subject: Subject, table: pl.DataFrame, concept: int) -> pl.DataFrame:
    """The items in which a concept is active, strongest first, with ``cas``."""
    subject.run.check_concept(concept)
    column = subject.run.by_concept.column(concept)
    uses = pl.DataFrame({"item": column.item, "cas": column.cas}, schema={"item": pl.UInt32, "cas": pl.Float32})
    return table.join(uses, on="item", how="inner").sort(["cas", "item"], descending=[True, False])


def _of_finding(subject: Subject, table: pl.DataFrame, finding: int) -> pl.DataFrame:
    """The items that a finding lists, those of the largest weight first."""
    findings = subject.context.findings
    if finding >= findings.height:
        raise UserError(f"there is no finding {finding}: the run has {findings.height}, numbered from 0.")
    rows = findings["item_rows"][finding].to_list()
    order = pl.DataFrame({"item": rows, "place": range(len(rows))}, schema={"item": pl.UInt32, "place": pl.UInt32})
    return table.join(order, on="item", how="inner").sort("place")


def _selection(arguments: FindItems, benchmark: str | None) -> pl.Expr:
    selected = pl.lit(True)
    if benchmark is not None:
        selected &= pl.col("benchmark") == benchmark
    if arguments.group is not None:
        selected &= pl.col("group") == arguments.group
    if arguments.min_score is not None:
        selected &= pl.col("score") >= arguments.min_score
    if arguments.max_score is not None:
        selected &= pl.col("score") <= arguments.max_score
    if arguments.unscored:
        selected &= pl.col("score").is_null()
    return selected
