"""What a run folder refuses, and its reasons for excluded and unscored items."""

from __future__ import annotations

import copy
import json

import numpy as np
import polars as pl
import pytest

import competency_gaps
from competency_gaps.model.prompts import Tokens
from competency_gaps.pipeline.extraction import cut_shards
from competency_gaps.pipeline.items import text_ends
from competency_gaps.reading.extract import span_mask
from competency_gaps.runs.manifest import SCHEMA_VERSION
from competency_gaps.util.checked import write_document
from competency_gaps.util.errors import UserError
from core_helpers import objects, with_benchmarks


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("span",), "prompt", "span"),
        (("pooling",), "max", "pooling"),
        (("benchmarks", 0, "sample"), 5, "benchmarks.0.sample"),
        (("benchmarks", 1, "scorer"), "none", "benchmarks.1.scorer"),
        (("generation",), {"seed": 9}, "generation.seed"),
        (("sae", "hook_name"), "blocks.1.hook_resid_post", "sae.hook_name"),
        (("model", "dtype"), "bfloat16", "model.dtype"),
    ],
)
def test_another_run_in_the_folder_is_refused(path, value, named, tiny_config, tiny_run):
    config = copy.deepcopy(tiny_config)
    node = config
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    before = {p.name: p.stat().st_mtime_ns for p in tiny_run.path.iterdir()}
    with pytest.raises(UserError, match="holds a run that differs in") as error:
        competency_gaps.run(config, tiny_run.path)
    assert named in str(error.value)
    assert {p.name: p.stat().st_mtime_ns for p in tiny_run.path.iterdir()} == before, "nothing was touched"


def test_what_only_changes_tables_is_allowed(tiny_config, tiny_run, run):
    folder = run.path
    shards = {p.name: p.stat().st_mtime_ns for p in (folder / "activations").glob("b*-*.*")}
    (folder / "robustness.json").write_text("{}")
    run = competency_gaps.run({**tiny_config, "evidence": {"level": 0.5, "kinds": "all"}, "batch_tokens": 128}, folder)
    assert not (folder / "robustness.json").exists(), "verdicts on the old tables are out of date"
    assert {p.name: p.stat().st_mtime_ns for p in (folder / "activations").glob("b*-*.*")} == shards
    assert run.concepts["chi_model"].equals(tiny_run.concepts["chi_model"])
    assert not run.concepts["chi_model_low"].equals(tiny_run.concepts["chi_model_low"])
    assert (run.concepts["ranked"] == run.concepts["alive"]).all() and run.concepts["kind"].n_unique() > 1


def test_a_folder_of_something_else_is_refused(tiny_config, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty and does not hold a run"):
        competency_gaps.run(tiny_config, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(UserError, match=r"thesis\.txt.*file"):
        competency_gaps.run(tiny_config, tmp_path / "thesis.txt")


def test_what_is_no_run_cannot_be_opened(tiny_run, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        competency_gaps.open_run(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is not a run: it has no manifest"):
        competency_gaps.open_run(tmp_path)
    (tmp_path / "my quiz.jsonl").write_text("{}")
    with pytest.raises(UserError, match=r"make a run of it first, with benchmark .*/my quiz.jsonl\.$"):
        competency_gaps.open_run(tmp_path / "my quiz.jsonl")
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(UserError, match="unfinished"):
        competency_gaps.open_run(tmp_path)
    for content in ("{", "[]", "{}"):
        (tmp_path / "manifest.json").write_text(content)
        with pytest.raises(UserError, match="damaged"):
            competency_gaps.open_run(tmp_path)
    manifest = {**tiny_run.manifest, "schema_version": 99}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        UserError, match=rf"schema_version 99, but this version of competency-gaps reads {SCHEMA_VERSION}"
    ):
        competency_gaps.open_run(tmp_path)
    write_document(tmp_path / "manifest.json", tiny_run.manifest)
    with pytest.raises(UserError, match=r"items\.parquet is missing: the run is damaged"):
        _ = competency_gaps.open_run(tmp_path).items


def test_excluded_items(tiny_config, tmp_path):
    long = "How many days are there in March? " * 40
    rows = [
        {"id": "long", "prompt": long, "score": 1.0},
        {"id": "fits", "prompt": "How many days?", "score": 0.5},
        {"id": "also long", "prompt": long + long, "score": 1.0},
        {"id": "fits too", "prompt": "A fox.", "score": 1.0},
    ]
    benchmarks = [{**tiny_config["benchmarks"][0], "sample": 8}, objects("own", rows)]
    run = competency_gaps.run(with_benchmarks(tiny_config, benchmarks), tmp_path / "run")
    own = run.items.filter(pl.col("benchmark") == "own")
    assert own["item_id"].to_list() == ["long", "fits", "also long", "fits too"]
    reasons = own["excluded"].to_list()
    assert reasons[1] is None and reasons[3] is None
    assert all(one["code"] == "too_long" and one["numbers"][1] == 256 for one in (reasons[0], reasons[2]))
    assert (
        own["excluded"].struct.field("text")[0]
        == f"longer than the context: {reasons[0]['numbers'][0]:.0f} > 256 tokens"
    )
    assert own["prompt"][0] == long, "never cut"
    assert (
        own["score"].to_list() == [None, 0.5, None, 1.0]
        and own["unscored"].struct.field("text").to_list() == ["excluded", None] * 2
    )
    assert own["n_span_tokens"].to_list()[0] == 0
    cas = run.cas("own")
    assert np.diff(cas.indptr)[[0, 2]].tolist() == [0, 0] and np.diff(cas.indptr)[[1, 3]].min() > 0
    row = run.benchmarks.filter(pl.col("benchmark") == "own").row(0, named=True)
    assert (row["items"], row["kept"], row["excluded"], row["scored"], row["mean_score"]) == (4, 2, 2, 2, 0.75)


def test_ends_of_a_response_against_decoding_every_beginning(tokenizer):
    rng = np.random.default_rng(0)
    text = "The fox naïvely jumps - 日本語 \U0001f98a, twice."
    samples = [tokenizer(text)["input_ids"], *(rng.integers(4, len(tokenizer), n).tolist() for n in (1, 3, 40))]
    for ids in samples:
        truth = [len(tokenizer.decode(ids[: n + 1], skip_special_tokens=True)) for n in range(len(ids))]
        found = text_ends(tokenizer, np.asarray(ids))
        assert found[-1] == truth[-1] == len(tokenizer.decode(ids, skip_special_tokens=True))
        # Inside of a character of several tokens the end is wherever the unfinished part is shown; elsewhere it is one.
        whole = [n for n in range(len(ids)) if not tokenizer.decode(ids[: n + 1]).endswith("\ufffd")]
        assert found[whole].tolist() == np.maximum.accumulate(truth)[whole].tolist()


class _Item:
    excluded = None

    def __init__(self, own: list[bool]):
        n = len(own)
        self.tokens = Tokens(
            np.arange(n, dtype=np.int32),
            np.zeros((n, 2), np.int32),
            np.array(own),
            np.array([True] + [False] * (n - 1)),
            1,
        )
        self.text = type("T", (), {"text": "text"})


def test_span_masks():
    tokens = _Item([False, True, True, False]).tokens
    expected = {
        "question": [0, 1, 1, 0, 0, 0],
        "prompt": [0, 1, 1, 1, 0, 0],
        "prompt+bos": [1, 1, 1, 1, 0, 0],
        "response": [0, 0, 0, 0, 1, 1],
        "all": [0, 1, 1, 1, 1, 1],
    }
    for span, mask in expected.items():
        assert span_mask(span, tokens, 2).astype(int).tolist() == mask


def test_shards_hold_every_item_once():
    lengths = np.random.default_rng(0).integers(1, 90_000, 200).tolist()
    for most in (7, 1000):
        groups = list(cut_shards(lengths, most))
        flat = [i for group in groups for i in group]
        assert sorted(flat) == list(range(200))
        assert [lengths[i] for i in flat] == sorted(lengths, reverse=True)
        assert all(sum(lengths[i] for i in group) < 32_768 + 90_000 for group in groups)
        assert max(map(len, groups)) <= most
    assert [len(group) for group in cut_shards([1] * 20, 7)] == [7, 7, 6]
    assert list(cut_shards([], 7)) == []


def test_concept_items_against_plain_sorting(tiny_run):
    """Order, saliency and ties, by a loop over the whole run."""
    concept = int(tiny_run.concepts.sort("support", descending=True)["concept"][0])
    rows = []
    for name in ("quiz", "sums"):
        cas = tiny_run.cas(name)[:, [concept]].toarray()[:, 0]
        items = tiny_run.items.filter(pl.col("benchmark") == name)
        rows += [(name, i, float(v), s) for i, v, s in zip(items["item_id"], cas, items["score"], strict=True) if v > 0]
    tau = np.mean([r[2] for r in rows])
    found = tiny_run.concept_items(concept, limit=1000)
    assert found.select("benchmark", "item_id").rows() == [r[:2] for r in sorted(rows, key=lambda r: (-r[2], r[1]))]
    assert found["ncas"].to_numpy() == pytest.approx(2 / (1 + np.exp(-found["cas"].to_numpy() / tau)) - 1, abs=1e-6)
    scored = [r for r in rows if r[3] is not None]
    best = tiny_run.concept_items(concept, order="best", limit=1000)
    assert best["item_id"].to_list() == [r[1] for r in sorted(scored, key=lambda r: (-r[3], -r[2], r[1]))]
    worst = tiny_run.concept_items(concept, order="worst", benchmark="sums", limit=4)
    expected = sorted((r for r in scored if r[0] == "sums"), key=lambda r: (r[3], -r[2], r[1]))
    assert worst["item_id"].to_list() == [r[1] for r in expected[:4]]
