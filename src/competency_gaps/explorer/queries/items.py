"""Questions about findings and items."""

from __future__ import annotations

from typing import Any

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.explorer.parts.tables import repeats
from competency_gaps.explorer.queries.arguments import FindItems, ListFindings, OneFinding, OneItem
from competency_gaps.explorer.queries.concepts import name_of
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import SENTENCE, fields, foreign

SHARE = 0.1
"""Least share of a finding's weight in a benchmark for the finding to count as one of that benchmark [ours]."""
_FINDING_LISTED = (
    *("finding", "verdict", "gap", "gap_low", "gap_high", "items", "clusters", "mean_score", "q_value", "holds"),
)
_FINDING_WHOLE = (
    *("finding", "verdict", "items", "clusters", "n_eff", "graded", "mean_score", "gap", "gap_low", "gap_high"),
    *("plain_gap", "p_value", "q_value", "detectable", "feature", "feature_items", "feature_score", "other_items"),
    *("other_score", "feature_p", "unseen_gap", "unseen_low", "unseen_high", "unseen_splits", "splits", "holds"),
)
_EXAMPLE_TEXTS = {"prompt": 300, "response": 160, "answer": 120}
"""Texts of an example, and most characters of each [ours]."""
_FINDING_CONCEPTS = 12
"""Most concepts listed of a finding [ours]."""


def list_findings(subject: Subject, arguments: ListFindings) -> dict[str, Any]:
    """List findings: weak ones before strong ones, the largest effect on the score first.

    Returns
    -------
    dict
        ``total`` that qualify and ``findings``, the first of them.
    """
    findings = subject.info["findings"]
    if arguments.verdict is not None:
        findings = [finding for finding in findings if finding["verdict"] == arguments.verdict]
    if arguments.holds is not None:
        findings = [finding for finding in findings if finding["holds"] is arguments.holds]
    if arguments.benchmark is not None:
        place = subject.place_of(arguments.benchmark)
        findings = [finding for finding in findings if _share(finding, place) >= SHARE]
    shown = findings[: arguments.limit]
    rows = [
        {"sentence": foreign(finding["sentence"], SENTENCE), **fields(finding, _FINDING_LISTED)} for finding in shown
    ]
    return {"total": len(findings), "findings": rows}


def one_finding(subject: Subject, arguments: OneFinding) -> dict[str, Any]:
    """Describe one finding: its figures, its benchmarks, failing and passing items, and the concepts behind it."""
    every = subject.info["findings"]
    if arguments.finding >= len(every):
        known = f"expected 0 to {len(every) - 1}" if every else "this run has none"
        raise UserError(f"there is no finding {arguments.finding}: {known}.")
    finding = every[arguments.finding]
    names = [foreign(name) for name in subject.benchmarks]
    labels = subject.concepts["label"]
    return {
        "sentence": foreign(finding["sentence"], SENTENCE),
        "support": foreign(finding["support"], 2 * SENTENCE),
        **fields(finding, _FINDING_WHOLE),
        "benchmarks": [
            {"benchmark": names[part["benchmark"]], **fields(part, ("items", "share"))}
            for part in finding["benchmarks"]
        ],
        "failing": _examples(subject, finding["failing"]),
        "passing": _examples(subject, finding["passing"]),
        "concepts": [{"concept": c, "label": foreign(labels[c])} for c in finding["concepts"][:_FINDING_CONCEPTS]],
        "concepts_in_all": len(finding["concepts"]),
        "command": foreign(finding["command"], 2000),
    }


def _share(finding: dict[str, Any], place: int) -> float:
    return max((float(part["share"]) for part in finding["benchmarks"] if part["benchmark"] == place), default=0.0)


def _examples(subject: Subject, examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = subject.item_rows(
        [example["item"] for example in examples], ("benchmark", "score", "choices", *_EXAMPLE_TEXTS)
    )
    shown = []
    for row, example in zip(rows, examples, strict=True):
        texts = {**row, "prompt": _differing(row["prompt"], example["differs"])}
        choices = row["choices"]
        shown.append(
            {
                **fields({**row, **example}, ("item", "benchmark", "score", "repeats")),
                **{name: foreign(texts[name], limit) for name, limit in _EXAMPLE_TEXTS.items()},
                "choices": None if choices is None else [foreign(choice, 80) for choice in choices[:8]],
            }
        )
    return shown


def _differing(prompt: str | None, ranges: list[list[int]] | None) -> str | None:
    """The parts of a prompt that differ from other items of its benchmark."""
    if prompt is None or ranges is None:
        return prompt
    return " … ".join(prompt[start:end].strip() for start, end in ranges)


_FACTS = (
    *("item", "benchmark", "item_id", "group", "score", "policy", "excluded", "unscored", "n_tokens", "n_span_tokens"),
    *("cluster", "repeats"),
)
_TEXTS = {"prompt": 240, "response": 160, "answer": 120}
"""Texts of an item in a list, and most characters of each [ours]."""
_LONG_TEXTS = {"prompt": 3000, "response": 2000, "answer": 500, "details": 1000}
"""The same of a single item [ours]."""


def find_items(subject: Subject, arguments: FindItems) -> dict[str, Any]:
    """List items.

    Returns
    -------
    dict
        ``total`` that qualify; ``total_without_repeats``, where items that ask the same count once; and ``items``, the
        first of them. If a concept was given, ``cas`` is its activation in each.
    """
    benchmark = None if arguments.benchmark is None else subject.benchmarks[subject.place_of(arguments.benchmark)]
    items = subject.parts.context.items
    table = items.with_columns(repeats(items)).with_row_index("item").filter(_wanted(arguments, benchmark))
    if arguments.text is not None:
        hits = subject.parts.search(arguments.text, subject.parts.context.items.height)
        table = table.filter(pl.col("item").is_in(pl.Series(hits.rows, dtype=pl.UInt32).implode()))
    if arguments.finding is not None:
        table = _of_finding(subject, table, arguments.finding)
    if arguments.concept is not None:
        table = _active(subject, table, arguments.concept)
    total, first = table.height, pl.int_range(pl.len()).over("cluster") == 0
    once = table.filter((pl.col("repeats") == 1) | first)
    shown = (table if arguments.repeats else once).head(arguments.limit)
    texts = subject.item_rows(shown["item"].to_list(), tuple(_TEXTS))
    rows = zip(shown.iter_rows(named=True), texts, strict=True)
    return {
        "total": total,
        "total_without_repeats": once.height,
        "items": [_row({**facts, **text}, _TEXTS) for facts, text in rows],
    }


def one_item(subject: Subject, arguments: OneItem) -> dict[str, Any]:
    """Describe one item: its texts, cut where they are long, and its most salient concepts."""
    subject.check_item(arguments.item)
    (row,) = subject.item_rows([arguments.item], (*_FACTS[1:-1], *_LONG_TEXTS, "epochs", "choices", "answer_index"))
    part = subject.item_part(arguments.item)
    return {
        **_row({**row, "repeats": part["repeats"]}, _LONG_TEXTS),
        "choices": None if row["choices"] is None else [foreign(choice, 120) for choice in row["choices"][:12]],
        "answer_index": row["answer_index"],
        "epochs": row["epochs"],
        "concepts": [
            {
                **name_of(subject.concepts.row(int(active["concept"]), named=True)),
                **fields(active, ("cas", "saliency")),
            }
            for active in subject.salient_concepts(arguments.item)[:10]
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
    """The items that a finding lists, those of the largest weight first."""
    every = subject.parts.context.findings
    if finding >= every.height:
        raise UserError(f"there is no finding {finding}: the run has {every.height}, numbered from 0.")
    rows = every["item_rows"][finding].to_list()
    order = pl.DataFrame({"item": rows, "place": range(len(rows))}, schema={"item": pl.UInt32, "place": pl.UInt32})
    return table.join(order, on="item", how="inner").sort("place")


def _wanted(arguments: FindItems, benchmark: str | None) -> pl.Expr:
    wanted = pl.lit(True)
    if benchmark is not None:
        wanted &= pl.col("benchmark") == benchmark
    if arguments.group is not None:
        wanted &= pl.col("group") == arguments.group
    if arguments.min_score is not None:
        wanted &= pl.col("score") >= arguments.min_score
    if arguments.max_score is not None:
        wanted &= pl.col("score") <= arguments.max_score
    if arguments.unscored:
        wanted &= pl.col("score").is_null()
    return wanted
