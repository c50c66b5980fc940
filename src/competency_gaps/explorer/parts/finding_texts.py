"""The parts of a finding's examples in which they differ from other items."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import polars as pl

from competency_gaps.findings import Piece, fold, template_of
from competency_gaps.findings.differing import COMPARED
from competency_gaps.runs.open import RunFolder


def differing_ranges(
    run: RunFolder, findings: pl.DataFrame, items: pl.DataFrame
) -> dict[int, list[tuple[int, int]] | None]:
    """Ranges of the own text of each example in which it differs from other items of its benchmark; None: no text."""
    shown = sorted({row for name in ("failing", "passing") for row in findings[name].explode().drop_nulls()})
    place = items.select("benchmark").with_row_index("row")
    wanted = place.filter(pl.col("row").is_in(shown))
    samples = {
        name: _evenly(place.filter(pl.col("benchmark") == name)["row"].to_list())
        for name in wanted["benchmark"].unique(maintain_order=True)
    }
    rows = sorted({*shown, *(row for some in samples.values() for row in some)})
    prompts = dict(zip(rows, _prompts(run, rows), strict=True))
    templates = {name: template_of([prompts[row] or "" for row in some]) for name, some in samples.items()}
    return {
        row: None if (prompt := prompts[row]) is None else _ranges(fold(prompt, templates[name]))
        for row, name in wanted.iter_rows()
    }


def _evenly(rows: list[int]) -> list[int]:
    return rows[:: max(1, len(rows) // COMPARED)][:COMPARED]


def _prompts(run: RunFolder, rows: list[int]) -> list[str | None]:
    """Own texts of some items, in ascending order, read in one pass."""
    frame = run.scan("items").select("prompt").with_row_index("row").filter(pl.col("row").is_in(rows))
    return frame.collect()["prompt"].to_list()


def _ranges(pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    """Ranges of the pieces that differ; the whole text where none does."""
    ends = list(accumulate(len(piece.text) for piece in pieces))
    ranges = [
        (end - len(piece.text), end)
        for piece, end in zip(pieces, ends, strict=True)
        if not piece.is_constant and piece.text.strip()
    ]
    return ranges or [(0, ends[-1] if ends else 0)]
