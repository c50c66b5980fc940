"""Items that cannot be read are excluded, each with its reason; all others keep what they have without them."""

from __future__ import annotations

import io
import logging
import re
import shutil
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from rich.console import Console

import competency_gaps as cg
from competency_gaps.api.make import read_config
from competency_gaps.pipeline import extraction
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress
from core_helpers import STORED, objects, shard_bytes, with_benchmarks

NAN, FAILS, LARGE = "§", "¶", " fox" * 80
"""What is in a prompt that the model cannot read."""
FITS = 70
"""Tokens that fit into memory at once."""
REASONS = {
    2: "its activations are not finite",
    5: "the model failed on it: IndexError: index out of range",
    7: "memory ran out even on this item alone",
}
WORDS = ["fox", "dog", "city", "France", "March", "Paris"]


def prompts(count: int) -> list[str]:
    planted = {2: NAN, 5: FAILS, 7: LARGE}
    return [f"What is the {WORDS[i % 6]} of {i * 7 % 10}?{planted.get(i, '')}" for i in range(count)]


def benchmark(name: str, scorer: str, count: int = 14, **settings) -> dict:
    items = [
        {"id": f"{name}{i}", "prompt": prompt, "answer": 0 if scorer == "choice" else "x"}
        | ({"choices": [f"the {WORDS[i % 6]} is", "the dog was", "a word"]} if scorer == "choice" else {})
        | ({"score": i % 2} if scorer == "imported" else {})
        for i, prompt in enumerate(prompts(count))
    ]
    return objects(name, items, scorer, **settings)


@pytest.fixture(scope="module", params=["question", "all"])
def config(tiny_config, request):
    """Rows from the pass that scores or answers, from a pass of its own, and after an answer."""
    benchmarks = [
        benchmark("options", "choice", options={"form": "cloze"}),
        benchmark("answers", "exact", options={"max_new_tokens": 4}, chat_template="off"),
        benchmark("given", "imported"),
    ]
    settings = {"span": request.param, "batch_tokens": 200, "generation": {"temperature": 0.9}}
    return with_benchmarks(tiny_config, benchmarks, **settings)


@pytest.fixture(scope="module")
def pair(tiny_config):
    config = read_config(tiny_config)
    model = cg.load_model(**config.model.model_dump(exclude_defaults=True))
    return {"model": model}


@contextmanager
def planted(lm, *, nan=NAN, fits=FITS):
    """The model reads NaN where a token stands, fails on another, and fits only so many tokens at once."""
    nan_id, bad_id = (lm.tokenizer(text, add_special_tokens=False)["input_ids"][-1] for text in (nan, FAILS))

    def embed(module, args, out):
        if args[0].numel() > fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        if (args[0] == bad_id).any():
            raise IndexError("index out of range\nin the second line")
        return out.masked_fill((args[0] == nan_id)[..., None], float("nan"))

    handle = lm.model.get_input_embeddings().register_forward_hook(embed)
    try:
        yield
    finally:
        handle.remove()


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    make_small(monkeypatch)


def make_small(patch) -> None:
    for name, value in {"SHARD_ITEMS": 5, "GENERATED_ITEMS": 5}.items():
        patch.setattr(extraction, name, value)


@pytest.fixture(scope="module")
def clean(config, pair, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        return cg.run(config, tmp_path_factory.mktemp("clean") / "run", **pair)


@pytest.fixture(scope="module")
def damaged(config, pair, tmp_path_factory):
    """The run with planted faults, what it said, and its warnings."""
    printed, records = io.StringIO(), []
    handler = logging.Handler()
    handler.emit = records.append
    logging.getLogger("competency_gaps").addHandler(handler)
    with pytest.MonkeyPatch.context() as patch, planted(pair["model"]):
        make_small(patch)
        progress = Progress(Console(file=printed))
        run = cg.run(config, tmp_path_factory.mktemp("damaged") / "run", progress=progress, **pair)
    logging.getLogger("competency_gaps").removeHandler(handler)
    return run, printed.getvalue(), [record.getMessage() for record in records]


def _cause(why):
    """Of a span with the response the model's numbers fail before its activations are read."""
    return REASONS[2] if why is not None and ("not finite" in why or "not numbers" in why) else why


def test_each_is_excluded_with_its_reason_and_counted(damaged, clean):
    run, printed, warnings = damaged
    assert clean.items["excluded"].null_count() >= clean.items.height - 1
    for name in ("options", "answers", "given"):
        items = run.items.filter(pl.col("benchmark") == name)
        # Also where an answer was lacking first, as the span holds it.
        for place, why in enumerate(items["excluded"].struct.field("text")):
            assert _cause(why) == REASONS.get(place) or (place not in REASONS and why in (None, "no response"))
        lost = items[list(REASONS)]
        assert lost["score"].null_count() == lost["response"].null_count() == 3
        assert set(lost["unscored"].struct.field("text")) == {"excluded"}
        assert lost["n_span_tokens"].to_list() == [0, 0, 0]
        assert f"{name}: 3 of 14 items excluded, the first '{name}2': {items['excluded'][2]['text']}" in printed
        row = run.benchmarks.row(by_predicate=pl.col("benchmark") == name, named=True)
        assert row["excluded"] == items["excluded"].is_not_null().sum() >= 3
        assert row["kept"] + row["excluded"] == row["items"] == 14
    excluded = run.items["excluded"].struct.field("text").drop_nulls()
    groups = Counter(map(_cause, excluded))
    assert [groups[why] for why in REASONS.values()] == [3, 3, 3]
    total = re.search(r"^reading: ([0-9,]+) tokens$", printed, re.MULTILINE)
    assert total and f"reading: done, {total[1]} tokens" in printed, "each counts once"
    halved = [text for text in warnings if "are halved" in text]
    assert len(halved) == 1 and "A batch_tokens below 200" in halved[0]


def test_all_others_are_as_in_a_clean_run(damaged, clean):
    run = damaged[0]
    kept = ~np.isin(np.arange(42) % 14, list(REASONS))
    ours, theirs = run.items.filter(kept), clean.items.filter(kept)
    for name in ("item_id", "response", "score", "text", "n_tokens", "n_span_tokens", "unscored", "excluded", "greedy"):
        assert ours[name].equals(theirs[name], null_equal=True), name
    for own, other in zip(ours["logprobs"], theirs["logprobs"], strict=True):
        assert list(own) == pytest.approx(list(other), abs=1e-4)
    for name in ("options", "answers", "given"):
        cas, expected = run.cas(name).toarray(), clean.cas(name).toarray()
        rows = kept[:14]
        assert expected[rows].any() and cas[rows] == pytest.approx(expected[rows], rel=STORED, abs=1e-4)
        assert np.array_equal(cas[rows] > 0, expected[rows] > 0)
        assert not cas[~rows].any()


def test_only_items_that_ran_out_of_memory_are_retried(damaged, clean, config, pair, tmp_path):
    shutil.copytree(damaged[0].path, tmp_path / "run")
    before = shard_bytes(tmp_path / "run")
    run = cg.run(config, tmp_path / "run", **pair)
    after = shard_bytes(tmp_path / "run")
    changed = {Path(name).stem for name in after if after[name] != before[name] and Path(name).match("b00*")}
    assert sorted(name[:4] for name in changed) == ["b000", "b001", "b002"], "a shard of each"
    for name in ("options", "answers", "given"):
        ours, theirs = (each.items.filter(pl.col("benchmark") == name) for each in (run, clean))
        assert "memory" not in str(ours["excluded"].struct.field("text").to_list())
        assert ours["response"][7] == theirs["response"][7] and ours["score"][7] == theirs["score"][7]


def few(tiny_config, nans: int, count: int = 40) -> dict:
    """Two benchmarks, the second with some items whose activations are NaN."""
    plain = [{"id": f"p{i}", "prompt": f"How many days are in {WORDS[i % 6]} {i}?"} for i in range(12)]
    broken = [{"id": f"b{i}", "prompt": f"What is {i * 3}?" + NAN * (i < nans)} for i in range(count)]
    config = {**tiny_config, "sae": {**tiny_config["sae"], "gate_tokens": 256}}
    return with_benchmarks(config, [objects("plain", plain, "none"), objects("broken", broken, "none")])


def test_more_than_a_tenth_unreadable_stop_the_run(tiny_config, pair, tmp_path):
    folder = tmp_path / "run"
    with planted(pair["model"], fits=10**9):
        assert cg.run(few(tiny_config, 9), tmp_path / "nine", **pair).items["excluded"].null_count() == 52 - 9
        assert cg.run(few(tiny_config, 10, 100), tmp_path / "tenth", **pair).items["excluded"].null_count() == 102
        with pytest.raises(
            UserError, match=r"broken: 1[0-2] of 40 .*all because their activations.*set model\.dtype to bfloat16"
        ):
            cg.run(few(tiny_config, 12), folder, **pair)
    kept = shard_bytes(folder)
    assert any("b000" in name for name in kept)
    stored = [pl.read_parquet(folder / name)["excluded"] for name in kept if "b001" in name and "parquet" in name]
    excluded = sum(column.is_not_null().sum() for column in stored)
    assert excluded < 10, "the shard that stopped the run is not kept"
    run = cg.run(few(tiny_config, 12), folder, **pair)
    assert run.items["excluded"].null_count() == 52 - excluded
    assert all(shard_bytes(folder)[name] == content for name, content in kept.items())
