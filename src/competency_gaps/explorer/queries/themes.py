"""Questions about themes."""

from __future__ import annotations

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.explorer.queries.arguments import ListThemes, OneTheme
from competency_gaps.explorer.queries.concepts import ConceptLine, concept_line, contains, in_order
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import Number, QueryAnswer, Statistics


class ThemeLine(Statistics):
    """A theme in a list."""

    id: int
    parent: int | None
    name: str | None
    concepts: int
    ranked: int
    weak_concepts: int
    weak_groups: int
    strong_concepts: int
    missing_concepts: int


class ThemeList(QueryAnswer):
    """``total`` themes qualify; the first of them."""

    total: int
    themes: list[ThemeLine]


class ThemeBenchmarkLine(Statistics):
    """A theme within one benchmark."""

    benchmark: str


class ThemeAnswer(ThemeLine):
    """All about one theme."""

    level: str
    kind: str | None
    chi_bench_mean: Number
    chi_model_low: Number
    chi_model_high: Number
    p_value: Number
    subthemes: list[ThemeLine]
    benchmarks: list[ThemeBenchmarkLine]
    weakest_concepts: list[ConceptLine]


def list_themes(subject: Subject, arguments: ListThemes) -> ThemeList:
    """List themes or subthemes."""
    table = _results(subject).filter(pl.col("level") == arguments.level)
    if arguments.status is not None:
        table = table.filter(pl.col("performance_status") == arguments.status)
    if arguments.text is not None:
        table = table.filter(contains("name", arguments.text))
    table = in_order(table, arguments.sort, "id", descending=arguments.descending)
    return ThemeList(total=table.height, themes=_lines(table.head(arguments.limit)))


def one_theme(subject: Subject, arguments: OneTheme) -> ThemeAnswer:
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
    weakest = in_order(members, "gap", "concept").head(arguments.concepts)
    within = subject.run.theme_benchmarks
    if within is not None:
        within = within.filter((pl.col("level") == arguments.level) & (pl.col("id") == arguments.theme))
    facts = {
        "subthemes": [] if arguments.level == "subtheme" else _lines(in_order(children, "gap", "id")),
        "benchmarks": [] if within is None else list(map(ThemeBenchmarkLine.model_validate, within.to_dicts())),
        "weakest_concepts": [concept_line(subject, row) for row in weakest.iter_rows(named=True)],
    }
    return ThemeAnswer.model_validate({**own.row(0, named=True), **facts})


def _lines(table: pl.DataFrame) -> list[ThemeLine]:
    return [ThemeLine.model_validate(row) for row in table.iter_rows(named=True)]


def _results(subject: Subject) -> pl.DataFrame:
    if subject.run.theme_results is None:
        raise UserError(
            "this run has no themes: its dictionary has none, or no dictionary was put on it. Concepts can be listed "
            "without; themes are made with 'cgaps themes' and put on a run with 'cgaps name'."
        )
    return subject.run.theme_results
