"""A run's items as the sample from which evidence is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.evidence import ItemSample, shares, units_of
from competency_gaps.reading.by_concept import ByConcept
from competency_gaps.runs.covariates import item_covariates, repeats


def with_outcomes(sample: ItemSample, outcomes: Outcomes) -> ItemSample:
    """Return the sample with other outcomes on the same items."""
    return replace(sample, scores=shares(outcomes.values, outcomes.limits), limits=outcomes.limits)


class Outcomes(NamedTuple):
    """The outcome of each of N items, and its possible range."""

    values: np.ndarray
    """float64 of shape (N,); NaN = unscored or excluded."""
    limits: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest possible outcome."""


def item_sample(
    by_concept: ByConcept, items: pl.DataFrame, strata: Sequence[str], outcomes: Outcomes | None = None
) -> ItemSample:
    """Return the run's items as a sample with the SAE's concepts; benchmarks are numbered in order of appearance.

    Parameters
    ----------
    items
        ``items.parquet``.
    strata
        Names of covariates to stratify by.
    outcomes
        None: the items' scores.
    """
    return _sample(items, lambda asked: by_concept.cas(asked, items.height), by_concept.support, strata, outcomes)


def slice_sample(
    items: pl.DataFrame, weights: sp.csr_array, strata: Sequence[str], outcomes: Outcomes | None = None
) -> ItemSample:
    """Return the run's items as a sample with slices in place of concepts; ``weights`` has shape (slices, items)."""
    return _sample(items, lambda asked: sp.csr_array(weights[asked]), np.diff(weights.indptr), strata, outcomes)


def _sample(
    items: pl.DataFrame,
    rows: Callable[[np.ndarray], sp.csr_array],
    support: np.ndarray,
    strata: Sequence[str],
    outcomes: Outcomes | None,
) -> ItemSample:
    order = {name: i for i, name in enumerate(items["benchmark"].unique(maintain_order=True))}
    if outcomes is None:
        scored = pl.when(pl.col("excluded").is_null()).then(pl.col("score")).fill_null(float("nan"))
        outcomes = Outcomes(items.select(scored.alias("score"))["score"].to_numpy())
    return ItemSample(
        shares(outcomes.values, outcomes.limits),
        items["benchmark"].replace_strict(order, return_dtype=pl.Int64).to_numpy(),
        rows,
        np.asarray(support, np.int64),
        items["cluster"].cast(pl.Int64).to_numpy(),
        item_covariates(items, strata),
        repeats(items),
        outcomes.limits,
    )


def item_strata(sample: ItemSample) -> pl.Series:
    """Return the number of each item's stratum, unique over the whole suite; null for unscored and excluded items."""
    units = units_of(sample)
    taking = units.unit >= 0
    block = np.full(len(taking), -1, np.int64)
    block[taking] = units.block[units.unit[taking]]
    return pl.Series("stratum", [int(b) if b >= 0 else None for b in block], dtype=pl.Int32)
