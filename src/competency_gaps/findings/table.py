"""The table of findings: one row per led group of weak or strong concepts, as ``findings.parquet`` holds it."""

from __future__ import annotations

from typing import Any, Literal

import polars as pl

from competency_gaps.findings.sentences import with_words

FILE = "findings.parquet"
MOST_ITEMS = 500
"""Rows of ``items.parquet`` that a finding lists, at most; its figures are over all of its items."""
EXAMPLES = 3
"""Failing items, and as many passing ones, that stand side by side."""

Verdict = Literal["weak", "strong"]

SCHEMA: dict[str, Any] = {
    "finding": pl.Int32,
    "verdict": pl.String,
    "leader": pl.Int32,
    "label": pl.String,
    "concepts": pl.List(pl.Int32),
    "items": pl.Int32,
    "clusters": pl.Int32,
    "item_rows": pl.List(pl.Int32),
    "weights": pl.List(pl.Float32),
    "example": pl.String,
    "unit": pl.String,
    "n_eff": pl.Float64,
    "mean_score": pl.Float64,
    "plain_gap": pl.Float64,
    "gap": pl.Float64,
    "gap_low": pl.Float64,
    "gap_high": pl.Float64,
    "p_value": pl.Float64,
    "q_value": pl.Float64,
    "detectable": pl.Float64,
    "benchmarks": pl.List(pl.Struct({"benchmark": pl.String, "items": pl.Int32, "share": pl.Float64})),
    "feature": pl.String,
    "feature_benchmarks": pl.List(pl.String),
    "counted": pl.String,
    "feature_items": pl.Int32,
    "feature_score": pl.Float64,
    "other_items": pl.Int32,
    "other_score": pl.Float64,
    "feature_p": pl.Float64,
    "wording": pl.String,
    "wording_source": pl.String,
    "failing": pl.List(pl.Int32),
    "passing": pl.List(pl.Int32),
    "unseen_gap": pl.Float64,
    "unseen_low": pl.Float64,
    "unseen_high": pl.Float64,
    "unseen_splits": pl.Int32,
    "splits": pl.Int32,
    "holds": pl.Boolean,
    "feature_words": pl.String,
    "sentence": pl.String,
}
"""Columns and their types; ``docs/run-folder.md`` says what each holds and what null means."""


def empty_table() -> pl.DataFrame:
    """A table without a finding."""
    return pl.DataFrame(schema=SCHEMA)


def table_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """The table of these rows, weak ones first, then by the size of the gap times the items that it concerns.

    Parameters
    ----------
    rows
        All columns but ``finding`` and the words, which are made here; a column that is left out is null.
    """
    ordered = sorted(rows, key=lambda row: (row["verdict"] != "weak", -abs(row["gap"]) * row["n_eff"], row["leader"]))
    complete = [{**dict.fromkeys(SCHEMA), **row, "finding": number} for number, row in enumerate(ordered)]
    return with_words(pl.DataFrame(complete, schema=SCHEMA))
