"""Sources of items: files, data sets of the hub, objects, and lists of sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from competency_gaps.items.config import BenchmarkConfig
from competency_gaps.items.options import with_options
from competency_gaps.pipeline.load import load_benchmark
from competency_gaps.util.errors import UserError


def load(path: Path, kind: str = "file", scorer: str | None = None, limits: dict[str, int] | None = None, **source):
    source = {"kind": kind, "path": str(path), **source}
    return load_benchmark(BenchmarkConfig(name="b", source=source, scorer=scorer, **(limits or {})))


def write(path, *lines):
    path.write_bytes("\n".join(lines).encode())
    return path


def test_only_line_feeds_end_a_line(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"prompt": "one\u2028two\x85"}\r', "", '{"prompt": "three"}', "")
    assert [item.prompt for item in load(path).items] == ["one\u2028two\x85", "three"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": ', r"a\.jsonl, line 2: not JSON"),
        ("[1]", r"a\.jsonl, line 2: a list, not an object"),
        ('{"prompt": ""}', r"a\.jsonl, line 2: the prompt is empty"),
        ('{"prompt": "p", "score": NaN}', "line 2: the score is NaN"),
        ('{"id": "0", "prompt": "p"}', r"line 2: the id '0' was already used at .*a\.jsonl, line 1"),
    ],
)
def test_bad_lines(tmp_path, line, message):
    path = write(tmp_path / "a.jsonl", '{"prompt": "p"}', line)
    with pytest.raises(UserError, match=message):
        load(path)


def test_a_csv_cell_keeps_its_text(tmp_path):
    text = 'id,prompt,answer\n007,"two\nlines, ""quoted""",1.50\n008,p,\n'
    (tmp_path / "a.csv").write_text(text)
    items = load(tmp_path / "a.csv", scorer="exact").items
    assert [(i.id, i.prompt, i.answer) for i in items] == [("007", 'two\nlines, "quoted"', "1.50"), ("008", "p", None)]


def test_a_folder_is_its_files_in_order(tmp_path):
    write(tmp_path / "b.jsonl", '{"prompt": "second"}')
    (tmp_path / "a.csv").write_text("prompt\nfirst\n")
    (tmp_path / "README.md").write_text("no benchmark")
    assert [(i.id, i.prompt) for i in load(tmp_path).items] == [("0", "first"), ("1", "second")]


def test_limit_takes_the_first_and_sample_a_spread(tmp_path):
    path = write(tmp_path / "a.jsonl", *(json.dumps({"prompt": f"p{i}"}) for i in range(10)))
    assert [item.id for item in load(path, limits={"limit": 4}).items] == ["0", "1", "2", "3"]
    assert [item.id for item in load(path, limits={"sample": 4}).items] == ["0", "2", "5", "7"]
    assert [item.id for item in load(path, limits={"limit": 6, "sample": 3}).items] == ["0", "2", "4"]
    assert len(load(path, limits={"limit": 99, "sample": 99}).items) == 10


@pytest.mark.shared
@pytest.mark.parametrize("name", ["crows_pairs", "cute", "agieval_en", "arena_hard"])
def test_shared_benchmarks(shared, name):
    paths = sorted((shared / name).glob("*.jsonl"))
    records = [json.loads(line) for path in paths for line in path.read_text("utf-8").split("\n") if line]
    benchmark = load(shared / name)
    assert [item.id for item in benchmark.items] == [record["id"] for record in records]
    for item, record in zip(benchmark.items, records, strict=True):
        text = with_options(item.prompt, item.choices) if item.choices else item.prompt
        assert (text, item.scorer, item.group) == (record["prompt"], record["metric"], record["group"])
        assert item.answer == record["answer"]
        assert item.metadata == ({"pair": record["pair"]} if "pair" in record else {})


def test_a_folder_in_the_form_of_arc(tmp_path):
    pytest.importorskip("datasets")
    rows = [
        {"id": "a", "question": "p", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"},
        {"id": "b", "question": "q", "choices": {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}, "answerKey": "1"},
    ]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    fields = {"prompt": "question", "choices": "choices.text", "labels": "choices.label", "answer": "answerKey"}
    items = load(tmp_path / "data", "hub", fields=fields).items
    assert [(i.id, i.prompt, i.answer) for i in items] == [("a", "p", 1), ("b", "q", 0)]
    assert items[1].choices == ("x", "y", "z")


def test_classes_are_options(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    test = datasets.Dataset.from_dict({"text": ["good", "bad"], "label": [1, 0]}, features=features)
    saved = tmp_path / "saved"
    datasets.DatasetDict({"test": test}).save_to_disk(saved)
    fields = {"prompt": "text", "answer": "label"}
    items = load(saved, "hub", fields=fields).items
    assert [(i.choices, i.answer, i.scorer) for i in items] == [(("neg", "pos"), a, "choice") for a in (1, 0)]
    assert [i.answer for i in load(saved, "hub", "exact", fields=fields).items] == ["pos", "neg"]


def test_rows_inside_a_field_of_a_hub_dataset(tmp_path):
    pytest.importorskip("datasets")
    data = {"type": "mcqa", "samples": [{"q": "one?", "gold": "yes"}, {"q": "two?", "gold": "no"}]}
    (tmp_path / "test.json").write_text(json.dumps(data))
    more = {"arguments": {"field": "samples"}, "fields": {"prompt": "q", "answer": "gold"}}
    assert [item.prompt for item in load(tmp_path, "hub", "exact", **more).items] == ["one?", "two?"]


def test_several_sources_make_one_benchmark():
    rows = [{"kind": "objects", "items": [{"id": "x", "prompt": f"part {n}", "score": n}]} for n in (0, 1)]
    benchmark = load_benchmark(BenchmarkConfig.model_validate({"name": "b", "sources": rows}))
    assert [item.id for item in benchmark.items] == ["0:x", "1:x"]
    assert [item.score for item in benchmark.items] == [0.0, 1.0]
