"""Questions about concepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import polars as pl

from competency_gaps.explorer.parts.records.details import ItemUse, ItemUses
from competency_gaps.explorer.queries.arguments import OneConcept, TopConcepts
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import (
    AtMost,
    NamedConcept,
    Number,
    QueryAnswer,
    Statistics,
    Text120,
    Text160,
    Text300,
)
from competency_gaps.presentation.facts import marks_of, provenance
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
_PERFORMANCE = ("gap", "plain_gap", "chi_model")
_TEXTS = ("benchmark", "item_id", "text", "response", "answer", "own_start", "own_end")


class ConceptLine(NamedConcept, Statistics):
    """A concept in a list."""

    label_marks: list[str] = []
    kind: str | None
    theme: str | None
    plain_gap: Number
    vanishes: bool | None
    followers: int | None
    lift: Number
    coverage_status: str | None
    density: Number = None
    chance_seen: Number = None


class ConceptList(QueryAnswer):
    """``total`` concepts qualify; the first of them."""

    total: int
    concepts: list[ConceptLine]


class RelatedConcept(NamedConcept):
    """A concept with the measure of how near it is."""

    cosine: Number = None
    jaccard: Number = None


class MatchLine(QueryAnswer):
    """An entry of somebody's list."""

    taxonomy: str
    by: str
    number: int
    entry: str
    strength: Number
    verdict: str | None


class ConceptBenchmarkLine(Statistics):
    """A concept within one benchmark."""

    benchmark: str
    lift: Number
    coverage_status: str | None
    chi_model_low: Number
    chi_model_high: Number


class ConceptExample(QueryAnswer):
    """An item of a concept, its text cut around the strongest token."""

    which: Literal["strongest", "best", "worst"]
    item: int
    benchmark: str
    item_id: str
    score: Number
    cas: Number
    saliency: Number
    text: Text300
    strongest_at: Annotated[str | None, AtMost(60)]
    response: Text160
    answer: Text120


class ConceptAnswer(ConceptLine):
    """All about one concept."""

    label_provenance: Text300
    other_labels: list[str]
    theme_id: int | None
    subtheme: str | None
    alive: bool
    missing: bool
    ranked: bool
    lexical_share: Number
    coherence: Number
    stability: Number
    peak_token: str | None
    chi_model_low: Number
    chi_model_high: Number
    p_value: Number
    plain_q: Number
    detectable: Number
    design_effect: Number
    leader: int | None
    n_benchmarks: int
    promoted_tokens: Annotated[list[str] | None, AtMost(40)]
    suppressed_tokens: Annotated[list[str] | None, AtMost(40)]
    similar: list[RelatedConcept] | None
    coactive: list[RelatedConcept] | None
    matched: list[MatchLine]
    benchmarks: list[ConceptBenchmarkLine]
    benchmarks_without_it: list[str]
    examples: list[ConceptExample]


def top_concepts(subject: Subject, arguments: TopConcepts) -> ConceptList:
    """List concepts."""
    table = _within(subject, arguments.benchmark).filter(_selection(arguments))
    table = in_order(table, arguments.sort, "concept", descending=arguments.descending)
    rows = table.head(arguments.limit).iter_rows(named=True)
    return ConceptList(total=table.height, concepts=[concept_line(subject, row) for row in rows])


def concept_line(subject: Subject, row: dict[str, Any]) -> ConceptLine:
    """One line about a concept.

    Parameters
    ----------
    row
        Of ``Subject.concepts``, or with the numbers of one benchmark in their place.
    """
    marks = marks_of(row)
    left_out = set() if marks else {"label_marks"}
    if row["coverage_status"] != "missing":
        left_out |= {"density", "chance_seen"}
    facts = {**row, "label_marks": marks, "theme": subject.theme_names.get(("theme", row["theme"]))}
    return ConceptLine.model_validate({name: value for name, value in facts.items() if name not in left_out})


def one_concept(subject: Subject, arguments: OneConcept) -> ConceptAnswer:
    """Describe one concept, with short examples."""
    subject.run.check_concept(arguments.concept)
    row = subject.concepts.row(arguments.concept, named=True)
    detail = subject.concept_detail(arguments.concept)
    within = subject.context.sources.benchmark_rows(arguments.concept)
    facts = {
        "label_provenance": provenance(row),
        "label_marks": marks_of(row),
        "other_labels": [label.label for label in detail.labels[1:6]],
        "theme": subject.theme_names.get(("theme", row["theme"])),
        "theme_id": row["theme"],
        "subtheme": subject.theme_names.get(("subtheme", row["subtheme"])),
        "promoted_tokens": None if detail.promoted is None else detail.promoted[:10],
        "suppressed_tokens": None if detail.suppressed is None else detail.suppressed[:10],
        "similar": _related(subject, detail.similar, "cosine"),
        "coactive": _related(subject, detail.coactive, "jaccard"),
        "matched": [MatchLine.model_validate(match) for match in detail.matched[:10]],
        "benchmarks": [ConceptBenchmarkLine.model_validate(numbers) for numbers in within if numbers["support"] > 0],
        "benchmarks_without_it": [numbers["benchmark"] for numbers in within if numbers["support"] == 0],
        "examples": _examples(subject, detail.items, arguments.examples),
    }
    return ConceptAnswer.model_validate({**row, **facts})


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


def contains(column: str, text: str) -> pl.Expr:
    """Whether a column of text contains a text, regardless of case."""
    return pl.col(column).str.to_lowercase().str.contains(text.lower(), literal=True)


def _within(subject: Subject, benchmark: str | None) -> pl.DataFrame:
    """All concepts, with the numbers of a benchmark (if one is given) in place of the suite's."""
    table = subject.concepts
    if benchmark is None:
        return table
    own = subject.context.benchmark_concepts(subject.place_of(benchmark), _WITHIN)
    return with_followers(table.drop("followers").with_columns(own))


def _selection(arguments: TopConcepts) -> pl.Expr:
    selected = pl.lit(True) if arguments.all_kinds else pl.col("ranked")
    if arguments.kind is not None:
        selected = pl.col("kind") == arguments.kind
    if arguments.status is not None:
        selected &= pl.col("performance_status") == arguments.status
    if arguments.coverage is not None:
        selected &= pl.col("coverage_status") == arguments.coverage
    if arguments.theme is not None:
        selected &= pl.col("theme") == arguments.theme
    if arguments.text is not None:
        selected &= contains("label", arguments.text)
    if arguments.min_n_eff is not None:
        selected &= pl.col("n_eff") >= arguments.min_n_eff
    if arguments.vanishes:
        selected &= pl.col("vanishes")
    if arguments.leaders_only:
        selected &= pl.col("leader") == pl.col("concept")
    return selected


def _related(
    subject: Subject, pairs: Sequence[tuple[int, float]] | None, measure: Literal["cosine", "jaccard"]
) -> list[RelatedConcept] | None:
    """Other concepts with their similarity; None: not known."""
    if pairs is None:
        return None
    return [
        RelatedConcept.model_validate({**subject.concepts.row(concept, named=True), measure: value})
        for concept, value in pairs[:8]
    ]


def _examples(subject: Subject, uses: ItemUses, limit: int) -> list[ConceptExample]:
    """The first items of each kind."""
    chosen = [(kind, use) for kind, listed in vars(uses).items() for use in listed[:limit]]
    rows = subject.item_rows(sorted({use.item for _, use in chosen}), _TEXTS)
    texts = {row["item"]: row for row in rows}
    return [_example(kind, use, texts[use.item]) for kind, use in chosen]


def _example(kind: str, use: ItemUse, row: dict[str, Any]) -> ConceptExample:
    own, peak = (row["own_start"], row["own_end"]), use.peak or (None, None)
    cut = excerpt(row["text"] or "", own=own, peak=peak, limit=EXCERPT)
    text = {"text": cut.before + cut.peak + cut.after, "strongest_at": cut.peak or None}
    return ConceptExample.model_validate({**row, **vars(use), **text, "which": kind})
