"""``perf/unit_costs.py`` says of every run what it knows, and leaves out what it does not."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys

import pytest

import competency_gaps as cg
from core_helpers import ROOT, seal


@pytest.fixture
def costs(monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("unit_costs", ROOT / "perf" / "unit_costs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def of(run):
        monkeypatch.setattr(sys, "argv", ["unit_costs.py", str(run), "--items", "100"])
        module.main()
        lines = capsys.readouterr().out.splitlines()
        return {line[:22].strip(): line[22:].split() for line in lines if line[:22].strip()}, lines[1]

    return of


def test_a_whole_run(tiny_run, costs):
    rows, _ = costs(tiny_run.path)
    shards = sum(file.stat().st_size for file in (tiny_run.path / "activations").iterdir() if file.is_file())
    assert float(rows["activations, bytes"][0]) == pytest.approx(shards / 70, rel=1e-3)
    assert float(rows["tokens"][1]) == pytest.approx(tiny_run.items["n_tokens"].sum() / 70 * 100, rel=1e-2)
    assert {"reading, seconds", "metrics, seconds", "responses, bytes", "by concept, bytes"} <= rows.keys()


def test_runs_that_lack_something(tiny_run, costs, tmp_path):
    folder = shutil.copytree(tiny_run.path, tmp_path / "run")
    shutil.rmtree(folder / "responses")
    held = json.loads((folder / "manifest.json").read_text())
    del held["read"]
    (folder / "manifest.json").write_text(json.dumps(held))
    seal(folder)
    rows, why = costs(folder)
    assert "does not say who read it" in why
    assert "metrics, seconds" in rows and "activations, bytes" in rows
    assert "reading, seconds" not in rows and "responses, bytes" not in rows


def test_an_outcome(tiny_run, costs, tmp_path):
    run = cg.open_run(shutil.copytree(tiny_run.path, tmp_path / "run"))
    assert "by concept, bytes" in costs(run.with_all_kinds().path)[0]
