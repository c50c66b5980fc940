"""Field mappings and lists of sources, on records in the forms of public data sets."""

from __future__ import annotations

import json

import pytest

from competency_gaps.items.config import BenchmarkConfig
from competency_gaps.pipeline.load import load_benchmark


def load(source, **more):
    return load_benchmark(BenchmarkConfig.model_validate({"name": "b", "source": source, **more}))


def test_several_sources_make_one_benchmark():
    rows = [{"kind": "objects", "items": [{"id": "x", "prompt": f"part {n}", "score": n}]} for n in (0, 1)]
    benchmark = load_benchmark(BenchmarkConfig.model_validate({"name": "b", "sources": rows}))
    assert [item.id for item in benchmark.items] == ["0:x", "1:x"]
    assert [item.score for item in benchmark.items] == [0.0, 1.0]


def test_rows_inside_a_field_of_a_hub_dataset(tmp_path):
    pytest.importorskip("datasets")
    data = {"type": "mcqa", "samples": [{"q": "one?", "gold": "yes"}, {"q": "two?", "gold": "no"}]}
    (tmp_path / "test.json").write_text(json.dumps(data))
    source = {
        "kind": "hub",
        "path": str(tmp_path),
        "split": "test",
        "arguments": {"field": "samples"},
        "fields": {"prompt": "q", "answer": "gold"},
    }
    assert [item.prompt for item in load(source, scorer="exact").items] == ["one?", "two?"]


def test_clusters_and_covariates_are_mapped():
    rows = [
        {"prompt": "one?", "passage": 7, "hard": 0.5, "meta": {"topic": "law"}, "long": True},
        {"prompt": "two?", "passage": None, "hard": None, "meta": {"topic": ""}, "long": False},
    ]
    fields = {
        "cluster": "passage",
        "covariates.difficulty": "hard",
        "covariates.topic": "meta.topic",
        "covariates.long": "long",
    }
    one, two = load({"kind": "objects", "items": rows, "fields": fields}).items
    assert (one.cluster, one.covariates) == ("7", {"difficulty": 0.5, "topic": "law", "long": 1.0})
    assert (two.cluster, two.covariates) == (None, {"long": 0.0})


def test_the_hash_of_items_changes_only_where_they_are_set():
    plain = load({"kind": "objects", "items": [{"prompt": "p"}]})
    empty = load({"kind": "objects", "items": [{"prompt": "p", "cluster": None, "covariates": {}}]})
    in_one = load({"kind": "objects", "items": [{"prompt": "p", "cluster": "c"}]})
    with_one = load({"kind": "objects", "items": [{"prompt": "p", "covariates": {"c": 1}}]})
    assert plain.content_hash() == empty.content_hash()
    assert len({one.content_hash() for one in (plain, in_one, with_one)}) == 3
