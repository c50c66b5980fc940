"""A concept in detail: its figures in each benchmark, and items in which it is active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from competency_gaps.presentation.rankings import concept_name, flags_of
from competency_gaps.presentation.run_view import Order, RunView
from competency_gaps.text import Excerpt, excerpt, shorten

TEXT_LIMIT = 420
ANSWER_LIMIT = 240


@dataclass(frozen=True)
class Example:
    """One item in which a concept is active."""

    benchmark: str
    item_id: str
    excerpt: Excerpt
    response: str | None
    answer: str | None
    score: float | None
    """Null: unscored."""
    saliency: float
    """nCAS, 0 (absent) to 1."""
    repeats: int
    """Items that ask the same in which the concept is active, this one included; only this one is shown."""


@dataclass(frozen=True)
class ConceptView:
    """A concept in detail."""

    row: dict[str, Any]
    name: str
    flags: list[str]
    benchmarks: list[dict[str, Any]]
    """The concept's rows of the run's concept_benchmarks."""
    groups: list[tuple[str, list[Example]]]
    """Titled lists of examples, none of them empty."""


def examples_of(run: RunView, concept: int, order: Order, limit: int) -> list[Example]:
    """Fetch examples of a concept, cut to what can be read."""
    rows = run.concept_items(concept, order=order, limit=limit)
    return [
        Example(
            benchmark=row["benchmark"],
            item_id=shorten(row["item_id"], 60),
            excerpt=excerpt(
                row["text"] or "",
                own=(row["own_start"], row["own_end"]),
                peak=(row["peak_start"], row["peak_end"]),
                limit=TEXT_LIMIT,
            ),
            response=None if row["response"] is None else shorten(row["response"], ANSWER_LIMIT),
            answer=None if row["answer"] is None else shorten(row["answer"], ANSWER_LIMIT),
            score=row["score"],
            saliency=row["ncas"],
            repeats=row["repeats"],
        )
        for row in rows.iter_rows(named=True)
    ]


def concept_detail(run: RunView, row: dict[str, Any], per_benchmark: pl.DataFrame, examples: int) -> ConceptView:
    """Gather one concept's detail.

    Parameters
    ----------
    run : RunView
    row : dict
        The concept's row of ``run.concepts``.
    per_benchmark : DataFrame
        The concept's rows of ``run.concept_benchmarks``.
    examples : int
        Items per list.
    """
    concept = int(row["concept"])
    groups = [] if row["missing"] else _groups(run, concept, examples, scored=row["chi_model"] is not None)
    return ConceptView(row, concept_name(row), flags_of(row), per_benchmark.to_dicts(), groups)


def _groups(run: RunView, concept: int, limit: int, *, scored: bool) -> list[tuple[str, list[Example]]]:
    """Choose the lists of examples; no item is in two of them, and equal scores are not called best and worst."""
    best = examples_of(run, concept, "best", limit) if scored else []
    worst = examples_of(run, concept, "worst", limit) if scored else []
    if not best or not worst:
        groups = [("Where it is strongest", examples_of(run, concept, "strongest", limit))]
    elif best[0].score == worst[0].score:
        groups = [("Every scored item has the same score", best)]
    else:
        seen = {(example.benchmark, example.item_id) for example in best}
        rest = [example for example in worst if (example.benchmark, example.item_id) not in seen]
        groups = [("Best items", best), ("Worst items", rest)]
    return [group for group in groups if group[1]]


def concept_details(run: RunView, frames: list[pl.DataFrame], examples: int) -> list[ConceptView]:
    """Gather the details of every concept in ``frames``, each once, in order of their number."""
    wanted = sorted({int(concept) for frame in frames for concept in frame["concept"]})
    rows = run.concepts.filter(pl.col("concept").is_in(wanted)).sort("concept")
    parts = {
        int(str(key[0])): part
        for key, part in run.concept_benchmarks.filter(pl.col("concept").is_in(wanted)).group_by(
            "concept", maintain_order=True
        )
    }
    empty = run.concept_benchmarks.clear()
    return [
        concept_detail(run, row, parts.get(int(row["concept"]), empty), examples) for row in rows.iter_rows(named=True)
    ]
