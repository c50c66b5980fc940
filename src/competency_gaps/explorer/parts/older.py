"""Tables of runs that an older version wrote: the columns that they lack are there in the right type, null.

Whoever reads a table of a run for the explorer reads it through here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, TypeVar

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.runs.open import RunFolder

Table = Literal["items", "concepts", "concept_benchmarks"]
Kind = pl.DataType | type[pl.DataType]

_WITHIN: Mapping[str, Kind] = {
    **dict.fromkeys(("n_eff", "chi_model_low", "chi_model_high", "gap", "gap_low", "gap_high"), pl.Float64),
    **dict.fromkeys(("plain_gap", "plain_q", "detectable", "design_effect"), pl.Float64),
    "vanishes": pl.Boolean,
    **dict.fromkeys(("p_value", "q_value", "lift", "chance_seen"), pl.Float64),
    "drawn": pl.Boolean,
    **dict.fromkeys(("performance_status", "coverage_status"), pl.String),
    "leader": pl.Int32,
}
ADDED: Mapping[Table, Mapping[str, Kind]] = {
    "items": {
        **dict.fromkeys(("epochs", "n_tokens", "n_span_tokens", "own_start", "own_end"), pl.Int32),
        **dict.fromkeys(("cluster", "answer_index"), pl.Int32),
        **dict.fromkeys(("cluster_kind", "covariates"), pl.String),
        "choices": pl.List(pl.String),
        **dict.fromkeys(("policy", "group", "answer", "excluded", "unscored", "details", "identity"), pl.String),
        "logprobs": pl.List(pl.Float64),
        "greedy": pl.List(pl.Boolean),
    },
    "concepts": {
        **dict.fromkeys(("label", "label_kind", "label_scored_by", "explainer", "label_state"), pl.String),
        "peak_token": pl.String,
        **dict.fromkeys(("label_score", "density"), pl.Float64),
        "exact_token": pl.Boolean,
        "n_benchmarks": pl.Int32,
        **_WITHIN,
    },
    "concept_benchmarks": {"share": pl.Float64, **_WITHIN},
}
"""Columns that came later than a table, with their types in ``docs/run-folder.md``."""


_ALONE = pl.when(pl.col("performance_status").is_in(["weak", "strong"])).then(pl.col("concept").cast(pl.Int32))
"""Leaders in a run that knows no groups: each weak (strong) concept leads itself."""

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


def complete(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Add to a table the columns that the version lacked which wrote it, null; without groups each concept leads."""
    return _complete(frame, table, frame.columns)


def scan(run: RunFolder, table: Table) -> pl.LazyFrame:
    """Read a complete table of a run when it is collected, and only what is chosen of it.

    Raises
    ------
    UserError
        If the table is missing.
    """
    path = run.path / f"{table}.parquet"
    if not path.is_file():
        raise UserError(f"{path} is missing: the run is damaged. Run 'cgaps run' on the folder again.")
    frame = pl.scan_parquet(path)
    return _complete(frame, table, frame.collect_schema().names())


def _complete(frame: Frame, table: Table, known: Collection[str]) -> Frame:
    lacking = {name: kind for name, kind in ADDED[table].items() if name not in known}
    frame = frame.with_columns(pl.lit(None, kind).alias(name) for name, kind in lacking.items())
    return frame.with_columns(leader=_ALONE) if "leader" in lacking else frame
