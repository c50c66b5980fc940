"""Columns of a run's tables and their types, for writing tables and for checking them before they are read.

A comment says what the columns below it hold and what null means, up to the next comment; ``docs/columns.py`` makes the
page "Tables" of comments and types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from competency_gaps.items.item import DTYPE
from competency_gaps.sae.reference import SURFACE
from competency_gaps.util.text import shorten, visible

Schema = Mapping[str, Any]
"""Name of a column -> its polars type, in the order in which columns are written."""

ITEMS: Schema = {
    # Together unique.
    "benchmark": pl.String,
    "item_id": pl.String,
    # The item's own text as the model read it, with its lettered options.
    "prompt": pl.String,
    # All that the model read, and the response if the span holds it.
    "text": pl.String,
    # Generated text, chosen option, likelier sentence, or what came with the item; null: none.
    "response": pl.String,
    # The right answer as text (several joined by " | "); null: none.
    "answer": pl.String,
    # In [0, 1]; null: unscored.
    "score": pl.Float64,
    # How often the item was asked; the score is the mean.
    "epochs": pl.Int32,
    # Name of the scorer.
    "scorer": pl.String,
    # Sub-topic, as a subject; null: none.
    "group": pl.String,
    # The options, without letters.
    "choices": pl.List(pl.String),
    # Index of the right option in `choices`; null: none.
    "answer_index": pl.Int32,
    # Items with one number are not independent; numbered over the whole suite.
    "cluster": pl.Int32,
    # Why: `equal` (another item asks the same), `given` (by the source), `near` (nearly the same text); null: alone.
    "cluster_kind": pl.String,
    # JSON object of further columns of the source; null: none.
    "covariates": pl.String,
    # Tokens of the span (0 if excluded), and of all that the model read.
    "n_span_tokens": pl.Int32,
    "n_tokens": pl.Int32,
    # Why the item counts nowhere; null: kept.
    "excluded": DTYPE,
    # Why there is no score; null: scored.
    "unscored": DTYPE,
    # Character range of the item's own text in `text`.
    "body_start": pl.Int32,
    "body_end": pl.Int32,
    # Summed log-probability (nats) per option or sentence; empty for other scorers.
    "logprobs": pl.List(pl.Float64),
    # Per option or sentence: whether each of its tokens is the likeliest at its place.
    "greedy": pl.List(pl.Boolean),
    # JSON: what else the scorer says, as a judge's verdicts; null: nothing.
    "details": pl.String,
    # JSON: what names the item in the tool that it comes from; null: none.
    "identity": pl.String,
    # Number of the stratum in which it is compared; null: excluded or unscored.
    "stratum": pl.Int32,
}
"""One row per item, benchmark after benchmark, in the source's order."""
LABELS: Schema = {
    # The shown label; null: none.
    "label": pl.String,
    # `explained`, `imported` or `automatic`.
    "label_kind": pl.String,
    # Detection score in [0, 1], 0.5 = chance; null: not scored.
    "label_score": pl.Float64,
    # `detection`, or `source`: stated where the label comes from.
    "label_scored_by": pl.String,
    # Who made the label.
    "explainer": pl.String,
    # `labelled`; `none`: looked up, without a label of at least 0.6; `never`: not looked up.
    "label_state": pl.String,
    # Finest region of the atlas in which the concept is most active; null: none, or no atlas.
    "region": pl.Int32,
}
"""Columns of ``concepts.parquet`` that a run's last step adds and ``cgaps concepts name`` replaces; read as null
until they are added."""
_EVIDENCE: Schema = {
    # How many equally weighted units its scored items are worth.
    "n_eff": pl.Float64,
    # 95% interval of `chi_model`, in [0, 1]; null: undefined.
    "chi_model_low": pl.Float64,
    "chi_model_high": pl.Float64,
    # Mean outcome where it is active, weighted by activation, less that of comparable units, with its 95% interval, in
    # units of the outcome; null: no scored item has the concept.
    "association": pl.Float64,
    "association_low": pl.Float64,
    "association_high": pl.Float64,
    # Against the benchmark's average.
    "plain_association": pl.Float64,
    # Two-sided; null: not tested.
    "p_value": pl.Float64,
    # False-discovery rate over the tested concepts; null: not tested.
    "q_value": pl.Float64,
    # What it goes with: `failure`, `success`; or `negligible`, `typical`, `insufficient`, `untested`.
    "performance_status": pl.String,
}
CONCEPTS: Schema = {
    # Its number in the SAE, from 0.
    "concept": pl.Int32,
    **LABELS,
    # Active in the run or the reference.
    "alive": pl.Boolean,
    # `contextual`, `mixed`, `token`, `format`, `position`, `template` or `dense`; null: not alive, or not known.
    "kind": pl.String,
    # What decides the kind: shares of variance and mass in the reference, and how alike its strongest windows are in
    # meaning; null: no reference, or too few texts.
    **dict.fromkeys(SURFACE, pl.Float64),
    # Alive, but silent in every kept item.
    "missing": pl.Boolean,
    # Share of tokens on which it is active, in the reference, else in the gate's sample.
    "density": pl.Float64,
    # The token with more than half of its mass; null: none.
    "peak_token": pl.String,
    # Whether it is tested: alive, and contextual or of unknown kind.
    "ranked": pl.Boolean,
    # At least 0; 0: missing.
    "chi_bench": pl.Float64,
    # In [0, 1]; null: undefined.
    "chi_model": pl.Float64,
    # Benchmarks in which `chi_model` is defined.
    "n_benchmarks": pl.Int32,
    # Kept items in which it is active.
    "support": pl.Int64,
    **_EVIDENCE,
    # log2; infinite: not in the reference; null: missing, no reference, or not comparable.
    "lift": pl.Float64,
    # `missing`, `under`, `typical` or `over`; null: not alive, or covered without a lift.
    "coverage_status": pl.String,
    # Chance that as many tokens of reference text would show it; null: as for `lift`.
    "chance_seen": pl.Float64,
    # A typical CAS; null: never active.
    "tau": pl.Float64,
}
"""One row per concept of the SAE."""
CONCEPT_BENCHMARKS: Schema = {
    # Together unique.
    "concept": pl.Int32,
    "benchmark": pl.String,
    # As in `concepts`, within the benchmark.
    "chi_bench": pl.Float64,
    "chi_model": pl.Float64,
    "support": pl.Int64,
    **_EVIDENCE,
    # The concept's part of the benchmark's activation.
    "share": pl.Float64,
    # As in `concepts`, within the benchmark.
    "lift": pl.Float64,
    "coverage_status": pl.String,
    "chance_seen": pl.Float64,
}
"""One row per concept and benchmark."""
BENCHMARKS: Schema = {
    # Its name.
    "benchmark": pl.String,
    # All of it; those that count; those that do not; those that count and have a score.
    "items": pl.Int64,
    "kept": pl.Int64,
    "excluded": pl.Int64,
    "scored": pl.Int64,
    # In [0, 1]; null: none scored.
    "mean_score": pl.Float64,
    # Concepts that are active here; that are alive but not active here; that are alive.
    "covered": pl.Int64,
    "missing": pl.Int64,
    "alive": pl.Int64,
    # Over kept items; null: none kept.
    "mean_span_tokens": pl.Float64,
}
"""One row per benchmark."""
OVERLAP: Schema = {
    # Names.
    "benchmark_a": pl.String,
    "benchmark_b": pl.String,
    # Of their covered concepts, in [0, 1]; null: both cover nothing.
    "jaccard": pl.Float64,
    # Of their `chi_bench`, in [0, 1]; null: one covers nothing.
    "cosine": pl.Float64,
    # Rank correlation of `chi_model`; null: fewer than 3 shared concepts, or one side constant.
    "spearman": pl.Float64,
    # Concepts whose `chi_model` is defined in both.
    "n_concepts": pl.Int64,
}
"""One row per ordered pair of benchmarks, each with itself too."""
REGIONS: Schema = {
    # From 0, level by level.
    "region": pl.Int32,
    # 1 (coarse), 2 or 3 (finest).
    "level": pl.Int32,
    # The region above; null: level 1.
    "parent": pl.Int32,
    # What people read.
    "name": pl.String,
    # `written`, `words` or `unclear`.
    "kind": pl.String,
    # Place on the picture.
    "x": pl.Float32,
    "y": pl.Float32,
    # Weighted items of the map in it.
    "items": pl.Float32,
}
"""One row per region of the atlas."""
REGION_COUNTS: Schema = {
    # A benchmark of the map, a finest region, and how many of its items lie there.
    "benchmark": pl.String,
    "region": pl.Int32,
    "items": pl.Int32,
}
"""One row per benchmark of the map and finest region."""
ITEM_REGIONS: Schema = {
    # The finest region in which the item lies.
    "region": pl.Int32,
    # Cosine to the region's centroid.
    "likeness": pl.Float32,
    # Further from all regions than 99% of the map's own items.
    "unlike": pl.Boolean,
    # Place on the picture.
    "x": pl.Float32,
    "y": pl.Float32,
}
"""One row per row of `items`; all null: excluded."""
SCOPES: Schema = {
    # A benchmark that states its scope, and a region of it.
    "benchmark": pl.String,
    "region": pl.Int32,
}
"""One row per region that a stated scope names, the nearest first."""
SCORES: Schema = {
    # Row of `items`.
    "item": pl.Int32,
    # As its file or log has it; never the run's own model.
    "model": pl.String,
    # In [0, 1]; null: unscored.
    "score": pl.Float64,
    # The model's answer; null: the source has none.
    "response": pl.String,
    # Why there is no score; null: scored.
    "unscored": DTYPE,
}
"""One row per item and other model; scores of the run's own model are in `items`."""
SLICES: Schema = {
    # Its number in the run. Slices of single concepts are not stored; they are 1,000,000 plus the concept's number.
    "slice": pl.Int64,
    # `columns`, `features`, `regions`, `profiles`, `clusters`, `skills`, `lists`, or a plug-in's.
    "family": pl.String,
    # What people read.
    "name": pl.String,
    # The column of which the slice is a category; null: it is none.
    "column": pl.String,
    # The slice above in a tree; null: none.
    "parent": pl.Int64,
    # Rows of `items`, ascending, and their weights above 0; `weights` null: all are 1.
    "items": pl.List(pl.Int32),
    "weights": pl.List(pl.Float32),
    # Words that mark its items; empty: none were looked for.
    "words": pl.List(pl.String),
    # Rows of its two most typical items; empty: not known.
    "typical": pl.List(pl.Int32),
}
"""One row per slice: a weight from 0 to 1 for each item, with a name."""
TOKENS: Schema = {
    # Id in the tokenizer, and its text.
    "token": pl.Int32,
    "text": pl.String,
}
"""One row per token id that occurs in the run."""

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
"""Name of a table, without suffix -> its columns."""
READING = ("concepts", "concept_benchmarks", "overlap", "tokens")
"""Names of the tables that only a run with a reading has."""


def schema_fault(columns: Schema, expected: Schema) -> str | None:
    """Return what is wrong with a table's columns, as the end of a sentence that begins with its path; None: nothing.

    Columns beyond those in ``expected`` are ignored.
    """
    for name, kind in expected.items():
        if name not in columns:
            return f"has no column {name!r}, expected one of type {_in_words(kind)}"
        if columns[name] != kind:
            return f"has the column {name!r} of type {_in_words(columns[name])}, expected {_in_words(kind)}"
    return None


def _in_words(kind: Any) -> str:
    """Return a type as polars writes it, made safe to print: field names may come from a stranger."""
    return shorten(visible(str(kind() if isinstance(kind, type) else kind)), 120)
