"""What repeats what: closed forms, brute force, nulls, and a planted second axis."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from scipy.stats import spearmanr

from competency_gaps.improve.redundancy import (
    RIDGE,
    axes_of,
    correlation,
    effective_number,
    foretells,
    unforetold,
    units_of,
)

NAMES = pl.Series([f"part {n}" for n in range(6)])


def answers(rng: np.random.Generator, apart: float, models: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """0/1 scores of models on 900 items of six parts: one level, and ``apart`` of a second axis, parts 0 to 2 up."""
    part = np.repeat(np.arange(6), 150)
    side = np.where(part < 3, 1, -1)
    level, other = rng.normal(0, 1, (2, models, 1))
    chance = expit(level + apart * other * side + rng.normal(0, 1, 900))
    return (rng.random(chance.shape) < chance).astype(float), part


def test_one_axis_counts_as_one_and_a_planted_second_is_found():
    rng = np.random.default_rng(0)
    counts = [axes_of(units_of(*answers(rng, 0), np.arange(900)), NAMES, rng)[1]["count"] for _ in range(12)]
    assert sum(count > 1 for count in counts) <= 2
    table, found = axes_of(units_of(*answers(rng, 0.8), np.arange(900)), NAMES, rng)
    second = found["axes"].row(1, named=True)
    assert found["count"] == 2 and 1.2 < found["effective"].value < found["apart"]
    assert {frozenset(second["up"]), frozenset(second["down"])} == {frozenset(NAMES[:3]), frozenset(NAMES[3:])}
    assert len(table["adds"]) == 6


def test_a_part_of_its_own_adds_and_the_others_repeat():
    rng = np.random.default_rng(3)
    scores, part = answers(rng, 0)
    own = expit(rng.normal(0, 1, (12, 1)) + rng.normal(0, 1, 150))
    scores[:, part == 5] = rng.random(own.shape) < own
    table, _ = axes_of(units_of(scores, part, np.arange(900)), NAMES, rng)
    assert table["adds"].tolist() == [False] * 5 + [True]


def test_parts_without_a_score_are_parts_still():
    scores, part = answers(np.random.default_rng(1), 0)
    scores[:, part == 5] = np.nan
    mean, noise = units_of(scores, part, np.arange(900)).means()
    assert np.isnan(mean).all(axis=0).tolist() == np.isnan(noise).all(axis=0).tolist() == [False] * 5 + [True]
    assert np.isnan(units_of(np.full_like(scores, np.nan), part, np.arange(900)).means()).all()


def test_units_are_clusters_and_missing_scores_are_no_difficulty():
    scores, part = answers(np.random.default_rng(1), 0)
    scores[0, part == 2] = np.nan
    cluster = np.arange(900) // 3
    mean, noise = units_of(scores, part, cluster).means()
    assert np.isnan(mean[0, 2]) and not np.isnan(np.delete(mean.ravel(), 2)).any()
    relative = (scores - np.nanmean(scores, axis=0))[4, part == 1]
    assert mean[4, 1] == pytest.approx(relative.mean())
    sums = (relative - relative.mean()).reshape(-1, 3).sum(axis=1)
    assert noise[4, 1] == pytest.approx((sums**2).sum() / 150**2)


def test_effective_number_in_closed_form():
    equal = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 5)) - 0)[0]
    equal = np.linalg.svd(equal - equal.mean(axis=0), full_matrices=False)[0]
    assert effective_number(equal, np.zeros((9, 5))) == pytest.approx(5)
    assert effective_number(equal[:, [0, 0, 0]], np.zeros((9, 3))) == pytest.approx(1)
    noise = np.full((9, 5), 0.5 / 9)
    assert effective_number(equal * [3, 1, 1, 1, 1], noise) == pytest.approx((8.5 + 4 * 0.5) ** 2 / (8.5**2 + 4 * 0.25))


def test_what_is_not_foretold_is_that_of_plain_loops():
    mean = np.random.default_rng(2).normal(size=(8, 4)) @ np.random.default_rng(3).normal(size=(4, 4))
    centred = mean - mean.mean(axis=0)
    for part, found in enumerate(unforetold(mean)):
        others = np.delete(centred, part, axis=1)
        errors = np.zeros((len(RIDGE), 8))
        for at, penalty in enumerate(RIDGE * (others**2).sum()):
            for out in range(8):
                x, y = np.delete(others, out, axis=0), np.delete(centred[:, part], out)
                slope = np.linalg.solve(
                    (x - x.mean(0)).T @ (x - x.mean(0)) + penalty * np.eye(3), (x - x.mean(0)).T @ (y - y.mean())
                )
                errors[at, out] = centred[out, part] - y.mean() - (others[out] - x.mean(0)) @ slope
        assert found == pytest.approx(np.sqrt((errors**2).mean(axis=1).min()))


@pytest.mark.parametrize("models", [6, 20])
def test_intervals_hold_the_correlation_without_noise(models):
    rng = np.random.default_rng(models)
    true, inside = 0.8, 0
    for _ in range(400):
        means = rng.multivariate_normal([0, 0], [[1, true], [true, 1]], models)
        value, low, high = correlation(means + rng.normal(0, 0.4, means.shape), np.full(means.shape, 0.16))
        inside += np.isnan(value) or low <= true <= high
    assert inside / 400 > 0.93
    assert np.isnan(correlation(means[:5], np.zeros((5, 2)))).all()
    assert np.isnan(correlation(means, np.full(means.shape, 5.0))).all()


def test_likeness_foretells_correlation_if_it_does():
    rng = np.random.default_rng(0)
    place = rng.normal(size=(12, 2))
    like = -np.linalg.norm(place[:, None] - place, axis=-1)
    noisy = like + rng.normal(0, 0.5, like.shape)
    noisy = noisy + noisy.T
    at = np.triu_indices(12, 1)
    found = foretells(like, noisy)
    assert found.correlation == pytest.approx(spearmanr(like[at], noisy[at])[0]) and found.p_value < 0.002
    nulls = []
    for _ in range(60):
        other = rng.normal(size=(12, 2))
        nulls.append(foretells(like, -np.linalg.norm(other[:, None] - other, axis=-1), shuffles=199).p_value)
    assert 0.3 < np.mean(nulls) < 0.7 and np.mean(np.array(nulls) <= 0.05) < 0.15
    assert foretells(like[:4, :4], noisy[:4, :4]) is None


def test_of_a_run(scored_run):
    found = scored_run.redundancy("group")
    assert found.parts["part"].to_list() == ["first", "second", "third"] and len(found.models) == 9
    total = {name: np.zeros(scored_run.width) for name in found.parts["part"]}
    start = 0
    for name in scored_run.benchmarks["benchmark"]:
        cas = scored_run.cas(name).toarray().astype(float)
        for row, group in zip(cas, scored_run.items["group"][start : start + len(cas)], strict=True):
            total[group] += row
        start += len(cas)
    for row in found.pairs.to_dicts():
        a, b = total[row["a"]], total[row["b"]]
        assert row["likeness"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert found.parts.filter(part="third")["with"].item() == "second"
    benchmarks = scored_run.redundancy()
    assert benchmarks.what == "benchmark" and benchmarks.foretold is None
