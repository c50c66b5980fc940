"""Loading several benchmarks: generated ones in parallel, errors before any work."""

from __future__ import annotations

import sys

import pytest

from competency_gaps.items.config import BenchmarkConfig
from competency_gaps.items.item import Benchmark
from competency_gaps.pipeline import load
from competency_gaps.pipeline.load import load_suite
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress


def generated(name: str, family: str = "chain_sum", **source) -> BenchmarkConfig:
    return BenchmarkConfig(name=name, source={"kind": "reasoning_gym", "family": family, "size": 2, **source})


def from_file(name: str, path) -> BenchmarkConfig:
    path.write_text('{"prompt": "p"}')
    return BenchmarkConfig(name=name, source={"kind": "file", "path": path})


def test_order_is_that_of_the_choices(tmp_path):
    choices = [generated("a"), from_file("b", tmp_path / "a.jsonl"), generated("c", seed=1)]
    suite = load_suite(choices, Progress(quiet=True))
    assert list(suite) == ["a", "b", "c"] and [len(one.items) for one in suite.values()] == [2, 1, 2]
    assert load_suite([], Progress(quiet=True)) == {}


def test_generators_are_checked_before_anything_is_loaded(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "load_benchmark", lambda choice: pytest.fail(f"{choice.name} was loaded"))
    mixed = {"kind": "reasoning_gym", "family": "chain_sums", "size": 2}
    listed = BenchmarkConfig(name="m", sources=[{"kind": "file", "path": tmp_path / "absent.jsonl"}, mixed])
    for wrong in (generated("b", "chain_sums"), generated("b", difficulty={"max_term": 3}), listed):
        with pytest.raises(UserError, match=r"no family 'chain_sums'|no difficulty 'max_term'"):
            load_suite([generated("a"), wrong], Progress(quiet=True))


def test_no_placeholders_while_other_benchmarks_are_loaded(monkeypatch):
    """An import of an absent package in another thread must fail as usual."""

    def read(choice):
        assert "reasoning_gym" in sys.modules
        with monkeypatch.context() as patch:
            patch.setattr("competency_gaps.items.generate._placeholders", lambda: pytest.fail("placeholders"))
            load.make_dataset("chain_sum", {}, seed=0, size=1)
        return Benchmark(choice.name, ())

    monkeypatch.setattr(load, "load_benchmark", read)
    assert list(load_suite([generated("a")], Progress(quiet=True))) == ["a"]
