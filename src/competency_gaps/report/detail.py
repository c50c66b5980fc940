"""A concept in detail: its figures in each benchmark, and items in which it is active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from competency_gaps.runs.open import Order, RunFolder
from competency_gaps.text import excerpt

TEXT_LIMIT = 420


@dataclass(frozen=True)
class ConceptView:
    """A concept in detail."""

    row: dict[str, Any]
    benchmarks: list[dict[str, Any]]
    """The concept's rows of the run's concept_benchmarks."""
    groups: list[tuple[str, list[dict[str, Any]]]]
    """Titled lists of items, none of them empty: rows of :meth:`RunFolder.concept_items`, each with its ``excerpt``."""


def _examples(run: RunFolder, concept: int, order: Order, limit: int) -> list[dict[str, Any]]:
    """Items in which a concept is active, with the stretch of each text that is shown."""
    rows = run.concept_items(concept, order=order, limit=limit).to_dicts()
    for row in rows:
        own, peak = (row["own_start"], row["own_end"]), (row["peak_start"], row["peak_end"])
        row["excerpt"] = excerpt(row["text"] or "", own=own, peak=peak, limit=TEXT_LIMIT)
    return rows


def concept_detail(run: RunFolder, row: dict[str, Any], per_benchmark: pl.DataFrame, examples: int) -> ConceptView:
    """Gather one concept's detail.

    Parameters
    ----------
    run : RunFolder
    row : dict
        The concept's row of ``run.concepts``.
    per_benchmark : DataFrame
        The concept's rows of ``run.concept_benchmarks``.
    examples : int
        Items per list.
    """
    concept = int(row["concept"])
    groups = [] if row["missing"] else _groups(run, concept, examples, scored=row["chi_model"] is not None)
    return ConceptView(row, per_benchmark.to_dicts(), groups)


def _groups(run: RunFolder, concept: int, limit: int, *, scored: bool) -> list[tuple[str, list[dict[str, Any]]]]:
    """Choose the lists of examples; no item is in two of them, and equal scores are not called best and worst."""
    best = _examples(run, concept, "best", limit) if scored else []
    worst = _examples(run, concept, "worst", limit) if scored else []
    if not best or not worst:
        groups = [("Where it is strongest", _examples(run, concept, "strongest", limit))]
    elif best[0]["score"] == worst[0]["score"]:
        groups = [("Every scored item has the same score", best)]
    else:
        seen = {(example["benchmark"], example["item_id"]) for example in best}
        rest = [example for example in worst if (example["benchmark"], example["item_id"]) not in seen]
        groups = [("Best items", best), ("Worst items", rest)]
    return [group for group in groups if group[1]]


def concept_details(run: RunFolder, frames: list[pl.DataFrame], examples: int) -> list[ConceptView]:
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
