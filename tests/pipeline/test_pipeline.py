"""The main job on a tiny model: the tables agree with brute force, and a stopped run resumes to the same result."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import competency_gaps
from core_helpers import objects, with_benchmarks


def brute_force(run):
    """chi_bench and chi_model by plain loops over `.cas()` and `.items`."""
    names = run.items["benchmark"].unique(maintain_order=True).to_list()
    width = run.width
    dense = {name: run.cas(name).toarray().astype(np.float64) for name in names}
    scores = {name: run.items.filter(pl.col("benchmark") == name)["score"].to_list() for name in names}
    kept = {name: [e is None for e in run.items.filter(pl.col("benchmark") == name)["excluded"]] for name in names}
    alive = [c for c in range(width) if run.concepts["alive"][c]]
    bench, model = {}, {}
    for name in names:
        rows = [x for x in range(len(dense[name])) if kept[name][x]]
        m_b = sum(dense[name][x, c] for x in rows for c in alive) / (len(rows) * len(alive))
        for c in range(width):
            bench[name, c] = sum(dense[name][x, c] for x in rows) / len(rows) / m_b
            top = bottom = 0.0
            for x in rows:
                if scores[name][x] is not None:
                    top += dense[name][x, c] * scores[name][x]
                    bottom += dense[name][x, c]
            model[name, c] = top / bottom if bottom > 0 else None
    return names, bench, model


def test_tables_equal_brute_force(tiny_run):
    names, bench, model = brute_force(tiny_run)
    rows = {(r["benchmark"], r["concept"]): r for r in tiny_run.concept_benchmarks.iter_rows(named=True)}
    defined = 0
    for key, value in bench.items():
        assert rows[key]["chi_bench"] == pytest.approx(value, abs=1e-5)
        if model[key] is None:
            assert rows[key]["chi_model"] is None
        else:
            defined += 1
            assert rows[key]["chi_model"] == pytest.approx(model[key], abs=1e-5)
    assert defined > 20
    for row in tiny_run.concepts.iter_rows(named=True):
        c = row["concept"]
        assert row["chi_bench"] == pytest.approx(np.mean([bench[n, c] for n in names]), abs=1e-5)
        known = [model[n, c] for n in names if model[n, c] is not None]
        assert row["n_benchmarks"] == len(known)
        if known:
            assert row["chi_model"] == pytest.approx(np.mean(known), abs=1e-5)
        else:
            assert row["chi_model"] is None


def test_unscored_is_not_zero(tiny_run):
    unscored = tiny_run.items.filter(pl.col("score").is_null())
    assert unscored["item_id"].to_list() == ["i3"]
    assert tiny_run.benchmarks.filter(pl.col("benchmark") == "sums")["scored"].item() == 29


def test_open_run_gives_the_same(tiny_run):
    again = competency_gaps.open_run(tiny_run.path)
    assert again.concepts.equals(tiny_run.concepts)
    assert (again.cas("quiz") != tiny_run.cas("quiz")).nnz == 0


def test_a_model_that_is_only_read_needs_no_scorer(tiny_config, tmp_path):
    items = [{"prompt": f"What is {n} plus {n}?"} for n in range(12)]
    config = with_benchmarks(tiny_config, [objects("open", items)], ask=False)
    run = competency_gaps.run(config, tmp_path / "run")
    assert set(run.items["scorer"]) == {"none"} and run.items["score"].null_count() == 12
