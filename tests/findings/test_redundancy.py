"""What parts add: brute force, a null, a planted part, and a run's groups."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

import competency_gaps as cg
from competency_gaps.findings.redundancy import MIN_MODELS, RIDGE, added, unexplained
from competency_gaps.view.coverage_words import coverage_words
from core_helpers import copied


def answers(rng: np.random.Generator, models: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """0/1 scores of models, which differ in strength alone, on 900 items of six parts."""
    chance = expit(rng.normal(0, 1, (models, 1)) + rng.normal(0, 1, 900))
    return (rng.random(chance.shape) < chance).astype(float), np.repeat(np.arange(6), 150)


def test_parts_of_one_strength_add_nothing_and_a_planted_part_does():
    rng, cluster = np.random.default_rng(0), np.arange(900)
    nulls = [added(*answers(rng), cluster) for _ in range(30)]
    assert sum((null.missed > null.noise).any() for null in nulls) <= 5  # 5% are expected
    scores, part = answers(rng)
    chance = expit(rng.normal(0, 1, (12, 1)) + rng.normal(0, 1, 150))
    scores[:, part == 5] = rng.random(chance.shape) < chance
    planted = added(scores, part, cluster)
    assert (planted.missed > planted.noise).tolist() == [False] * 5 + [True]
    assert planted.common < min(null.common for null in nulls)


def test_models_without_enough_scores_of_a_part_and_items_without_a_part_do_not_count():
    scores, part = answers(np.random.default_rng(1))
    part[:50] = -1
    few = scores.copy()
    few[0, part == 2] = np.nan
    assert added(scores, part, np.arange(900)).models == 12 and added(few, part, np.arange(900)).models == 11
    few[:, part == 2] = np.nan
    assert (
        added(few, part, np.arange(900)) is None and added(np.full_like(scores, np.nan), part, np.arange(900)) is None
    )
    assert added(scores[: MIN_MODELS - 1], part, np.arange(900)) is None


def test_what_is_unexplained_is_that_of_plain_loops():
    mean = np.random.default_rng(2).normal(size=(8, 4)) @ np.random.default_rng(3).normal(size=(4, 4))
    centred = mean - mean.mean(axis=0)
    for part, missed in enumerate(unexplained(mean)):
        others = np.delete(centred, part, axis=1)
        errors = np.zeros((len(RIDGE), 8))
        for row, penalty in enumerate(RIDGE * (others**2).sum()):
            for out in range(8):
                x, y = np.delete(others, out, axis=0), np.delete(centred[:, part], out)
                slope = np.linalg.solve(
                    (x - x.mean(0)).T @ (x - x.mean(0)) + penalty * np.eye(3), (x - x.mean(0)).T @ (y - y.mean())
                )
                errors[row, out] = centred[out, part] - y.mean() - (others[out] - x.mean(0)) @ slope
        assert missed == pytest.approx(np.sqrt((errors**2).mean(axis=1).min()))


def test_coverage_compares_the_benchmarks_of_a_run(tiny_run, tmp_path_factory):
    run = copied(tiny_run, tmp_path_factory)
    assert run.coverage().redundancy is None
    scores = np.random.default_rng(0).random((8, run.items.height)).round()
    columns = {"id": run.items["item_id"], "benchmark": run.items["benchmark"]}
    run.add_scores(pl.DataFrame({**columns, **{f"m{row}": values for row, values in enumerate(scores)}}))
    report = cg.open_run(run.path).coverage()
    sizes = run.items["benchmark"].value_counts(sort=True)
    assert report.redundancy.what == "benchmark" and report.redundancy.models >= 8
    assert {part.name: part.items for part in report.redundancy.parts} == dict(sizes.iter_rows())
    missed = [part.missed for part in report.redundancy.parts]
    assert missed == sorted(missed, reverse=True)
    assert "benchmarks add something" in coverage_words(report)[-1]
    assert run.coverage(sizes["benchmark"][0]).redundancy is None
