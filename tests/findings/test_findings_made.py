"""Findings of whole suites: what is planted is told by its feature, and nothing where nothing is planted."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from findings_helpers import drawn_items, judged, negative, noisy, planted_run, run_folder, with_run_columns

from competency_gaps.findings import findings_of
from competency_gaps.runs.schemas import FINDINGS

SEEDS = range(10)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Ten suites in which negative answers are hard, each with its findings."""
    runs = [planted_run(tmp_path_factory.mktemp("planted"), seed) for seed in SEEDS]
    return [(run, findings_of(run)) for run in runs]


def test_a_planted_weakness_is_told_by_its_feature(planted):
    right = 0
    for run, table in planted:
        first = table.row(0, named=True)
        assert set(first["concepts"]) & {0, 1, 2}
        right += first["feature"] == "answer.negative" and first["verdict"] == "weak"
        if first["feature"] == "answer.negative":
            hard = negative(run.items)
            score = run.items["score"].to_numpy()
            assert (first["feature_items"], first["other_items"]) == (hard.sum(), (~hard).sum())
            assert first["feature_score"] == pytest.approx(score[hard].mean())
            assert first["other_score"] == pytest.approx(score[~hard].mean())
            figures = f"{100 * score[hard].mean():.0f}% right ({hard.sum()} items)"
            assert first["sentence"].startswith(f"sums: items whose answer is negative: {figures}, others ")
    assert right >= 9


def test_nothing_planted_gives_no_finding(tmp_path_factory):
    empty = 0
    for seed in SEEDS:
        table = findings_of(planted_run(tmp_path_factory.mktemp("null"), seed, planted=False))
        assert list(table.columns) == [*FINDINGS]
        empty += table.height == 0
    assert empty >= 9


def test_a_weakness_without_a_feature_has_no_description(tmp_path_factory):
    """The items are chosen by a coin: the finding is true, and nothing that can be read off them tells it."""
    silent = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        items, hard = drawn_items(rng, 400), rng.random(400) < 0.3
        cas = np.stack([noisy(rng, hard), *(noisy(rng, rng.random(400) < 0.3) for _ in range(9))], axis=1)
        items = with_run_columns(items, (rng.random(400) < np.where(hard, 0.1, 0.7)).astype(float))
        table = findings_of(run_folder(tmp_path_factory.mktemp("coin"), items, judged(items, cas, []), cas, []))
        assert table["leader"][0] == 0
        silent += table["feature"].is_null().all()
    assert silent >= 9


def test_repeats_count_once(tmp_path):
    for name in ("once", "thrice"):
        (tmp_path / name).mkdir()
    once = findings_of(planted_run(tmp_path / "once", 1)).row(0, named=True)
    thrice = findings_of(planted_run(tmp_path / "thrice", 1, repeats=3)).row(0, named=True)
    assert thrice["items"] == 3 * once["items"]
    same = ("clusters", "feature", "feature_items", "other_items")
    assert [thrice[name] for name in same] == [once[name] for name in same]
    close = ("gap", "gap_low", "gap_high", "p_value", "n_eff", "feature_score", "mean_score", "unseen_gap", "feature_p")
    for name in close:
        assert thrice[name] == pytest.approx(once[name], rel=1e-6), name
    assert (once["counted"], thrice["counted"]) == ("items", "texts")
    assert f"({once['feature_items']} different items)" in thrice["sentence"]
    assert "different items" not in once["sentence"]


def test_examples_are_distinct_and_on_their_side(planted):
    for run, table in planted:
        row = table.row(0, named=True)
        shown = [*row["failing"], *row["passing"]]
        assert len(row["failing"]) == len(row["passing"]) == 3
        assert len(set(run.items["cluster"].gather(shown))) == 6
        assert run.items["score"].gather(row["failing"]).to_list() == [0.0] * 3
        assert run.items["score"].gather(row["passing"]).to_list() == [1.0] * 3
        if row["feature"] == "answer.negative":
            assert negative(run.items)[row["failing"]].all() and not negative(run.items)[row["passing"]].any()


def test_a_mixed_cluster_counts_on_both_sides(tmp_path):
    rng = np.random.default_rng(0)
    items = drawn_items(rng, 600)
    hard, cluster = negative(items), np.arange(600) // 2
    scores = (rng.random(600) < np.where(hard, 0.1, 0.8)).astype(float)
    items = with_run_columns(items, scores, cluster).with_columns(cluster_kind=pl.lit("given"))
    cas = np.stack([noisy(rng, hard), *(noisy(rng, rng.random(600) < 0.3) for _ in range(5))], axis=1)
    row = findings_of(run_folder(tmp_path, items, judged(items, cas, []), cas, [])).row(0, named=True)
    assert row["feature"] == "answer.negative"
    for side, count, mean in ((hard, "feature_items", "feature_score"), (~hard, "other_items", "other_score")):
        means = [scores[side & (cluster == one)].mean() for one in np.unique(cluster[side])]
        assert row[count] == len(means)
        assert row[mean] == pytest.approx(np.mean(means))
    assert row["feature_items"] + row["other_items"] > 300
    assert row["counted"] == "clusters" and f"({row['feature_items']} clusters)" in row["sentence"]
