"""What of a finding's items stands in its row: withheld where prompts are, or the parts in which they differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

import polars as pl

from competency_gaps.explorer.parts.stored import scan
from competency_gaps.findings import Piece, feature_words, fold, sentence, template_of
from competency_gaps.findings.differing import COMPARED
from competency_gaps.runs.open import RunFolder

NOT_TOLD = "[not told]"
"""Stands for a word of an item in the features of a redacted explorer."""
_QUOTING = re.compile(r"((?:prompt\.(?:word|character|asks)|answer\.value|group|covariate\.[^:]*):).*", re.DOTALL)
"""Codes of features that quote an item's text, answer, group or covariate, up to where they do."""


def untold(findings: pl.DataFrame) -> pl.DataFrame:
    """Findings without words of items: what a feature quotes, examples, and a model's wording.

    Parameters
    ----------
    findings : DataFrame
        ``Run.findings``.
    """
    nothing = pl.lit(None, pl.String)
    features = [None if code is None else _QUOTING.sub(rf"\1{NOT_TOLD}", code) for code in findings["feature"]]
    table = findings.with_columns(
        pl.Series("feature", features, pl.String),
        example=nothing,
        wording=nothing,
        wording_source=nothing,
    )
    rows = table.to_dicts()
    words = [None if row["feature"] is None else feature_words(row["feature"]) for row in rows]
    return table.with_columns(
        pl.Series("feature_words", words, pl.String),
        pl.Series("sentence", [sentence(row) for row in rows], pl.String),
    )


def differing_ranges(run: RunFolder, findings: pl.DataFrame, items: pl.DataFrame) -> dict[int, list[tuple[int, int]]]:
    """Ranges of the own text of each example in which it differs from other items of its benchmark."""
    shown = sorted({row for name in ("failing", "passing") for row in findings[name].explode().drop_nulls()})
    place = items.select("benchmark").with_row_index("row")
    wanted = place.filter(pl.col("row").is_in(shown))
    samples = {
        name: _evenly(place.filter(pl.col("benchmark") == name)["row"].to_list())
        for name in wanted["benchmark"].unique(maintain_order=True)
    }
    rows = sorted({*shown, *(row for some in samples.values() for row in some)})
    prompts = dict(zip(rows, _prompts(run, rows), strict=True))
    templates = {name: template_of([prompts[row] for row in some]) for name, some in samples.items()}
    return {row: _ranges(fold(prompts[row], templates[name])) for row, name in wanted.iter_rows()}


def _evenly(rows: list[int]) -> list[int]:
    return rows[:: max(1, len(rows) // COMPARED)][:COMPARED]


def _prompts(run: RunFolder, rows: list[int]) -> list[str]:
    """Own texts of some items, in ascending order, read in one pass."""
    frame = scan(run, "items").select("prompt").with_row_index("row").filter(pl.col("row").is_in(rows))
    return [prompt or "" for prompt in frame.collect()["prompt"]]


def _ranges(pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    """Ranges of the pieces that differ; the whole text where none does."""
    ends = list(accumulate(len(piece.text) for piece in pieces))
    found = [
        (end - len(piece.text), end)
        for piece, end in zip(pieces, ends, strict=True)
        if not piece.is_constant and piece.text.strip()
    ]
    return found or [(0, ends[-1] if ends else 0)]
