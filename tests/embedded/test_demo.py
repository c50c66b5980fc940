"""What the demo announces before it begins."""

from __future__ import annotations

from competency_gaps.api import make
from competency_gaps.api.make import announcement, demo_config


def test_a_download_is_announced(monkeypatch, tmp_path):
    assert "downloads 93 MB" in announcement(demo_config(), "demo-run")
    monkeypatch.setattr(make, "local_weights", lambda _: tmp_path)
    assert "downloads" not in announcement(demo_config(), "demo-run")


def test_the_help_counts_the_benchmarks():
    from competency_gaps.cli import run as command

    words = {11: "eleven", 12: "twelve"}
    said = [number for number, word in words.items() if word in str(command.demo.__doc__)]
    assert said == [len(demo_config().benchmarks)]
