"""Field mappings and lists of sources, on records in the forms of public data sets."""

from __future__ import annotations

import json

import pytest

from competency_gaps.benchmarks.records import Record, make_item
from competency_gaps.config import BenchmarkConfig
from competency_gaps.errors import UserError
from competency_gaps.items.policy import Output
from competency_gaps.stages.load import load_benchmark
from competency_gaps.stages.policies import make_policy


def load(source, **more):
    return load_benchmark(BenchmarkConfig.model_validate({"name": "b", "source": source, **more}))


def test_prompt_of_two_columns_and_constant_labels():
    row = {"context": "Ann fell.", "question": "How is she?", "a": "glad", "b": "hurt", "label": "2"}
    fields = {"prompt": "{context}\n\n{question}", "choices": "a, b", "labels": "'1', '2'", "answer": "label"}
    (item,) = load({"kind": "objects", "items": [row], "fields": fields}).items
    assert item.prompt == "Ann fell.\n\nHow is she?"
    assert (item.choices, item.answer) == (("glad", "hurt"), 1)


def test_a_column_that_a_template_names_must_exist():
    source = {"kind": "objects", "items": [{"question": "?"}], "fields": {"prompt": "{contxt} {question}"}}
    with pytest.raises(UserError, match="contxt"):
        load(source)


def test_gold_at_the_end_of_a_worked_solution():
    row = {"prompt": "How many?", "answer": "He has 16 - 3 = <<16-3=13>>13 eggs.\n#### 1,013"}
    (item,) = load({"kind": "objects", "items": [row]}, policy="numeric").items
    policy = make_policy("numeric", {})
    assert policy.check(item) is None
    assert policy.score(item, Output(text="The answer is 1013.")).value == 1.0
    assert policy.score(item, Output(text="The answer is 13.")).value == 0.0


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
    assert [item.prompt for item in load(source, policy="exact").items] == ["one?", "two?"]


def test_options_most_alike_are_other_answers_nearest_in_letters():
    from competency_gaps.benchmarks.reasoning_gym import make_options

    golds = ["tac", "tab", "god", "dog", "zzzz"]
    made = make_options(golds, options=2, rule="similar_answers", seed=0, wrong=lambda task, text: True)
    others = [next(c for c in one.choices if c != gold) for one, gold in zip(made, golds, strict=True)]
    assert others[0] == "tab" and others[1] == "tac"


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


def test_clusters_and_covariates_work_under_their_own_names(tmp_path):
    (tmp_path / "a.csv").write_text(
        'prompt,cluster,covariates\none?,p1,"{""level"": ""3"", ""kind"": ""x""}"\ntwo?,,\n'
    )
    one, two = load({"kind": "file", "path": str(tmp_path / "a.csv")}).items
    assert (one.cluster, one.covariates) == ("p1", {"level": 3.0, "kind": "x"})
    assert (two.cluster, two.covariates) == (None, {})


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"covariates": [1]}, "'covariates' is .1., expected a mapping"),
        ({"covariates": {"level": [1, 2]}}, "the covariate 'level' is .1, 2., expected a number or a text"),
        ({"covariates": {"level": float("nan")}}, "expected a finite number"),
        ({"cluster": ["p"]}, "field 'cluster' is"),
    ],
)
def test_bad_clusters_and_covariates(record, message):
    with pytest.raises(UserError, match=message):
        make_item(Record({"prompt": "p", **record}, "row 1"), 0, {}, None)


def test_the_hash_of_items_changes_only_where_they_are_set():
    plain = load({"kind": "objects", "items": [{"prompt": "p"}]})
    empty = load({"kind": "objects", "items": [{"prompt": "p", "cluster": None, "covariates": {}}]})
    in_one = load({"kind": "objects", "items": [{"prompt": "p", "cluster": "c"}]})
    with_one = load({"kind": "objects", "items": [{"prompt": "p", "covariates": {"c": 1}}]})
    assert plain.content_hash() == empty.content_hash()
    assert len({one.content_hash() for one in (plain, in_one, with_one)}) == 3
