"""A run's items as a sample for the evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.evidence import ItemSample, units_of
from competency_gaps.runs.covariates import item_covariates, repeats


def item_sample(by_concept: ByConcept, items: pl.DataFrame, strata: Sequence[str]) -> ItemSample:
    """Make the sample of a run's items: rows of ``items.parquet``, benchmarks numbered in order of appearance."""
    order = {name: i for i, name in enumerate(items["benchmark"].unique(maintain_order=True))}
    numbers = items["benchmark"].replace_strict(order, return_dtype=pl.Int64).to_numpy()
    scored = pl.when(pl.col("excluded").is_null()).then(pl.col("score")).fill_null(float("nan"))
    return ItemSample(
        items.select(scored.alias("score"))["score"].to_numpy(),
        numbers,
        lambda concepts: by_concept.cas(concepts, items.height),
        by_concept.support,
        items["cluster"].cast(pl.Int64).to_numpy(),
        item_covariates(items, strata),
        repeats(items),
    )


def item_strata(sample: ItemSample) -> pl.Series:
    """Give each item's stratum, numbered over the whole suite; null for unscored and excluded items."""
    units = units_of(sample)
    taking = units.unit >= 0
    block = np.full(len(taking), -1, np.int64)
    block[taking] = units.block[units.unit[taking]]
    return pl.Series("stratum", [int(b) if b >= 0 else None for b in block], dtype=pl.Int32)
