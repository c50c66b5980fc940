"""The tables of a run as a page reads them: Parquet without compression, one row group, plain columns.

A page decodes them itself. Uncompressed columns are read fastest; what is kept as files is compressed as a whole.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import polars as pl

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.numbers import single
from competency_gaps.text import HIDDEN, visible

EXCERPT = 160
"""Characters of an item's own text in the table of items."""
LABEL_LIMIT = 200
"""Longest label; dictionaries of this project keep labels shorter than that."""
_HIDDEN = f"[{HIDDEN}]"
"""What :func:`~competency_gaps.text.visible` writes out (without lone surrogates, which no table has)."""
_BLANKS = r"\s{2,}|[\s&&[^ ]]"
"""White space that is not one plain blank; these, unlike all of it, are few and so quickly replaced."""
_PAGE = 1 << 26
"""Bytes of a Parquet page, so that a column is one."""

Kind = type[pl.DataType]
_MEASURES = ("chi_bench", "chi_model", "chi_model_low", "chi_model_high", "gap", "gap_low", "gap_high")

CONCEPTS: Mapping[str, Kind] = {
    "label": pl.String,
    "label_kind": pl.String,
    "label_score": pl.Float32,
    "label_scored_by": pl.String,
    **dict.fromkeys(("alive", "dense", "template", "exact_token", "missing", "ranked"), pl.Boolean),
    "density": pl.Float32,
    "peak_token": pl.String,
    **dict.fromkeys((*_MEASURES, "p_value", "q_value"), pl.Float32),
    "performance_status": pl.String,
    "leader": pl.Int32,
    "followers": pl.Int32,
    "support": pl.Int32,
    "n_eff": pl.Float32,
    "n_benchmarks": pl.Int32,
    "lift": pl.Float32,
    "coverage_status": pl.String,
    "chance_seen": pl.Float32,
}
"""Columns of ``concepts.parquet``; null: undefined or not known. ``followers`` is null where a concept leads no group
of weak or strong ones."""
THEMES: Mapping[str, Kind] = {
    "theme": pl.Int32,
    "subtheme": pl.Int32,
    "x": pl.Float32,
    "y": pl.Float32,
}
"""Further columns of a run that has themes."""
BENCHMARK: Mapping[str, Kind] = {
    **dict.fromkeys((*_MEASURES, "q_value"), pl.Float32),
    "performance_status": pl.String,
    "support": pl.Int32,
    "n_eff": pl.Float32,
    "lift": pl.Float32,
    "coverage_status": pl.String,
    "share": pl.Float32,
}
"""Columns of ``concepts/K.parquet``."""
ITEMS: Mapping[str, Kind] = {
    "benchmark": pl.Int32,
    "item_id": pl.String,
    "group": pl.String,
    "score": pl.Float32,
    "policy": pl.String,
    "n_tokens": pl.Int32,
    "excluded": pl.String,
    "unscored": pl.String,
    "excerpt": pl.String,
}
"""Columns of ``items.parquet``; ``benchmark`` is its place."""


def concepts_table(context: Context) -> bytes:
    """``concepts.parquet``: one row per concept, in order."""
    ranked = context.ranked
    leaders = pl.concat(
        [frame.select("concept", "followers") for frame in (ranked.weak_leaders, ranked.strong_leaders)]
    )
    frame = context.concepts.join(leaders, on="concept", how="left", maintain_order="left")
    columns = CONCEPTS
    if context.themes is not None:
        own = context.themes.members.select("concept", *THEMES)
        frame = frame.join(own, on="concept", how="left", maintain_order="left")
        columns = {**CONCEPTS, **THEMES}
    table = _cast(frame, columns, context.digits)
    return _parquet(table.with_columns(_cut("label", LABEL_LIMIT), _cut("peak_token", LABEL_LIMIT)))


def benchmark_table(context: Context, place: int) -> bytes:
    """``concepts/K.parquet``: one row per concept, in order, within the benchmark at ``place``."""
    return _parquet(_cast(context.benchmark_concepts(place, list(BENCHMARK)), BENCHMARK, context.digits))


def items_table(context: Context) -> bytes:
    """``items.parquet``: one row per item, in order."""
    frame = context.items.with_columns(
        pl.col("benchmark").replace_strict(context.place, return_dtype=pl.Int32),
        pl.lit(None, pl.String).alias("excerpt") if context.redact else excerpts(context),
    )
    return _parquet(_cast(frame, ITEMS, context.digits))


def excerpts(context: Context) -> pl.Series:
    """The beginning of each item's own text, on one line, with hidden characters written out.

    Returns
    -------
    Series of str
        At most ``EXCERPT`` characters and, where the text goes on, an ellipsis.
    """
    # Cut before anything else is done: a text may have a megabyte. Blanks that are folded make a line shorter.
    room = 2 * EXCERPT
    file = context.run.path / "items.parquet"
    start = pl.col("prompt").str.slice(0, room + 1)
    line = start.str.replace_all(_BLANKS, " ").str.strip_chars(" ")
    longer = (line.str.len_chars() > EXCERPT) | (start.str.len_chars() > room)
    cut = pl.when(longer).then(line.str.slice(0, EXCERPT) + "…").otherwise(line)
    frame = pl.scan_parquet(file).select(cut.alias("excerpt")).collect(engine="streaming")
    return _visible(frame["excerpt"])


def _visible(texts: pl.Series) -> pl.Series:
    """Write out hidden characters; only the few texts that have some pass through Python."""
    hidden = texts.str.contains(_HIDDEN).fill_null(value=False)
    if not hidden.any():
        return texts
    rows = hidden.arg_true()
    return texts.scatter(rows, [visible(text) for text in texts.gather(rows)])


def _cut(name: str, limit: int) -> pl.Expr:
    text = pl.col(name)
    return pl.when(text.str.len_chars() > limit).then(text.str.slice(0, limit) + "…").otherwise(text).alias(name)


def _cast(frame: pl.DataFrame, columns: Mapping[str, Kind], digits: int | None) -> pl.DataFrame:
    """Take the columns in their types; of those that an older run lacks null."""
    chosen = []
    for name, kind in columns.items():
        column = pl.col(name) if name in frame.columns else pl.lit(None).alias(name)
        chosen.append(column.cast(kind))
    table = frame.select(chosen)
    measures = [name for name, kind in columns.items() if kind == pl.Float32]
    return table.with_columns(single(table[name], digits) for name in measures)


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(
        buffer, compression="uncompressed", statistics=False, row_group_size=max(1, table.height), data_page_size=_PAGE
    )
    return buffer.getvalue()
