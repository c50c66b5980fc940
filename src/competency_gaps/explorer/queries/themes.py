"""Questions about themes."""

from __future__ import annotations

from typing import Any

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.explorer.queries.arguments import ListThemes, OneTheme
from competency_gaps.explorer.queries.concepts import concept_row, holds, in_order
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import fields

_LISTED = (
    *("id", "parent", "name", "concepts", "ranked", "gap", "gap_low", "gap_high", "q_value", "performance_status"),
    *("chi_model", "chi_bench", "support", "n_eff", "weak_concepts", "weak_groups", "strong_concepts"),
    "missing_concepts",
)
_WHOLE = (*_LISTED, "level", "kind", "chi_bench_mean", "chi_model_low", "chi_model_high", "p_value")
_PER_BENCHMARK = (
    *("benchmark", "chi_bench", "chi_model", "support", "n_eff", "gap", "gap_low", "gap_high", "q_value"),
    "performance_status",
)


def list_themes(subject: Subject, asked: ListThemes) -> dict[str, Any]:
    """List themes or subthemes; ``total`` that qualify and ``themes``, the first of them."""
    table = _results(subject).filter(pl.col("level") == asked.level)
    if asked.status is not None:
        table = table.filter(pl.col("performance_status") == asked.status)
    if asked.text is not None:
        table = table.filter(holds("name", asked.text))
    table = in_order(table, asked.sort, "id", descending=asked.descending)
    return {
        "total": table.height,
        "themes": [fields(row, _LISTED) for row in table.head(asked.limit).iter_rows(named=True)],
    }


def one_theme(subject: Subject, asked: OneTheme) -> dict[str, Any]:
    """One theme with its subthemes, its numbers per benchmark and its weakest concepts."""
    results = _results(subject)
    same_level = results.filter(pl.col("level") == asked.level)
    own = same_level.filter(pl.col("id") == asked.theme)
    if own.is_empty():
        raise UserError(
            f"there is no {asked.level} {asked.theme} in this run: it has {same_level.height:,}, "
            "whose ids the query themes lists."
        )
    children = results.filter((pl.col("level") == "subtheme") & (pl.col("parent") == asked.theme))
    members = subject.concepts.filter((pl.col(asked.level) == asked.theme) & pl.col("ranked"))
    members = in_order(members, "gap", "concept")
    parts = subject.run.theme_benchmarks
    parts = None if parts is None else parts.filter((pl.col("level") == asked.level) & (pl.col("id") == asked.theme))
    return {
        **fields(own.row(0, named=True), _WHOLE),
        "subthemes": []
        if asked.level == "subtheme"
        else [fields(row, _LISTED) for row in in_order(children, "gap", "id").iter_rows(named=True)],
        "benchmarks": [] if parts is None else [fields(row, _PER_BENCHMARK) for row in parts.iter_rows(named=True)],
        "weakest_concepts": [concept_row(subject, row) for row in members.head(asked.concepts).iter_rows(named=True)],
    }


def _results(subject: Subject) -> pl.DataFrame:
    if subject.run.theme_results is None:
        raise UserError(
            "this run has no themes: its dictionary has none, or no dictionary was put on it. Concepts can be listed "
            "without; themes are made with 'cgaps themes' and put on a run with 'cgaps name'."
        )
    return subject.run.theme_results
