"""Questions about concepts and themes."""

from __future__ import annotations

from typing import Any

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.explorer.queries.arguments import ListThemes, OneConcept, OneTheme, TopConcepts
from competency_gaps.explorer.queries.subject import FLAGS, Subject
from competency_gaps.explorer.queries.values import fields, foreign
from competency_gaps.presentation.labels import marks_of, provenance
from competency_gaps.presentation.rankings import with_followers
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


def top_concepts(subject: Subject, arguments: TopConcepts) -> dict[str, Any]:
    """List concepts.

    Returns
    -------
    dict
        ``total`` that qualify and ``concepts``, the first of them.
    """
    table = _within(subject, arguments.benchmark).filter(_wanted(arguments))
    table = in_order(table, arguments.sort, "concept", descending=arguments.descending)
    return {
        "total": table.height,
        "concepts": [concept_row(subject, row) for row in table.head(arguments.limit).iter_rows(named=True)],
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
    """Id and label of a concept; the label is None if the dictionary has none."""
    return {"concept": row["concept"], "label": foreign(row["label"])}


def one_concept(subject: Subject, arguments: OneConcept) -> dict[str, Any]:
    """Describe one concept, with short examples."""
    subject.run.check_concept(arguments.concept)
    row = subject.concepts.row(arguments.concept, named=True)
    part = subject.concept_part(arguments.concept)
    within = subject.benchmark_rows(arguments.concept)
    return {
        **name_of(row),
        "label_provenance": foreign(provenance(row), 300),
        "label_marks": marks_of(row),
        "other_labels": [foreign(label["label"]) for label in part["labels"][1:6]],
        "theme": subject.theme_names.get(("theme", row["theme"])),
        "theme_id": row["theme"],
        "subtheme": subject.theme_names.get(("subtheme", row["subtheme"])),
        **fields(row, _WHOLE),
        "promoted_tokens": _tokens(part["promoted"]),
        "suppressed_tokens": _tokens(part["suppressed"]),
        "similar": _related(subject, part["similar"], "cosine"),
        "coactive": _related(subject, part["coactive"], "jaccard"),
        "matched": [fields(match, ("taxonomy", "entry", "similarity", "verdict")) for match in part["matched"][:10]],
        "benchmarks": [fields(numbers, _PER_BENCHMARK) for numbers in within if numbers["support"] > 0],
        "benchmarks_without_it": [foreign(numbers["benchmark"]) for numbers in within if numbers["support"] == 0],
        "examples": _examples(subject, part["items"], arguments.examples),
    }


def in_order(table: pl.DataFrame, key: str, number: str, *, descending: bool = False) -> pl.DataFrame:
    """Rows sorted by a column, nulls last; ties are sorted by id.

    If the column measures performance, tested rows come before those with too little data, and these before untested
    ones, whichever the direction: a gap without evidence must not lead a ranking.

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
    return table.sort(
        keys, descending=[descending and sort_key.meta.eq(pl.col(key)) for sort_key in keys], nulls_last=True
    )


def holds(column: str, text: str) -> pl.Expr:
    """Whether a column of text contains a text, regardless of case."""
    return pl.col(column).str.to_lowercase().str.contains(text.lower(), literal=True)


def _within(subject: Subject, benchmark: str | None) -> pl.DataFrame:
    """All concepts, with the numbers of a benchmark (if one is given) in place of the suite's."""
    table = subject.concepts
    if benchmark is None:
        return table
    own = subject.parts.context.benchmark_concepts(subject.place_of(benchmark), _WITHIN)
    return with_followers(table.drop("followers").with_columns(own))


def _wanted(arguments: TopConcepts) -> pl.Expr:
    wanted = pl.lit(True) if arguments.flagged else pl.col("ranked")
    if arguments.status is not None:
        wanted &= pl.col("performance_status") == arguments.status
    if arguments.coverage is not None:
        wanted &= pl.col("coverage_status") == arguments.coverage
    if arguments.theme is not None:
        wanted &= pl.col("theme") == arguments.theme
    if arguments.text is not None:
        wanted &= holds("label", arguments.text)
    if arguments.min_n_eff is not None:
        wanted &= pl.col("n_eff") >= arguments.min_n_eff
    if arguments.vanishes:
        wanted &= pl.col("vanishes")
    if arguments.leaders_only:
        wanted &= pl.col("leader") == pl.col("concept")
    return wanted


def _tokens(tokens: list[str] | None) -> list[str | None] | None:
    return None if tokens is None else [foreign(token, 40) for token in tokens[:10]]


def _related(subject: Subject, pairs: list[list[Any]] | None, measure: str) -> list[dict[str, Any]] | None:
    """Other concepts with their similarity; None: it was never computed."""
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


_THEME_LISTED = (
    *("id", "parent", "name", "concepts", "ranked", "gap", "gap_low", "gap_high", "q_value", "performance_status"),
    *("chi_model", "chi_bench", "support", "n_eff", "weak_concepts", "weak_groups", "strong_concepts"),
    "missing_concepts",
)
_THEME_WHOLE = (*_THEME_LISTED, "level", "kind", "chi_bench_mean", "chi_model_low", "chi_model_high", "p_value")
_THEME_PER_BENCHMARK = (
    *("benchmark", "chi_bench", "chi_model", "support", "n_eff", "gap", "gap_low", "gap_high", "q_value"),
    "performance_status",
)


def list_themes(subject: Subject, arguments: ListThemes) -> dict[str, Any]:
    """List themes or subthemes; ``total`` that qualify and ``themes``, the first of them."""
    table = _results(subject).filter(pl.col("level") == arguments.level)
    if arguments.status is not None:
        table = table.filter(pl.col("performance_status") == arguments.status)
    if arguments.text is not None:
        table = table.filter(holds("name", arguments.text))
    table = in_order(table, arguments.sort, "id", descending=arguments.descending)
    return {
        "total": table.height,
        "themes": [fields(row, _THEME_LISTED) for row in table.head(arguments.limit).iter_rows(named=True)],
    }


def one_theme(subject: Subject, arguments: OneTheme) -> dict[str, Any]:
    """Describe one theme: its subthemes, its numbers per benchmark and its weakest concepts."""
    results = _results(subject)
    same_level = results.filter(pl.col("level") == arguments.level)
    own = same_level.filter(pl.col("id") == arguments.theme)
    if own.is_empty():
        raise UserError(
            f"there is no {arguments.level} {arguments.theme} in this run: it has {same_level.height:,}, "
            "whose ids the query themes lists."
        )
    children = results.filter((pl.col("level") == "subtheme") & (pl.col("parent") == arguments.theme))
    members = subject.concepts.filter((pl.col(arguments.level) == arguments.theme) & pl.col("ranked"))
    members = in_order(members, "gap", "concept")
    parts = subject.run.theme_benchmarks
    parts = (
        None
        if parts is None
        else parts.filter((pl.col("level") == arguments.level) & (pl.col("id") == arguments.theme))
    )
    return {
        **fields(own.row(0, named=True), _THEME_WHOLE),
        "subthemes": []
        if arguments.level == "subtheme"
        else [fields(row, _THEME_LISTED) for row in in_order(children, "gap", "id").iter_rows(named=True)],
        "benchmarks": []
        if parts is None
        else [fields(row, _THEME_PER_BENCHMARK) for row in parts.iter_rows(named=True)],
        "weakest_concepts": [
            concept_row(subject, row) for row in members.head(arguments.concepts).iter_rows(named=True)
        ],
    }


def _results(subject: Subject) -> pl.DataFrame:
    if subject.run.theme_results is None:
        raise UserError(
            "this run has no themes: its dictionary has none, or no dictionary was put on it. Concepts can be listed "
            "without; themes are made with 'cgaps themes' and put on a run with 'cgaps name'."
        )
    return subject.run.theme_results
