"""Scores by category: means against plain ones, and how often the truly best model may be the best."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import competency_gaps as cg
from competency_gaps.findings.models import may_be_best


def test_the_truly_best_model_may_be_the_best():
    """In 95 of 100 draws at least, though seven models are near it; and of far ones nearly none may be."""
    rng = np.random.default_rng(0)
    missed, far = 0, 0
    for _ in range(400):
        right = np.array([0.7, 0.7, 0.69, 0.66, 0.6, 0.6, 0.3, 0.2])
        shared = rng.normal(0, 0.15, 120)  # items that are hard for all
        values = (rng.random((8, 120)) < np.clip(right[:, None] + shared, 0, 1)).astype(float)
        values[rng.random(values.shape) < 0.1] = np.nan
        may = may_be_best(values)
        missed += not may[:2].all()
        far += may[6:].any()
    assert missed <= 0.05 * 400 and far == 0
    assert may_be_best(np.array([[1.0, 1.0], [0.0, 0.0], [np.nan, np.nan]])).tolist() == [True, True, False]


def test_means_are_plain_means_and_intervals_count_repeats_once(tmp_path, cli):
    rng = np.random.default_rng(1)
    items = pl.DataFrame({"prompt": [f"Item {i}: why {rng.integers(10**9)}?" for i in range(60)]})
    items = items.with_columns(group=pl.Series(["tea", "rice"] * 30))
    table = items.with_columns(**{name: pl.Series(rng.integers(0, 2, 60)) for name in ("ada", "bob", "cy")})
    again = pl.concat([table[:1]] * 5)  # six times the same item of tea
    pl.concat([table, again]).write_csv(tmp_path / "quiz.csv")
    run = cg.read_logs(tmp_path / "quiz.csv")
    expected = pl.concat([table, again]).group_by("group").agg(pl.col("ada", "bob", "cy").mean())
    made = run.scores_by("group")
    for category, *means in expected.iter_rows():
        own = dict(made.filter(category=category).select("model", "mean").iter_rows())
        assert [own[name] for name in ("ada", "bob", "cy")] == pytest.approx(means)
    tea, rice = (
        made.filter(category=name).select(wide=pl.col("high") - pl.col("low"))["wide"] for name in ("tea", "rice")
    )
    assert made.filter(category="tea")["items"].unique().to_list() == [35] and tea.min() > 0.9 * rice.min()
    assert run.scores_on("tea").equals(made.filter(category="tea"))
    assert "surely" in cli("show", str(tmp_path / "quiz.csv"), "--by", "group")[1]
    status, _, err = cli("show", str(tmp_path / "quiz.csv"), "--by", "grup")
    assert status == 2 and "Did you mean 'group'?" in err
