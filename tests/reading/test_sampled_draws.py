"""Sampled answers: equal prompts are answered anew, and neither shards nor batches change an answer."""

from __future__ import annotations

import pytest

import competency_gaps as cg
from competency_gaps.pipeline import extraction
from core_helpers import objects, with_benchmarks


@pytest.fixture(scope="module")
def config(tiny_config):
    """100 equal prompts and others, in two benchmarks."""
    prompts = ["What is the city of France?"] * 100 + [f"How many days are in {i}?" for i in range(7)]
    items = [{"id": f"{i}", "prompt": prompt, "answer": "x"} for i, prompt in enumerate(prompts)]
    options = {"max_new_tokens": 6}
    benchmarks = [objects(name, own, "exact", options=options) for name, own in (("many", items), ("again", items[:5]))]
    return with_benchmarks(tiny_config, benchmarks, generation={"temperature": 1.0})


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    return cg.run(config, tmp_path_factory.mktemp("sampled") / "run")


def answers(run) -> list[str]:
    return run.items["response"].to_list()


def test_equal_prompts_are_answered_anew_in_every_shard(run):
    made = answers(run)
    assert len(list((run.path / "responses").glob("b000-*.parquet"))) == 3, "of the sample, and two of the others"
    assert len(set(made[:100])) > 90
    assert made[:36] != made[64:100] and made[:5] != made[107:112]


def test_neither_shards_nor_batches_change_an_answer(run, config, tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "GENERATED_ITEMS", 7)
    assert answers(cg.run({**config, "batch_tokens": 77}, tmp_path / "run")) == answers(run)
