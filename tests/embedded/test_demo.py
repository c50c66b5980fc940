"""What the demo says before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from competency_gaps.embedded import demo
from competency_gaps.embedded.demo import OPERATIONS, demo_config, demo_outlook
from competency_gaps.model import speed
from competency_gaps.runs.estimate import PRODUCTS


def outlook(monkeypatch, *, per_second: float, weights: Path | None = None, wheel: Path | None = None):
    monkeypatch.setattr(speed, "_speeds", lambda device, kinds: {"float32": per_second, "bfloat16": per_second / 50})
    monkeypatch.setattr(demo, "local_weights", lambda pinned: weights)
    monkeypatch.setattr(demo, "cached_wheel", lambda pinned: wheel)
    config = demo_config()
    return demo_outlook(config.model_copy(update={"model": config.model.model_copy(update={"device": "cpu"})}))


def test_the_outlook_counts_what_is_configured(monkeypatch, tmp_path):
    fast, slow = (outlook(monkeypatch, per_second=n) for n in (1e13, 1e11))
    assert (fast.benchmarks, fast.items, fast.precision) == (12, 1750, "float32")
    # A hundredth of the speed: the passes alone take longer.
    assert slow.seconds - fast.seconds == pytest.approx(0.99 * OPERATIONS / (PRODUCTS * 1e11), rel=1e-6)
    assert fast.megabytes == 100 and outlook(monkeypatch, per_second=1e11, weights=tmp_path).megabytes == 7
    here = outlook(monkeypatch, per_second=1e11, weights=tmp_path, wheel=tmp_path)
    text = " ".join(here.lines(Path("demo-run")))
    assert (
        here.megabytes == 0 and "fetched" not in text and "after 100 MB are fetched" in " ".join(slow.lines(tmp_path))
    )
    assert "1,750 questions" in text and "12 generated benchmarks" in text and "demo-run" in text
    assert "100 billion operations a second in float32" in text


def test_the_users_file_is_the_model(tmp_path):
    file = tmp_path / "own.gguf"
    assert demo_config(file).model.name == str(file) and demo_config().model.name == "embedded:smollm2-135m-instruct"
