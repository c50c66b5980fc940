"""Candidates for matching: labelled concepts and themes of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.text import visible

KINDS = ("explained", "imported", "automatic")
"""Kinds of labels."""
TEXT_LIMIT = 300
"""Characters of a label that are embedded and shown."""

CONCEPT_COLUMNS: dict[str, type[pl.DataType]] = {
    "concept": pl.Int32,
    "label": pl.String,
    "label_kind": pl.String,
    "label_score": pl.Float64,
    "alive": pl.Boolean,
    "ranked": pl.Boolean,
    "missing": pl.Boolean,
    "chi_bench": pl.Float64,
    "chi_model": pl.Float64,
    "gap": pl.Float64,
    "q_value": pl.Float64,
    "performance_status": pl.String,
    "coverage_status": pl.String,
    "leader": pl.Int32,
}
"""Columns of ``run.concepts``; the kind and score of labels are null where the run has none."""
THEME_COLUMNS: dict[str, type[pl.DataType]] = {
    "level": pl.String,
    "id": pl.Int32,
    "name": pl.String,
    "chi_bench": pl.Float64,
    "chi_model": pl.Float64,
    "gap": pl.Float64,
    "q_value": pl.Float64,
    "performance_status": pl.String,
}
_OPTIONAL = ("label_kind", "label_score")


@dataclass(frozen=True)
class MatchCandidates:
    """Labelled concepts, and themes."""

    concepts: pl.DataFrame
    """``CONCEPT_COLUMNS`` and ``text`` (the embedded text), in the order of concepts."""
    themes: pl.DataFrame
    """``THEME_COLUMNS`` and ``text``; empty if the run has no themes."""
    unlabelled: int
    """Number of ranked concepts without a label, which no entry can match."""


def candidates(concepts: pl.DataFrame, themes: pl.DataFrame | None = None) -> MatchCandidates:
    """Gather the candidates for matching: ranked concepts with a label, and themes.

    Parameters
    ----------
    concepts
        ``run.concepts``.
    themes
        One row per theme and subtheme with ``THEME_COLUMNS``; None: the run has none.

    Raises
    ------
    UserError
        If no ranked concept has a label.
    """
    # A concept of another kind is not a competency.
    frame = _typed(concepts, CONCEPT_COLUMNS).filter(pl.col("ranked"))
    labelled = frame.with_columns(text=label_text("label")).filter(pl.col("text") != "")
    if labelled.is_empty():
        raise UserError(
            f"none of the {frame.height:,} ranked concepts has a label, so nothing can be matched. "
            "Label the SAE's concepts ('cgaps concepts label' or 'cgaps concepts import'), then put the labels on the "
            "run: 'cgaps concepts name RUN DICTIONARY'."
        )
    named = pl.DataFrame(schema=THEME_COLUMNS) if themes is None else _typed(themes, THEME_COLUMNS)
    return MatchCandidates(
        concepts=labelled.sort("concept"),
        themes=named.with_columns(text=label_text("name")).filter(pl.col("text") != ""),
        unlabelled=frame.height - labelled.height,
    )


def with_labels_of(kinds: Sequence[str], concepts: pl.DataFrame) -> pl.DataFrame:
    """Leave out the labels of other kinds; the concepts stay.

    Parameters
    ----------
    kinds
        Of ``KINDS``; empty: all.
    concepts
        ``run.concepts``.

    Raises
    ------
    UserError
        If a kind is unknown.
    """
    wrong = sorted(set(kinds) - set(KINDS))
    if wrong:
        raise UserError(f"the kind of labels {wrong[0]!r} is unknown: expected {', '.join(KINDS)}.")
    if not kinds:
        return concepts
    return concepts.with_columns(label=pl.when(pl.col("label_kind").is_in(kinds)).then(pl.col("label")))


def is_weak() -> pl.Expr:
    """Whether a concept is ranked and weak."""
    return pl.col("ranked") & (pl.col("performance_status") == "weak").fill_null(False)


def label_text(column: str) -> pl.Expr:
    """The text of a label that is embedded: a line without control characters, cut to ``TEXT_LIMIT``."""
    line = pl.col(column).str.slice(0, 4 * TEXT_LIMIT).str.replace_all(r"\s+", " ").str.strip_chars()
    return line.map_elements(visible, return_dtype=pl.String).str.slice(0, TEXT_LIMIT)


def _typed(frame: pl.DataFrame, columns: dict[str, type[pl.DataType]]) -> pl.DataFrame:
    """Select columns in their types; a run without labels' kinds and scores has null there."""
    absent = {name: None for name in _OPTIONAL if name not in frame.columns}
    return frame.with_columns(**absent).select(pl.col(name).cast(kind) for name, kind in columns.items())
