"""Scores that are not missing by chance, and peers that are few or far: measured, said, refused where they must be."""

from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from rich.console import Console

from competency_gaps.evidence import ItemSample, Thresholds
from competency_gaps.findings import model_scores as models
from competency_gaps.findings.model_scores import Missing, missing_scores
from competency_gaps.util.errors import UserError
from competency_gaps.view.terminal.models import models_view


def add(run, **columns):
    """Add models with these scores, in the order of the items; None: unscored."""
    table = run.items.select("benchmark", id="item_id")
    run.add_scores(table.with_columns(pl.Series(name, values).fill_nan(None) for name, values in columns.items()))
    return run


def drawn(run, *means, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.random(run.items.height) < mean).astype(float) for mean in means]


def sample_of(items=1500):
    group = np.repeat([0, 1], items // 2)
    nothing = sp.csr_array((0, items))
    return ItemSample(np.full(items, np.nan), group, lambda asked: nothing[asked], np.zeros(0, np.int64))


@pytest.mark.parametrize("depends", ["nothing", "difficulty"])
def test_what_missing_scores_depend_on_is_measured_within_benchmarks(depends):
    """The second benchmark is easier and lacks more scores: that alone is no dependence."""
    rng = np.random.default_rng(1)
    sample = sample_of()
    others = rng.uniform(0, 0.6, 1500) + 0.4 * sample.benchmark
    chance = 0.1 + 0.2 * sample.benchmark
    if depends == "difficulty":
        chance = chance + 0.4 * (others - 0.4 * sample.benchmark < 0.2)
    lacking = (rng.random(1500) < chance).astype(float)
    made = missing_scores(sample, lacking, others, Thresholds())
    assert made.share == lacking.mean()
    assert made.with_difficulty == (depends == "difficulty") and (made.high < -0.05) == (depends == "difficulty")


def test_of_many_models_few_are_named_by_chance(run, monkeypatch):
    """False discoveries are controlled over the models; a model with too few missing scores is no test."""
    p_values = {"own": float("nan"), "clear": 1e-4, "chance": 0.03, **{f"m{number}": 0.5 for number in range(9)}}
    values = dict(zip(p_values, drawn(run, *[0.5] * len(p_values)), strict=True))
    add(run, **{model: column for model, column in values.items() if model != "own"})
    left = iter(p_values.values())
    monkeypatch.setattr(models, "missing_scores", lambda *_, **__: Missing(0.1, 0.0, 0.0, 0.0, next(left)))
    measured = models.missing_of_models(run)
    assert [model for model, own in measured.items() if own.with_difficulty] == ["clear"]
    assert len(measured) == len(p_values)


def test_peers_of_another_level_are_refused_with_what_to_do(run):
    own, low, lower = drawn(run, 0.9, 0.3, 0.25)
    add(run, own=own, low=low, lower=lower)
    with pytest.raises(UserError, match=r"not at its level.*low by \d+, lower by \d+.*Add models at its level"):
        run.as_model("own", ("low", "lower"))
    assert run.as_model("own", "low").kind == "difference"  # a single one is another question


@pytest.mark.parametrize("hard", [True, False])
def test_scores_missing_on_hard_items_are_announced(run, hard):
    rng = np.random.default_rng(3)
    easy = rng.random(run.items.height) < 0.6
    peers = {name: np.where(easy, rng.random(len(easy)) < 0.95, rng.random(len(easy)) < 0.2) * 1.0 for name in "abc"}
    own = np.where(easy, rng.random(len(easy)) < 0.95, rng.random(len(easy)) < 0.2) * 1.0
    own[(rng.random(len(own)) < 0.8) & ~easy if hard else rng.random(len(own)) < 0.35] = np.nan
    add(run, own=own, **peers)
    console = Console(width=400, file=io.StringIO())
    console.print(models_view(run))
    assert ("missing scores are not random" in console.file.getvalue()) == hard
