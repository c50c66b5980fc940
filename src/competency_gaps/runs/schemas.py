"""Columns of a run's tables and their types: as they are written, and as they are checked before they are read.

``docs/run-folder.md`` says what each column holds and what null means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from competency_gaps.items.item import DTYPE
from competency_gaps.sae.reference import SURFACE
from competency_gaps.text import shorten, visible

Schema = Mapping[str, Any]
"""Name of a column -> its polars type, in the order in which columns are written."""

ITEMS: Schema = {
    "benchmark": pl.String,
    "item_id": pl.String,
    "prompt": pl.String,
    "text": pl.String,
    "response": pl.String,
    "answer": pl.String,
    "score": pl.Float64,
    "epochs": pl.Int32,
    "policy": pl.String,
    "group": pl.String,
    "choices": pl.List(pl.String),
    "answer_index": pl.Int32,
    "cluster": pl.Int32,
    "cluster_kind": pl.String,
    "covariates": pl.String,
    "n_span_tokens": pl.Int32,
    "n_tokens": pl.Int32,
    "excluded": DTYPE,
    "unscored": DTYPE,
    "own_start": pl.Int32,
    "own_end": pl.Int32,
    "logprobs": pl.List(pl.Float64),
    "greedy": pl.List(pl.Boolean),
    "details": pl.String,
    "identity": pl.String,
    "stratum": pl.Int32,
}
OUTCOME_ITEMS: Schema = {
    **{name: ITEMS[name] for name in ("score", "response", "unscored")},
    "outcome": pl.Float64,
    "stratum": ITEMS["stratum"],
}
"""Columns of every outcome's ``items.parquet``, which replace the run's."""
OUTCOME_DETAILS: Schema = {name: ITEMS[name] for name in ("details", "logprobs", "greedy")}
"""Those that it has as well if it is another model's."""
LABELS: Schema = {
    "label": pl.String,
    "label_kind": pl.String,
    "label_score": pl.Float64,
    "label_scored_by": pl.String,
    "explainer": pl.String,
    "label_state": pl.String,
    "region": pl.Int32,
}
"""Columns of ``concepts.parquet`` that the last step of a run adds, and that ``cgaps concepts name`` replaces; before
that they are read as null."""
_GAPS: Schema = {
    "gap": pl.Float64,
    "gap_low": pl.Float64,
    "gap_high": pl.Float64,
    "plain_gap": pl.Float64,
    "p_value": pl.Float64,
    "q_value": pl.Float64,
}
_EVIDENCE: Schema = {
    "n_eff": pl.Float64,
    "chi_model_low": pl.Float64,
    "chi_model_high": pl.Float64,
    **_GAPS,
    "performance_status": pl.String,
}
CONCEPTS: Schema = {
    "concept": pl.Int32,
    **LABELS,
    "alive": pl.Boolean,
    "kind": pl.String,
    **dict.fromkeys(SURFACE, pl.Float64),
    "missing": pl.Boolean,
    "density": pl.Float64,
    "peak_token": pl.String,
    "ranked": pl.Boolean,
    "chi_bench": pl.Float64,
    "chi_model": pl.Float64,
    "n_benchmarks": pl.Int32,
    "support": pl.Int64,
    **_EVIDENCE,
    "lift": pl.Float64,
    "coverage_status": pl.String,
    "chance_seen": pl.Float64,
    "tau": pl.Float64,
}
CONCEPT_BENCHMARKS: Schema = {
    "concept": pl.Int32,
    "benchmark": pl.String,
    "chi_bench": pl.Float64,
    "chi_model": pl.Float64,
    "support": pl.Int64,
    **_EVIDENCE,
    "share": pl.Float64,
    "lift": pl.Float64,
    "coverage_status": pl.String,
    "chance_seen": pl.Float64,
}
BENCHMARKS: Schema = {
    "benchmark": pl.String,
    "items": pl.Int64,
    "kept": pl.Int64,
    "excluded": pl.Int64,
    "scored": pl.Int64,
    "mean_score": pl.Float64,
    "covered": pl.Int64,
    "missing": pl.Int64,
    "alive": pl.Int64,
    "mean_span_tokens": pl.Float64,
}
OVERLAP: Schema = {
    "benchmark_a": pl.String,
    "benchmark_b": pl.String,
    "jaccard": pl.Float64,
    "cosine": pl.Float64,
    "spearman": pl.Float64,
    "n_concepts": pl.Int64,
}
REGIONS: Schema = {
    "region": pl.Int32,
    "level": pl.Int32,
    "parent": pl.Int32,
    "name": pl.String,
    "kind": pl.String,
    "x": pl.Float32,
    "y": pl.Float32,
    "items": pl.Float32,
}
REGION_COUNTS: Schema = {
    "benchmark": pl.String,
    "region": pl.Int32,
    "items": pl.Int32,
}
ITEM_REGIONS: Schema = {
    "region": pl.Int32,
    "likeness": pl.Float32,
    "unlike": pl.Boolean,
    "x": pl.Float32,
    "y": pl.Float32,
}
SCOPES: Schema = {
    "benchmark": pl.String,
    "region": pl.Int32,
}
SCORES: Schema = {
    "item": pl.Int32,
    "model": pl.String,
    "score": pl.Float64,
    "response": pl.String,
    "unscored": DTYPE,
}
SLICES: Schema = {
    "slice": pl.Int64,
    "family": pl.String,
    "name": pl.String,
    "question": pl.String,
    "parent": pl.Int64,
    "items": pl.List(pl.Int32),
    "weights": pl.List(pl.Float32),
    "words": pl.List(pl.String),
    "typical": pl.List(pl.Int32),
}
TOKENS: Schema = {"token": pl.Int32, "text": pl.String}

SCHEMAS: Mapping[str, Schema] = {
    "items": ITEMS,
    "concepts": CONCEPTS,
    "concept_benchmarks": CONCEPT_BENCHMARKS,
    "benchmarks": BENCHMARKS,
    "overlap": OVERLAP,
    "regions": REGIONS,
    "region_counts": REGION_COUNTS,
    "item_regions": ITEM_REGIONS,
    "scopes": SCOPES,
    "scores": SCORES,
    "slices": SLICES,
    "tokens": TOKENS,
}
"""Name of a table, without suffix -> its columns; of an outcome's items see ``OUTCOME_ITEMS``."""


def schema_fault(held: Schema, expected: Schema, *, partial: bool = False) -> str | None:
    """What is wrong with the columns of a table, as the end of a sentence that begins with its path; None: nothing.

    Further columns are none of this package's, and are ignored.

    Parameters
    ----------
    held
        Columns of the table.
    expected
        Those that it must have.
    partial
        Whether it may lack some: only types are compared.
    """
    for name, kind in expected.items():
        if name not in held and partial:
            continue
        if name not in held:
            return f"has no column {name!r}, expected one of type {_in_words(kind)}"
        if held[name] != kind:
            return f"has the column {name!r} of type {_in_words(held[name])}, expected {_in_words(kind)}"
    return None


def _in_words(kind: Any) -> str:
    """A type as polars writes it; names of fields may be a stranger's."""
    return shorten(visible(str(kind() if isinstance(kind, type) else kind)), 120)
