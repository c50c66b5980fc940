"""The table of findings: one row per led group of weak or strong concepts, as ``findings.parquet`` holds it."""

from __future__ import annotations

from typing import Any, Literal

import polars as pl

from competency_gaps.findings.sentences import with_words
from competency_gaps.runs.schemas import FINDINGS

FILE = "findings.parquet"
MOST_ITEMS = 500
"""Rows of ``items.parquet`` that a finding lists, at most; its figures are over all of its items."""
EXAMPLES = 3
"""Failing items, and as many passing ones, that stand side by side."""

Verdict = Literal["weak", "strong"]


def empty_table() -> pl.DataFrame:
    """A table without a finding."""
    return pl.DataFrame(schema=FINDINGS)


def table_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """The table of these rows, weak ones first, then by the size of the gap times the items that it concerns.

    Parameters
    ----------
    rows
        All columns but ``finding`` and the words, which are made here; a column that is left out is null.
    """
    ordered = sorted(rows, key=lambda row: (row["verdict"] != "weak", -abs(row["gap"]) * row["n_eff"], row["leader"]))
    complete = [{**dict.fromkeys(FINDINGS), **row, "finding": number} for number, row in enumerate(ordered)]
    return with_words(pl.DataFrame(complete, schema=FINDINGS))
