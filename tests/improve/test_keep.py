"""Subsets of items: the choice against brute force, estimates against the truth of simulated models."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

import competency_gaps as cg
from competency_gaps.improve.keep import read_kept
from competency_gaps.improve.response import ABILITIES, DESIGN_SCALE, RANDOM_EVERY, responses
from competency_gaps.items.config.benchmark import FileSource
from competency_gaps.items.files import read_files
from competency_gaps.util.errors import UserError
from core_helpers import write_lines
from log_samples import sample


def world(models, items, seed, slices=0, shift=0.0):
    """Scores in [0, 1] of models that a two-parameter logistic model makes, with abilities of each slice."""
    rng = np.random.default_rng(seed)
    member = np.zeros((items, slices), bool)
    if slices:
        member[np.arange(items), rng.integers(slices, size=items)] = True
    ease, slope = rng.normal(0.3, 1.3, items), np.abs(rng.normal(0.8, 0.3, items))
    ability = rng.normal(shift, 1, (models, 1)) + rng.normal(0, 0.5, (models, slices)) @ member.T
    return (rng.random((models, items)) < expit(ease + slope * ability)).astype(float), member


def means(member):
    inside = np.concatenate([np.ones((len(member), 1), bool), member], axis=1).T
    return inside / inside.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def small():
    scores, member = world(10, 14, 0, slices=2)
    return responses(scores, member), means(member)


def loss(model, targets, rows, importance):
    """Sum over abilities and targets of the variance that is left, by the closed form of Bayesian regression."""
    total = 0.0
    for ability in ABILITIES:
        p = expit(model.features @ (model.mean + ability * model.towards))
        own, noise = model.features[rows], 1 / (p * (1 - p))
        left = np.linalg.inv(np.linalg.inv(model.scaled(DESIGN_SCALE)) + own.T @ (own / noise[rows, None]))
        gradient = (targets * p * (1 - p)) @ model.features
        total += importance @ np.einsum("td,de,te->t", gradient, left, gradient)
    return total


def test_each_choice_is_the_best_single_item(small):
    model, targets = small
    importance = np.array([1.0, 0.3, 0.3])
    chosen = list(model.choose(6, targets, importance, np.arange(14)))
    assert len(set(chosen)) == 6
    for place in range(6):
        if place % RANDOM_EVERY == RANDOM_EVERY - 1:  # drawn at random
            continue
        before = chosen[:place]
        losses = {i: loss(model, targets, [*before, i], importance) for i in range(14) if i not in before}
        assert losses[chosen[place]] == pytest.approx(min(losses.values()), rel=1e-4)


def test_greedy_is_near_the_best_subset(small):
    model, targets = small
    importance = np.array([1.0, 0.3, 0.3])
    chosen = list(model.choose(2, targets, importance, np.arange(14)))
    every = [loss(model, targets, list(pair), importance) for pair in combinations(range(14), 2)]
    none = loss(model, targets, [], importance)
    assert none - loss(model, targets, chosen, importance) > 0.95 * (none - min(every))


def test_repeats_are_taken_once(small):
    model, targets = small
    chosen = np.array(list(model.choose(14, targets, np.ones(3), np.arange(14) // 2)))
    assert len(chosen) == 7 and len(set(chosen // 2)) == 7


def test_intervals_hold_and_beat_random_items():
    scores, member = world(60, 1500, 1, slices=3)
    targets, rng = means(member), np.random.default_rng(0)
    held, errors, plain = [], [], []
    for first in range(0, 60, 12):
        out = np.arange(first, first + 12)
        model = responses(np.delete(scores, out, axis=0), member)
        rows = np.array(list(model.choose(60, targets, np.array([1, 0.1, 0.1, 0.1]), np.arange(1500))))
        for own in scores[out]:
            found, truth = model.estimate(rows, own[rows], targets), targets @ own
            held.append((found.low <= truth) & (truth <= found.high))
            errors.append(found.value[0] - truth[0])
            plain.append(own[rng.choice(1500, 60, replace=False)].mean() - truth[0])
    assert 0.92 < np.mean(held) <= 1
    assert np.abs(errors).mean() < 0.75 * np.abs(plain).mean()
    # The error that is told in advance is the one that comes.
    assert np.std(errors) == pytest.approx(model.errors(rows, targets)[0], rel=0.35)


def test_models_better_than_all_sources():
    scores, member = world(12, 1500, 2)
    better, _ = world(30, 1500, 2, shift=2.5)
    targets = means(member)
    model = responses(scores, member)
    for size, most in ((60, 0.05), (600, 0.012)):
        rows = np.array(list(model.choose(size, targets, np.ones(1), np.arange(1500))))
        found = [model.estimate(rows, own[rows], targets) for own in better]
        truth = better.mean(axis=1)
        assert np.mean([abs(f.value[0] - t) for f, t in zip(found, truth, strict=True)]) < most
        assert np.mean([f.low[0] <= t <= f.high[0] for f, t in zip(found, truth, strict=True)]) >= 0.9


def test_unscored_items_say_nothing(small):
    model, targets = small
    rows, scores = np.arange(6), np.array([1, 0, np.nan, 1, np.nan, 0.5])
    known = ~np.isnan(scores)
    assert np.allclose(model.estimate(rows, scores, targets), model.estimate(rows[known], scores[known], targets))


def test_a_run(scored_run, tmp_path):
    kept = scored_run.keep(12)
    assert kept.items.height == 12 and kept.items.n_unique() == 12
    assert kept.expected["slice"][0] == "all items" and kept.expected["kept"][0] == 12
    assert kept.sizes["count"][2] == 12 and kept.sizes["error"][2] == pytest.approx(kept.expected["error"][0])
    kept.write(tmp_path / "kept")
    again = read_kept(tmp_path / "kept")
    columns = {"id": kept.items["item_id"], "benchmark": kept.items["benchmark"]}
    scores = pl.DataFrame({**columns, "good": [1.0] * 12, "part": [1.0] * 6 + [None] * 6})
    says = kept.predict(scores)
    assert says.equals(again.predict(scores))
    whole = says.filter(pl.col("slice") == "all items")
    assert whole["scored"].to_list() == [12, 6] and (whole["low"] <= whole["mean"]).all()
    with pytest.raises(UserError, match="good"):
        kept.predict(scores.with_columns(good=pl.lit(None)))


def test_files_for_other_tools(scored_run, tmp_path):
    kept = scored_run.keep(9)
    kept.write(tmp_path / "file")
    assert not (tmp_path / "file" / "lm_eval.json").exists(), "a place in a file is no document number of lm-eval"
    numbers = scored_run.items.with_row_index("doc").select("benchmark", "item_id", pl.col("doc").cast(pl.Int64) + 7)
    source = kept.source.drop("doc").join(numbers, on=["benchmark", "item_id"])
    replace(kept, source=source).write(tmp_path)
    docs = json.loads((tmp_path / "lm_eval.json").read_text())
    assert sum(map(len, docs.values())) == 9
    for benchmark, places in docs.items():
        items = scored_run.items[[place - 7 for place in places]]
        assert set(items["benchmark"]) == {benchmark}
        assert (tmp_path / benchmark / "inspect.txt").read_text().strip().split(",") == items["item_id"].to_list()
        records = [record.values for record in read_files(FileSource(path=tmp_path / benchmark / "items.jsonl"))]
        assert [(r["id"], r["prompt"]) for r in records] == items.select("item_id", "prompt").rows()


def test_a_log_of_the_kept_items_that_numbers_them_anew(scored_run, tmp_path):
    kept = scored_run.keep(9)
    kept.write(tmp_path / "kept")
    items = kept.table.filter(pl.col("rank").is_not_null()).select("benchmark", "item_id", "prompt")
    right = {row: float(number % 3 > 0) for number, row in enumerate(items.rows())}
    for (benchmark,), own in items.group_by("benchmark", maintain_order=True):
        rows = [sample(number, row[2], exact_match=right[row]) for number, row in enumerate(own.rows())]
        write_lines(tmp_path / "log" / "lab__new" / f"samples_{benchmark}_2026-01-02T03-04-05.000000.jsonl", rows)
    by_id = pl.DataFrame({"id": items["item_id"], "benchmark": items["benchmark"], "lab/new": list(right.values())})
    kept = read_kept(tmp_path / "kept")
    assert kept.predict(tmp_path / "log").equals(kept.predict(by_id))


def test_what_cannot_be_chosen_is_an_error(scored_run, tiny_run, tmp_path):
    with pytest.raises(UserError, match="takes the scores of 3 models, but the run has 1"):
        tiny_run.keep(10)
    for count in (1, scored_run.items.height):
        with pytest.raises(UserError, match="expected at least 2"):
            scored_run.keep(count)
    with pytest.raises(UserError, match="no kept items"):
        read_kept(tmp_path)
    assert cg.open_run(scored_run.path).items.height
