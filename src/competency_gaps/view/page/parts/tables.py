"""The tables of a run as a page reads them: Parquet without compression, one row group, plain columns.

The page decodes them in JavaScript. Uncompressed columns are read fastest; exported files are compressed as a whole.
"""

from __future__ import annotations

import io

import polars as pl
import polars.selectors as cs

from competency_gaps.evidence.outcomes import MIN_MODELS
from competency_gaps.runs.schemas import ITEM_REGIONS
from competency_gaps.view.page.parts.context import Context
from competency_gaps.view.page.parts.excerpts import EXCERPTS

LABEL_LIMIT = 200
"""Maximum length of a label; dictionaries of this project have shorter ones."""
_PAGE = 1 << 26
"""Bytes of a Parquet page, so that a column is one."""

_MEASURES = (
    *("chi_bench", "chi_model", "chi_model_low", "chi_model_high"),
    *("association", "association_low", "association_high", "plain_association"),
)
CONCEPTS = (
    *("label", "label_kind", "label_score", "label_scored_by", "region", "alive", "missing", "ranked", "kind"),
    *("lexical_share", "coherence", "density", "peak_token", *_MEASURES, "p_value", "q_value", "performance_status"),
    *("support", "n_eff", "n_benchmarks", "lift", "coverage_status", "chance_seen"),
)
"""Columns of ``concepts.parquet``; null: undefined or not known."""
BENCHMARK = (*_MEASURES, "q_value", "performance_status", "support", "n_eff", "lift", "coverage_status", "share")
"""Columns of ``concepts/K.parquet``."""
ITEMS = (
    *("benchmark", "item_id", "group", "score", "scorer", "n_tokens", "n_span_tokens", "cluster", "cluster_kind"),
    *("repeats", "excluded", "unscored", *EXCERPTS),
)
"""Columns of ``items.parquet``; ``benchmark`` is its place, ``repeats`` how many items ask the same. With the scores of
``MIN_MODELS`` models or more, ``models_mean`` is their mean."""


def concepts_table(context: Context) -> bytes:
    """``concepts.parquet``: one row per concept, in order."""
    table = narrow(context.run.concepts.select(*CONCEPTS))
    peak = _cut("peak_token") if context.texts else pl.lit(None, pl.String).alias("peak_token")
    return parquet(table.with_columns(_cut("label"), peak))


def benchmark_table(context: Context, number: int) -> bytes:
    """``concepts/K.parquet``: one row per concept, in order, within the benchmark at ``number``."""
    rows = context.run.scan("concept_benchmarks").slice(number * context.run.width, context.run.width)
    return parquet(narrow(context.run.files.collect("concept_benchmarks", rows.select(*BENCHMARK))))


def items_table(context: Context) -> bytes:
    """``items.parquet``: one row per item, in order."""
    number = pl.col("benchmark").replace_strict(context.benchmark_index, return_dtype=pl.Int32)
    frame = context.items.with_columns(number, *context.excerpts).select(*ITEMS)
    if len(context.model_scores.models) >= MIN_MODELS:
        scores = pl.DataFrame(context.model_scores.values.T).fill_nan(None)
        frame = frame.with_columns(models_mean=scores.mean_horizontal())
    return parquet(narrow(frame))


def item_regions(context: Context) -> bytes:
    """``item_regions.parquet``: where each item lies on the atlas."""
    located = context.run.item_regions
    assert located is not None
    return parquet(located.select(*ITEM_REGIONS))


def _cut(name: str) -> pl.Expr:
    """A column of texts, cut to ``LABEL_LIMIT`` characters."""
    text = pl.col(name)
    cut = text.str.slice(0, LABEL_LIMIT) + "…"
    return pl.when(text.str.len_chars() > LABEL_LIMIT).then(cut).otherwise(text).alias(name)


def narrow(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with columns of the types that the page decodes; NaN becomes null."""
    floats = cs.float().cast(pl.Float32).fill_nan(None)
    return frame.with_columns(cs.integer().cast(pl.Int32), floats, cs.categorical().cast(pl.String))


def parquet(table: pl.DataFrame) -> bytes:
    """A table as a page reads it."""
    buffer = io.BytesIO()
    table.write_parquet(
        buffer, compression="uncompressed", statistics=False, row_group_size=max(1, table.height), data_page_size=_PAGE
    )
    return buffer.getvalue()
