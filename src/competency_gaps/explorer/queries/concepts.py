"""Questions about concepts."""

from __future__ import annotations

from typing import Any

import polars as pl

from competency_gaps.explorer.queries.arguments import OneConcept, TopConcepts
from competency_gaps.explorer.queries.subject import FLAGS, Subject
from competency_gaps.explorer.queries.values import fields, foreign
from competency_gaps.report.findings import with_followers
from competency_gaps.report.labels import marks_of, provenance
from competency_gaps.text import excerpt

EXCERPT = 300
"""Most characters of a text around the token where a concept is strongest [ours]."""
_WITHIN = (
    *("gap", "gap_low", "gap_high", "plain_gap", "plain_q", "vanishes", "detectable", "q_value", "performance_status"),
    *("leader", "chi_model", "support", "n_eff"),
    *("chi_bench", "lift", "coverage_status", "chance_seen"),
)
"""Columns that a benchmark has of its own."""
_LISTED = (
    *("gap", "gap_low", "gap_high", "plain_gap", "vanishes", "q_value", "performance_status", "followers"),
    *("chi_model", "support", "n_eff", "chi_bench", "lift", "coverage_status"),
)
_PERFORMANCE = ("gap", "plain_gap", "chi_model")
_ABSENT = ("density", "chance_seen")
_WHOLE = (
    *("alive", "missing", "ranked", *FLAGS, "peak_token", "density", "chi_bench", "lift", "coverage_status"),
    *("chance_seen", "chi_model", "chi_model_low", "chi_model_high", "gap", "gap_low", "gap_high", "p_value"),
    *("plain_gap", "plain_q", "vanishes", "detectable", "design_effect"),
    *("q_value", "performance_status", "leader", "followers", "support", "n_eff", "n_benchmarks"),
)
_PER_BENCHMARK = (
    *("benchmark", "chi_bench", "lift", "coverage_status", "chi_model", "chi_model_low", "chi_model_high", "gap"),
    *("gap_low", "gap_high", "q_value", "performance_status", "support", "n_eff"),
)
_TEXTS = ("benchmark", "item_id", "text", "response", "answer", "own_start", "own_end")


def top_concepts(subject: Subject, asked: TopConcepts) -> dict[str, Any]:
    """List concepts.

    Returns
    -------
    dict
        ``total`` that qualify and ``concepts``, the first of them.
    """
    table = _within(subject, asked.benchmark).filter(_wanted(asked))
    table = in_order(table, asked.sort, "concept", descending=asked.descending)
    return {
        "total": table.height,
        "concepts": [concept_row(subject, row) for row in table.head(asked.limit).iter_rows(named=True)],
    }


def concept_row(subject: Subject, row: dict[str, Any]) -> dict[str, Any]:
    """One line about a concept.

    Parameters
    ----------
    row
        Of ``Subject.concepts``, or with the numbers of one benchmark in their place.
    """
    absent = _ABSENT if row["coverage_status"] == "missing" else ()
    flags = [name for name in FLAGS if row[name]]
    return {
        **name_of(row),
        **({"label_marks": marks} if (marks := marks_of(row)) else {}),
        **({"flags": flags} if flags else {}),
        "theme": subject.theme_names.get(("theme", row["theme"])),
        **fields(row, (*_LISTED, *absent)),
    }


def name_of(row: dict[str, Any]) -> dict[str, Any]:
    """Id and label of a concept; a null label: the dictionary has none."""
    return {"concept": row["concept"], "label": foreign(row["label"])}


def one_concept(subject: Subject, asked: OneConcept) -> dict[str, Any]:
    """All about one concept, with short examples."""
    subject.run.check_concept(asked.concept)
    row = subject.concepts.row(asked.concept, named=True)
    part = subject.concept_part(asked.concept)
    within = subject.benchmark_rows(asked.concept)
    return {
        **name_of(row),
        "label_provenance": foreign(provenance(row), 300),
        "label_marks": marks_of(row),
        "other_labels": [foreign(one["label"]) for one in part["labels"][1:6]],
        "theme": subject.theme_names.get(("theme", row["theme"])),
        "theme_id": row["theme"],
        "subtheme": subject.theme_names.get(("subtheme", row["subtheme"])),
        **fields(row, _WHOLE),
        "promoted_tokens": _tokens(part["promoted"]),
        "suppressed_tokens": _tokens(part["suppressed"]),
        "similar": _related(subject, part["similar"], "cosine"),
        "coactive": _related(subject, part["coactive"], "jaccard"),
        "matched": [fields(one, ("taxonomy", "entry", "similarity", "verdict")) for one in part["matched"][:10]],
        "benchmarks": [fields(one, _PER_BENCHMARK) for one in within if one["support"] > 0],
        "benchmarks_without_it": [foreign(one["benchmark"]) for one in within if one["support"] == 0],
        "examples": _examples(subject, part["items"], asked.examples),
    }


def in_order(table: pl.DataFrame, key: str, number: str, *, descending: bool = False) -> pl.DataFrame:
    """Rows sorted by a column, those where it is null last; ties go by number.

    By performance, what was tested comes before what has too little data for it, and that before what is untested:
    a gap that nothing stands behind is no rank, at neither end.

    Parameters
    ----------
    table
        With ``performance_status``.
    number
        Column of the rows' ids.
    """
    status = pl.col("performance_status").cast(pl.String)
    tested = pl.when(status == "insufficient").then(1).when(status.is_null() | (status == "untested")).then(2)
    keys = [tested.otherwise(0)] if key in _PERFORMANCE else []
    keys += [pl.col(key)] if key == number else [pl.col(key), pl.col(number)]
    return table.sort(keys, descending=[descending and one.meta.eq(pl.col(key)) for one in keys], nulls_last=True)


def holds(column: str, text: str) -> pl.Expr:
    """Whether a column of text contains another text as it stands, both in lower case, as a search compares them."""
    return pl.col(column).str.to_lowercase().str.contains(text.lower(), literal=True)


def _within(subject: Subject, benchmark: str | None) -> pl.DataFrame:
    """All concepts; with a benchmark, its numbers in place of the suite's."""
    table = subject.concepts
    if benchmark is None:
        return table
    own = subject.parts.context.benchmark_concepts(subject.place_of(benchmark), _WITHIN)
    return with_followers(table.drop("followers").with_columns(own))


def _wanted(asked: TopConcepts) -> pl.Expr:
    wanted = pl.lit(True) if asked.flagged else pl.col("ranked")
    if asked.status is not None:
        wanted &= pl.col("performance_status") == asked.status
    if asked.coverage is not None:
        wanted &= pl.col("coverage_status") == asked.coverage
    if asked.theme is not None:
        wanted &= pl.col("theme") == asked.theme
    if asked.text is not None:
        wanted &= holds("label", asked.text)
    if asked.min_n_eff is not None:
        wanted &= pl.col("n_eff") >= asked.min_n_eff
    if asked.vanishes:
        wanted &= pl.col("vanishes")
    if asked.leaders_only:
        wanted &= pl.col("leader") == pl.col("concept")
    return wanted


def _tokens(tokens: list[str] | None) -> list[str | None] | None:
    return None if tokens is None else [foreign(token, 40) for token in tokens[:10]]


def _related(subject: Subject, pairs: list[list[Any]] | None, measure: str) -> list[dict[str, Any]] | None:
    """Other concepts with how near they are; null: never computed."""
    if pairs is None:
        return None
    rows = [(subject.concepts.row(int(concept), named=True), value) for concept, value in pairs[:8]]
    return [{**name_of(row), **fields({measure: value}, (measure,))} for row, value in rows]


def _examples(subject: Subject, uses: dict[str, list[dict[str, Any]]], limit: int) -> list[dict[str, Any]]:
    """The first items of each kind, their texts cut around the strongest token."""
    chosen = [(kind, use) for kind, listed in uses.items() for use in listed[:limit]]
    rows = subject.item_rows(sorted({use["item"] for _, use in chosen}), _TEXTS)
    texts = {row["item"]: row for row in rows}
    return [_example(kind, use, texts[use["item"]]) for kind, use in chosen]


def _example(kind: str, use: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    start, end = use["peak"] or (None, None)
    cut = excerpt(row["text"] or "", own=(row["own_start"], row["own_end"]), peak=(start, end), limit=EXCERPT)
    return {
        "which": kind,
        **fields({**row, **use}, ("item", "benchmark", "item_id", "score", "cas", "saliency")),
        "text": foreign(cut.before + cut.peak + cut.after, EXCERPT),
        "strongest_at": foreign(cut.peak, 60) or None,
        "response": foreign(row["response"], 160),
        "answer": foreign(row["answer"], 120),
    }
