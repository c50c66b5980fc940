"""A run's items as a sample for the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.evidence import ItemSample, shares, units_of
from competency_gaps.runs.covariates import item_covariates, repeats
from competency_gaps.runs.open import RunFolder


def run_sample(run: RunFolder, strata: Sequence[str]) -> ItemSample:
    """Make the sample of a finished run's items, with its outcomes."""
    return item_sample(run.by_concept, run.items, strata, Outcomes(run.outcomes, run.limits))


def with_outcomes(sample: ItemSample, outcomes: Outcomes) -> ItemSample:
    """Give the same items with other outcomes."""
    return replace(sample, scores=shares(outcomes.values, outcomes.limits), limits=outcomes.limits)


class Outcomes(NamedTuple):
    """What the evidence rests on. N items."""

    values: np.ndarray
    """float64 of shape (N,); NaN = unscored or excluded."""
    limits: tuple[float, float] = (0.0, 1.0)
    """Least and greatest outcome that is possible."""


def item_sample(
    by_concept: ByConcept, items: pl.DataFrame, strata: Sequence[str], outcomes: Outcomes | None = None
) -> ItemSample:
    """Make the sample of items: rows of ``items.parquet``, benchmarks numbered in order of appearance.

    Parameters
    ----------
    outcomes
        None: the items' scores.
    """
    order = {name: i for i, name in enumerate(items["benchmark"].unique(maintain_order=True))}
    numbers = items["benchmark"].replace_strict(order, return_dtype=pl.Int64).to_numpy()
    if outcomes is None:
        scored = pl.when(pl.col("excluded").is_null()).then(pl.col("score")).fill_null(float("nan"))
        outcomes = Outcomes(items.select(scored.alias("score"))["score"].to_numpy())
    return ItemSample(
        shares(outcomes.values, outcomes.limits),
        numbers,
        lambda concepts: by_concept.cas(concepts, items.height),
        by_concept.support,
        items["cluster"].cast(pl.Int64).to_numpy(),
        item_covariates(items, strata),
        repeats(items),
        outcomes.limits,
    )


def item_strata(sample: ItemSample) -> pl.Series:
    """Give each item's stratum, numbered over the whole suite; null for unscored and excluded items."""
    units = units_of(sample)
    taking = units.unit >= 0
    block = np.full(len(taking), -1, np.int64)
    block[taking] = units.block[units.unit[taking]]
    return pl.Series("stratum", [int(b) if b >= 0 else None for b in block], dtype=pl.Int32)
