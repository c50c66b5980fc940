"""Item weights: raking against closed forms and an optimiser; what they change against plain loops."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

import competency_gaps as cg
from competency_gaps.errors import UserError
from competency_gaps.evidence.interval import quantile
from competency_gaps.improve import weigh
from competency_gaps.improve.weigh import paired, raked
from core_helpers import command


def test_one_set_of_slices_has_a_closed_form_and_items_in_none_keep_their_weight():
    label = np.repeat([0, 1, 2, -1], [10, 20, 50, 20])
    weight = raked([label], 10)
    assert weight == pytest.approx(np.repeat([80 / 30, 80 / 60, 80 / 150, 1], [10, 20, 50, 20]))


def test_two_sets_have_the_least_divergence_from_equal_weights():
    rng = np.random.default_rng(0)
    a, b = rng.choice(2, 60, p=[0.8, 0.2]), rng.choice(3, 60, p=[0.5, 0.3, 0.2])
    even = [{"type": "eq", "fun": lambda w, own=label, k=k, of=of: w[own == k].sum() - 60 / of}
            for label, of in ((a, 2), (b, 3)) for k in range(of - 1)]  # fmt: skip
    even.append({"type": "eq", "fun": lambda w: w.sum() - 60})
    best = minimize(lambda w: (w * np.log(w)).sum(), np.ones(60), constraints=even, bounds=[(1e-6, None)] * 60)
    assert raked([a, b], 100) == pytest.approx(best.x, abs=2e-3)


def test_the_bound_holds_and_the_other_slices_stay_even():
    label = np.repeat([0, 1, 2], [2, 100, 200])
    weight = raked([label], 5)
    assert weight.mean() == pytest.approx(1) and weight.min() >= 1 / 5 and weight.max() <= 5 + 1e-9
    sums = np.bincount(label, weight)
    assert sums[0] == pytest.approx(10) and sums[1] == pytest.approx(sums[2])


def test_pairs_are_compared_on_common_items():
    """Without weights and repeats: mean and standard error of paired differences; else by hand for one pair."""
    rng = np.random.default_rng(1)
    scores = (rng.random((4, 200)) < 0.6).astype(float)
    own = scores[0] - scores[2]
    found = paired(scores, np.ones(200), np.arange(200))
    assert found.plain[:, 0, 2] == pytest.approx([own.mean(), own.std() / np.sqrt(200)])
    weight, cluster = rng.random(200), np.arange(200) // 2
    scores[1, 50:] = scores[3, :45] = np.nan
    found = paired(scores, weight, cluster)
    own = (scores[0] - scores[1])[:50]
    mean = np.average(own, weights=weight[:50])
    terms = (weight[:50] * (own - mean)).reshape(-1, 2).sum(axis=1) / weight[:50].sum()
    assert found.weighted[:, 0, 1] == pytest.approx([mean, np.sqrt((terms**2).sum())])
    assert np.isnan(found.plain[:, 1, 3]).all(), "three common clusters are too few"
    gain = found.weighted[0, 0, 1:] - found.plain[0, 0, 1:]
    assert found.shift[0, 0] == pytest.approx(gain.mean())


def test_planted_swaps_are_found(scored_run, tmp_path, monkeypatch):
    """Beyond noise for all pairs together: by the normal quantile, on both sides."""
    monkeypatch.setattr(weigh, "ERROR", 0.5)
    swaps = scored_run.weights(["group"]).swaps
    errors = [(swaps[name] - swaps[low]) / quantile(0.5) for name, low in
              (("difference", "low"), ("weighted", "weighted_low"))]  # fmt: skip
    z = np.stack([swaps["difference"] / errors[0], -swaps["weighted"] / errors[1]])
    assert swaps["sure"].to_list() == (z.min(axis=0) > quantile(1 - 0.5 / 36)).tolist()
    assert swaps["sure"].any() and not swaps["sure"].all()
    monkeypatch.undo()
    found = scored_run.weights(["group"])
    assert not found.swaps["sure"].any()
    clear = (pl.col("low") > 0) & (pl.col("weighted_high") < 0)
    swapped = found.swaps.filter(clear, pl.col("ahead").str.starts_with("m"), pl.col("behind").str.starts_with("m"))
    assert swapped.height == 16 and set(swapped["ahead"].str.slice(1)) <= set("1357")
    assert set(swapped["behind"].str.slice(1)) <= set("0246")
    assert found.slices["weighted"].to_numpy() == pytest.approx(np.full(3, 1 / 3))
    assert found.effective < found.before
    found.write(tmp_path / "new" / "weights.parquet")
    written = pl.read_parquet(tmp_path / "new" / "weights.parquet")
    kept = scored_run.items["excluded"].is_null()
    assert written["weight"].is_not_null().to_list() == kept.to_list() and written["weight"].mean() == pytest.approx(1)
    scores = written.filter(kept).with_columns(first=scored_run.items.filter(kept)["group"] == "first")
    assert scores.filter("first")["weight"].sum() == pytest.approx(found.count / 3)


@pytest.mark.parametrize(("over", "cap"), [(["colour"], 5), (["regions"], 5), (None, 1)])
def test_what_cannot_be_evened_out_is_said(scored_run, over, cap):
    with pytest.raises(UserError, match="above 1" if cap == 1 else "has .benchmark."):
        scored_run.weights(over, cap=cap)


def test_the_overview_names_commands_that_there_are_and_writes_nothing(scored_run):
    done = command("improve", str(scored_run.path), "--json")
    steps = json.loads(done.stdout)["first"]
    assert [step["command"].split(" --")[1].split()[0] for step in steps] == ["items", "keep", "weights"]
    assert all(step["says"] for step in steps) and not (scored_run.path / "improve").exists()


def test_items_that_repeat_each_other_count_once(scored_run):
    run = cg.open_run(scored_run.path)
    halves = run.items.with_columns(cluster=pl.int_range(pl.len(), dtype=pl.Int32) // 2)
    run.__dict__["items"] = halves
    sizes = halves.filter(pl.col("excluded").is_null())["cluster"].value_counts()["count"].to_numpy()
    found, alone = run.weights(["group"]), scored_run.weights(["group"])
    assert found.before == pytest.approx(sizes.sum() ** 2 / (sizes**2).sum()) and found.before < alone.before
