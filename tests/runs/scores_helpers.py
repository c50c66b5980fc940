"""Scores of further models on the items of a run."""

from __future__ import annotations

import numpy as np
import polars as pl


def table(run, seed=0, models=("a", "b", "c", "d"), benchmark=None):
    rng = np.random.default_rng(seed)
    items = run.items if benchmark is None else run.items.filter(pl.col("benchmark") == benchmark)
    columns = {name: (rng.random(items.height) < 0.6).astype(float) for name in models}
    return pl.DataFrame({"id": items["item_id"], "benchmark": items["benchmark"], **columns})


def kept_rows(run):
    return run.items["excluded"].is_null().to_numpy()
