"""The precision of a model follows from what is measured; a resumed run keeps the one that it was begun in."""

from __future__ import annotations

import pytest

from competency_gaps.items.config import RunConfig
from competency_gaps.model import load
from competency_gaps.model.load import chosen_dtype
from competency_gaps.runs.plan import begun, planned
from competency_gaps.util.checked import write_document
from core_helpers import objects


@pytest.mark.parametrize(("bfloat16", "dtype"), [(3.0, "bfloat16"), (1.1, "float32"), (0.02, "float32")])
def test_auto_takes_what_is_measured_faster(monkeypatch, bfloat16, dtype):
    monkeypatch.setattr(load, "_gain", lambda: bfloat16)
    assert chosen_dtype("auto", "cpu") == dtype
    assert chosen_dtype("float16", "cpu") == "float16"


def test_a_resumed_run_keeps_its_precision(tmp_path):
    def dtype(folder, asked="auto"):
        config = {"model": {"name": "m", "dtype": asked}, "sae": {"folder": "s"}, "benchmarks": [objects("b", [])]}
        return planned(RunConfig(**config), begun(folder)).model.dtype

    write_document(tmp_path / "plan.json", {"model": {"dtype": "bfloat16"}})
    assert dtype(tmp_path) == "auto", "nothing was computed, so the folder is free"
    (tmp_path / "gate.json").write_text("{}")
    assert dtype(tmp_path) == "bfloat16" and dtype(tmp_path, "float32") == "float32"
    assert dtype(tmp_path / "nowhere") == "auto"
