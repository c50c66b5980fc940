"""The tables of a run as a page reads them: Parquet without compression, one row group, plain columns.

A page decodes them itself. Uncompressed columns are read fastest; what is kept as files is compressed as a whole.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import polars as pl

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.excerpts import EXCERPTS
from competency_gaps.outcomes import FEWEST_MODELS
from competency_gaps.runs.schemas import ITEM_REGIONS

LABEL_LIMIT = 200
"""Longest label; dictionaries of this project keep labels shorter than that."""
_PAGE = 1 << 26
"""Bytes of a Parquet page, so that a column is one."""

Kind = type[pl.DataType]
_MEASURES = (
    *("chi_bench", "chi_model", "chi_model_low", "chi_model_high"),
    *("association", "association_low", "association_high", "plain_association"),
)

CONCEPTS: Mapping[str, Kind] = {
    "label": pl.String,
    "label_kind": pl.String,
    "label_score": pl.Float32,
    "label_scored_by": pl.String,
    "region": pl.Int32,
    **dict.fromkeys(("alive", "missing", "ranked"), pl.Boolean),
    "kind": pl.String,
    **dict.fromkeys(("lexical_share", "coherence"), pl.Float32),
    "density": pl.Float32,
    "peak_token": pl.String,
    **dict.fromkeys((*_MEASURES, "p_value", "q_value"), pl.Float32),
    "performance_status": pl.String,
    "support": pl.Int32,
    "n_eff": pl.Float32,
    "n_benchmarks": pl.Int32,
    "lift": pl.Float32,
    "coverage_status": pl.String,
    "chance_seen": pl.Float32,
}
"""Columns of ``concepts.parquet``; null: undefined or not known."""
_ALSO = ("q_value", "performance_status", "support", "n_eff", "lift", "coverage_status")
BENCHMARK: Mapping[str, Kind] = {**{name: CONCEPTS[name] for name in (*_MEASURES, *_ALSO)}, "share": pl.Float32}
"""Columns of ``concepts/K.parquet``."""
ITEMS: Mapping[str, Kind] = {
    "benchmark": pl.Int32,
    "item_id": pl.String,
    "group": pl.String,
    "score": pl.Float32,
    "policy": pl.String,
    "n_tokens": pl.Int32,
    "n_span_tokens": pl.Int32,
    "cluster": pl.Int32,
    "cluster_kind": pl.String,
    "repeats": pl.Int32,
    "excluded": pl.String,
    "unscored": pl.String,
    **dict.fromkeys(EXCERPTS, pl.String),
}
"""Columns of ``items.parquet``; ``benchmark`` is its place, ``repeats`` how many items ask the same. With the scores of
``FEWEST_MODELS`` models or more, ``models_mean`` is their mean."""


def concepts_table(context: Context) -> bytes:
    """``concepts.parquet``: one row per concept, in order."""
    table = _cast(context.concepts, CONCEPTS)
    peak = _cut("peak_token") if context.texts else pl.lit(None, pl.String).alias("peak_token")
    return parquet(table.with_columns(_cut("label"), peak))


def benchmark_table(context: Context, place: int) -> bytes:
    """``concepts/K.parquet``: one row per concept, in order, within the benchmark at ``place``."""
    rows = context.run.scan("concept_benchmarks").slice(place * context.run.width, context.run.width)
    return parquet(_cast(context.run.files.collect("concept_benchmarks", rows.select(*BENCHMARK)), BENCHMARK))


def items_table(context: Context) -> bytes:
    """``items.parquet``: one row per item, in order."""
    frame = context.items.with_columns(pl.col("benchmark").replace_strict(context.place, return_dtype=pl.Int32))
    columns = ITEMS
    if len(context.model_scores.models) >= FEWEST_MODELS:
        scores = pl.DataFrame(context.model_scores.values.T).fill_nan(None)
        frame = frame.with_columns(models_mean=scores.mean_horizontal())
        columns = {**ITEMS, "models_mean": pl.Float32}
    return parquet(_cast(frame.with_columns(context.excerpts), columns))


def item_regions(context: Context) -> bytes:
    """``item_regions.parquet``: where each item lies on the atlas."""
    located = context.run.item_regions
    assert located is not None
    return parquet(located.select(*ITEM_REGIONS))


def _cut(name: str) -> pl.Expr:
    text = pl.col(name)
    cut = text.str.slice(0, LABEL_LIMIT) + "…"
    return pl.when(text.str.len_chars() > LABEL_LIMIT).then(cut).otherwise(text).alias(name)


def _cast(frame: pl.DataFrame, columns: Mapping[str, Kind]) -> pl.DataFrame:
    """Take the columns in their types; NaN is null."""
    return frame.select(
        pl.col(name).cast(kind).fill_nan(None) if kind == pl.Float32 else pl.col(name).cast(kind)
        for name, kind in columns.items()
    )


def parquet(table: pl.DataFrame) -> bytes:
    """A table as a page reads it."""
    buffer = io.BytesIO()
    table.write_parquet(
        buffer, compression="uncompressed", statistics=False, row_group_size=max(1, table.height), data_page_size=_PAGE
    )
    return buffer.getvalue()
