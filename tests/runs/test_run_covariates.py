"""Covariates of a run's items: what a run writes is read, and anything else is refused."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from competency_gaps.runs.covariates import item_covariates, read_covariates
from competency_gaps.runs.schemas import ITEMS
from competency_gaps.util.errors import UserError

ODD = ["", "{", "[1]", "1", '"x"', "null", '{"a": [1]}', '{"a": {"b": 1}}', "[" * 100_000]


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
    assert {covariate.name for covariate in item_covariates(items)} == {"form"}, "those that differ"


@pytest.mark.parametrize("text", ODD[1:])
def test_cells_that_no_run_writes_are_refused(text):
    items = table('{"level": 1}', text)
    for read in (
        lambda: read_covariates(text),
        lambda: item_covariates(items),
        lambda: item_covariates(items, ["level"]),
    ):
        with pytest.raises(UserError, match=r"items\.parquet has the covariates .* the run is damaged"):
            read()
