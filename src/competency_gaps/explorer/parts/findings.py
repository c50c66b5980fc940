"""Findings as a page shows them: ``findings`` of ``run.json``, and the items of each in ``findings.json``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import polars as pl

from competency_gaps.explorer.parts.numbers import rounded
from competency_gaps.explorer.parts.older import scan
from competency_gaps.findings import Piece, feature_words, fold, sentence, short, support, template_of
from competency_gaps.findings.answer import answer, answer_dict
from competency_gaps.findings.differing import COMPARED

if TYPE_CHECKING:
    from competency_gaps.explorer.parts.context import Context

NOT_TOLD = "[not told]"
"""Stands for a word of an item in the features of a redacted explorer."""
_QUOTING = re.compile(r"((?:prompt\.(?:word|character|asks)|answer\.value|group|covariate\.[^:]*):).*", re.DOTALL)
"""Codes of features that quote an item's text, answer, group or covariate, up to where they do."""
_PLAIN = (
    *("finding", "verdict", "leader", "label", "concepts", "items", "clusters", "graded", "n_eff", "mean_score"),
    *("plain_gap", "gap", "gap_low", "gap_high", "p_value", "q_value", "detectable", "feature", "feature_items"),
    *("feature_score", "other_items", "other_score", "feature_p", "wording", "wording_source", "unseen_gap"),
    *("unseen_low", "unseen_high", "unseen_splits", "splits", "holds"),
)
"""Columns of ``findings.parquet`` that are told as they are."""


def finding_list(context: Context) -> list[dict[str, Any]]:
    """All findings, weak ones first; the fields are those of ``Finding`` in ``types.ts``."""
    return [_finding(context, row) for row in context.findings.iter_rows(named=True)]


def finding_items(context: Context) -> list[dict[str, Any]]:
    """``findings.json``: the items of each finding, those that weigh most first."""
    rows = context.findings.select("finding", "item_rows", "weights").iter_rows(named=True)
    return [rounded({**row, "weights": list(row["weights"])}, context.digits) for row in rows]


def answer_part(context: Context) -> dict[str, Any]:
    """The answer of the run, as the terminal and the report give it too."""
    return answer_dict(answer(context.view))


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


def _finding(context: Context, row: Mapping[str, Any]) -> dict[str, Any]:
    from competency_gaps.explorer.parts.probing import finding_command

    command, told = finding_command(context, row)
    return {
        **{name: row[name] for name in _PLAIN},
        "feature_words": row["feature_words"],
        "feature_benchmarks": [context.place[name] for name in row["feature_benchmarks"] or ()],
        "sentence": row["sentence"],
        "short": short(row),
        "support": support(row, context.concepts),
        "benchmarks": [{**one, "benchmark": context.place[one["benchmark"]]} for one in row["benchmarks"]],
        "failing": [_example(context, item) for item in row["failing"]],
        "passing": [_example(context, item) for item in row["passing"]],
        "command": command,
        "command_note": told,
    }


def _example(context: Context, row: int) -> dict[str, Any]:
    cluster = context.items["cluster"][row]
    return {
        "item": row,
        "repeats": len(context.repeated.get(cluster, [row])),
        "differs": None if context.redact else context.differing[row],
    }


def differing_ranges(context: Context) -> dict[int, list[tuple[int, int]]]:
    """Ranges of the own text of each example in which it differs from other items of its benchmark."""
    shown = sorted({row for name in ("failing", "passing") for row in context.findings[name].explode().drop_nulls()})
    place = context.items.select("benchmark").with_row_index("row")
    wanted = place.filter(pl.col("row").is_in(shown))
    samples = {
        name: _evenly(place.filter(pl.col("benchmark") == name)["row"].to_list())
        for name in wanted["benchmark"].unique(maintain_order=True)
    }
    rows = sorted({*shown, *(row for some in samples.values() for row in some)})
    prompts = dict(zip(rows, _prompts(context, rows), strict=True))
    templates = {name: template_of([prompts[row] for row in some]) for name, some in samples.items()}
    return {row: _ranges(fold(prompts[row], templates[name])) for row, name in wanted.iter_rows()}


def _evenly(rows: list[int]) -> list[int]:
    return rows[:: max(1, len(rows) // COMPARED)][:COMPARED]


def _prompts(context: Context, rows: list[int]) -> list[str]:
    """Own texts of some items, in ascending order, read in one pass."""
    frame = scan(context.run, "items").select("prompt").with_row_index("row").filter(pl.col("row").is_in(rows))
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
