"""Covariates of a run's items: what a run writes is read."""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from competency_gaps.runs.covariates import item_covariates
from competency_gaps.runs.schemas import ITEMS


def table(*covariates: str | None) -> pl.DataFrame:
    """Items that have these covariates, and little else."""
    empty = {**dict.fromkeys(ITEMS), "benchmark": "sums", "prompt": "How many?", "n_span_tokens": 3}
    return pl.DataFrame([{**empty, "covariates": cell} for cell in covariates], schema=ITEMS)


def test_texts_become_categories_and_numbers_stay():
    items = table(json.dumps({"level": 2.5, "form": "b"}), None, json.dumps({"form": "a", "flag": True}))
    held = {covariate.name: covariate for covariate in item_covariates(items, ["level", "form", "flag"])}
    np.testing.assert_array_equal(held["level"].values, [2.5, np.nan, np.nan])
    np.testing.assert_array_equal(held["form"].values, [1, np.nan, 0])
    assert held["form"].categories == ("a", "b")
    np.testing.assert_array_equal(held["flag"].values, [np.nan, np.nan, 1])
