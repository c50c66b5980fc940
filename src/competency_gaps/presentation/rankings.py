"""Which concepts go into which table, and the sentences about them."""

from __future__ import annotations

from typing import Any

import polars as pl

from competency_gaps.dictionary.kinds import CONTEXTUAL
from competency_gaps.errors import UserError, nearest
from competency_gaps.presentation import columns
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.search import find_concepts
from competency_gaps.text import plural, shorten

LABEL_LIMIT = 140


def badges_of(row: dict[str, Any]) -> list[str]:
    """List a concept's badges: its kind if it is no topic or skill, and whether it is never active or missing."""
    dead = [] if row["alive"] else ["dead"]
    kind = [] if row["kind"] in (None, CONTEXTUAL) else [row["kind"]]
    return dead + kind + (["missing"] if row["missing"] else [])


def concept_name(row: dict[str, Any]) -> str:
    """Give the label, or ``concept 123`` where the dictionary abstains."""
    label = row["label"]
    return shorten(label, LABEL_LIMIT) if label else f"concept {row['concept']}"


def list_concepts(
    run: RunFolder, words: str | None = None
) -> tuple[pl.DataFrame, tuple[columns.Quantity, ...], str | None]:
    """List concepts: rows of ``run.concepts`` in order, the columns to show, and in a sentence what was searched for.

    Parameters
    ----------
    run : RunFolder
    words : str, optional
        Only concepts whose labels have these words, those that are not tested too. None: the tested ones, the
        lowest association first; where there are none, the ranked ones that are covered, the least first.

    Raises
    ------
    UserError
        If no label has the words; the nearest one is named.
    """
    run.check_reading("A list of concepts")
    table = run.concepts.drop("tau", strict=False)
    if words is not None:
        matches = find_concepts(run.concepts, words)
        if not matches.height:
            known = run.concepts["label"].drop_nulls().to_list()
            raise UserError(f"no concept's label has the words {shorten(words, 80)!r}.{nearest(words, known)}")
        table = matches.select("concept").join(table, on="concept", how="left", maintain_order="left")
        have = "has" if matches.height == 1 else "have"
        sentence = f"{plural(matches.height, 'label')} {have} the words {shorten(words, 80)!r}."
        return table, columns.LISTED, sentence
    tested = table.filter(pl.col("ranked") & pl.col("q_value").is_not_null())
    if tested.height:
        return tested.sort("association", "concept"), columns.LISTED, None
    covered = table.filter(pl.col("ranked") & (pl.col("chi_bench") > 0))
    return covered.sort("chi_bench", "concept"), columns.LEAST_COVERED, None
