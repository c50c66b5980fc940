"""Models side by side: one gap of a slice on every surface, and what tells models apart."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from scipy.stats import chi2, false_discovery_control
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app
from competency_gaps.evidence import corrected
from competency_gaps.findings.answer import slice_table
from competency_gaps.findings.models import spread
from competency_gaps.slices import read_slices
from competency_gaps.view.page import tools
from competency_gaps.view.page.parts import Parts
from competency_gaps.view.page.parts.context import Context
from core_helpers import copied, with_groups


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    """Six models: half of them are bad at one group of items, the others are alike."""
    folder = copied(tiny_run, tmp_path_factory).path
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["evidence"] |= {"min_n_eff": 4, "strata": []}  # the run has few items
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with_groups(folder, ("first", "second", "third"))
    made = cg.open_run(folder)
    own = (made.items["group"] == "first").to_numpy()
    rng = np.random.default_rng(0)
    columns = {"id": made.items["item_id"], "benchmark": made.items["benchmark"]}
    for number in range(6):
        chance = np.where(own & (number < 3), 0.1, 0.8)
        columns[f"m{number}"] = (rng.random(len(own)) < chance).astype(float)
    made.add_scores(pl.DataFrame(columns))
    return made


def test_a_slice_has_one_gap_wherever_it_stands(run):
    """The answer, the terminal's list as JSON, the heat map, the tool of assistants and the page."""
    models = [f"m{n}" for n in range(6)]
    cells, listed = run.model_slices(against="benchmark", models=models).cells, 0
    parts = Parts(Context(run, "k"))
    scores = {model: run.as_model(model).outcomes for model in models}
    kept = run.items["excluded"].is_null().to_numpy()
    for model in models:
        asked = ["show", str(run.path), model, "--against", "benchmark", "--list", "slices", "--json", "--limit", "999"]
        shown = json.loads(CliRunner().invoke(app, asked, catch_exceptions=False).stdout)["slices"]
        told = tools.slices(run, model=model, against="benchmark", limit=100)["rows"]
        page = json.loads(parts.read(f"gaps/{run.models['model'].to_list().index(model)}.json"))["benchmark"]
        table = {row["slice"]: row for row in slice_table(run, model, "benchmark").iter_rows(named=True)}
        assert len(shown) == len(table) and told and cells.filter(model=model).height
        for row in (*shown, *told, *cells.filter(model=model).iter_rows(named=True)):
            expected = table[row["slice"]]
            assert all(row[name] == pytest.approx(expected[name]) for name in ("gap", "low", "high"))
            assert row["verdict"] == expected["verdict"] and row["reason"] == expected["reason"]
        for family in read_slices(run):
            for number, member in zip(family.number.tolist(), family.member.toarray() > 0, strict=True):
                inside, row = kept & member, table[number]
                assert (row["items"], row["of_items"]) == (inside.sum(), inside.sum())
                assert row["mean"] == pytest.approx(scores[model][inside].mean())
        numbers = [entry["number"] for entry in json.loads(parts.read("slices.json"))]
        for number, entry in zip(numbers, page, strict=True):
            assert entry["gap"] == pytest.approx(table[number]["gap"])
        for finding in run.answer(model, "benchmark").findings:
            listed += 1
            assert (finding.gap, finding.low, finding.high) == pytest.approx(
                tuple(table[finding.slice][name] for name in ("gap", "low", "high"))
            )
    assert listed


def test_the_planted_slice_tells_the_models_apart(run):
    found = run.model_slices(against="benchmark", models=[f"m{n}" for n in range(6)])
    first = found.slices.row(0, named=True)
    assert first["name"].startswith("first") and first["family"] == "columns" and first["spread"] > 0.1
    cells = found.cells.filter(slice=first["slice"])
    assert cells.filter(verdict="weaker")["model"].to_list() == ["m0", "m1", "m2"]
    assert found.slices["family"].to_list() == sorted(found.slices["family"], key=lambda name: name != "columns")


def test_spread_is_cochrans_test_and_the_variance_beyond_noise():
    rng = np.random.default_rng(1)
    error, models, slices = 0.04, 15, 400
    apart = np.where(np.arange(slices) < 100, 0.1, 0.0)
    gap = rng.normal(0, apart, (models, slices)) + rng.normal(0, error, (models, slices))
    found = spread(gap, np.full(gap.shape, 2 * 1.959964 * error))
    assert found["p_value"][7] == pytest.approx(chi2.sf(((gap[:, 7] - gap[:, 7].mean()) ** 2).sum() / error**2, 14))
    assert np.sqrt((found["spread"][:100] ** 2).mean()) == pytest.approx(0.1, abs=0.01)
    assert (found["p_value"][100:] < 0.05).mean() == pytest.approx(0.05, abs=0.035)
    assert ((found["spread_low"] <= apart)[:100]).mean() > 0.94
    gap[1:, 3] = np.nan
    assert np.isnan(spread(gap, np.ones(gap.shape))["p_value"][3])


def test_q_values_are_those_of_scipy_over_all_cells():
    p_value = np.random.default_rng(2).random((5, 30)) ** 3
    p_value[2, 4] = np.nan
    known = ~np.isnan(p_value)
    assert corrected(p_value)[known] == pytest.approx(false_discovery_control(p_value[known]))
    assert np.isnan(corrected(p_value)[2, 4])
