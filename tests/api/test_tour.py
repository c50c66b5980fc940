"""The notebook runs from its first cell to its last, and shows what it says."""

from __future__ import annotations

import ast
import json
import shutil
from typing import Any

import polars as pl
import pytest

from competency_gaps.registry import POLICIES
from core_helpers import ROOT, seal

CELLS = json.loads((ROOT / "examples" / "tour.ipynb").read_text(encoding="utf-8"))["cells"]


@pytest.fixture
def labelled(tiny_run, tmp_path):
    """A run whose concepts have labels."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.path, folder)
    concepts = pl.read_parquet(folder / "concepts.parquet").with_columns(label=pl.format("sign {}", "concept"))
    concepts.write_parquet(folder / "concepts.parquet")
    seal(folder)
    return folder


def shown(source: str, names: dict[str, Any]) -> Any:
    """Run a cell; give the value of its last expression, None where it ends in none."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last is not None else None  # noqa: S307


def test_every_cell_runs(labelled, monkeypatch):
    monkeypatch.setenv("CGAPS_RUN", str(labelled))
    code = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]
    assert 7 <= len(code) <= 15 and all(cell["outputs"] == [] for cell in CELLS if cell["cell_type"] == "code")
    names: dict[str, Any] = {}
    try:
        values = [shown(source, names) for source in code]
    finally:
        POLICIES.forget("short_enough")
    run = values[0]
    assert run.path == labelled and "<table" in run._repr_html_()
    assert values[1].model == run.scored_model and len(values[1].findings) <= 10
    assert values[-2]["weak"] == values[-2]["strong"] == 0 and values[-2]["tested"] > 0
    assert values[-1].value == 1.0
