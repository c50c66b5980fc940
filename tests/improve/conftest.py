"""A finished run with scores of several models, which the tests of this folder share."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import competency_gaps as cg
from core_helpers import copied, with_groups


@pytest.fixture(scope="session")
def scored_run(tiny_run, tmp_path_factory):
    """Eight models on items of three groups, of which the first is the largest and the odd models' best."""
    folder = copied(tiny_run, tmp_path_factory).path
    with_groups(folder, ("first", "first", "second", "first", "first", "third"))
    run = cg.open_run(folder)
    first = (run.items["group"] == "first").to_numpy()
    rng = np.random.default_rng(0)
    columns = {"id": run.items["item_id"], "benchmark": run.items["benchmark"]}
    for number in range(8):
        chance = np.where(first == (number % 2 == 1), 0.98, 0.05)
        columns[f"m{number}"] = (rng.random(len(first)) < chance).astype(float)
    run.add_scores(pl.DataFrame(columns))
    return cg.open_run(folder)
