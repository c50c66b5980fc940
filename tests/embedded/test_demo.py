"""What the demo announces before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from competency_gaps import demo
from competency_gaps.demo import OPERATIONS, demo_config, demo_outlook
from competency_gaps.embedded import weights as pinned
from competency_gaps.embedded.weights import SMOLLM2
from competency_gaps.model import size


def outlook(monkeypatch, *, per_second: float, weights: Path | None = None):
    monkeypatch.setattr(size, "_speeds", lambda device, kinds: {"float32": per_second, "bfloat16": per_second / 50})
    monkeypatch.setattr(demo, "local_weights", lambda _: weights)
    config = demo_config()
    return demo_outlook(config.model_copy(update={"model": config.model.model_copy(update={"device": "cpu"})}))


def test_the_outlook_counts_what_is_configured(monkeypatch, tmp_path):
    fast, slow = (outlook(monkeypatch, per_second=n) for n in (1e13, 1e11))
    assert (fast.benchmarks, fast.items, fast.precision) == (11, 2420, "float32")
    # A hundredth of the speed: the passes alone take longer.
    assert slow.seconds - fast.seconds == pytest.approx(0.99 * OPERATIONS / (0.4 * 1e11), rel=1e-6)
    assert fast.megabytes == 93 and outlook(monkeypatch, per_second=1e11, weights=tmp_path).megabytes == 0
    text = " ".join(slow.lines(Path("demo-run")))
    assert "after a download of 93 MB" in text
    assert "2,420 items" in text and "11 benchmarks" in text and "demo-run" in text
    assert "100 billion operations a second in float32" in text


def test_the_outlook_counts_no_cached_wheel(monkeypatch, place):
    place.mkdir()
    (place / SMOLLM2.wheel).touch()
    monkeypatch.setattr(pinned, "_has_content", lambda file, expected: file.exists())
    assert outlook(monkeypatch, per_second=1e11).megabytes == 0
    (place / SMOLLM2.wheel).unlink()
    assert outlook(monkeypatch, per_second=1e11).megabytes == SMOLLM2.megabytes


def test_the_users_file_is_the_model(tmp_path):
    file = tmp_path / "own.gguf"
    assert demo_config(file).model.name == str(file) and demo_config().model.name == "embedded:smollm2-135m-instruct"


def test_the_help_counts_the_benchmarks():
    from competency_gaps.cli import run as command

    words = {11: "eleven", 12: "twelve"}
    said = [number for number, word in words.items() if word in str(command.demo.__doc__)]
    assert said == [len(demo_config().benchmarks)]
