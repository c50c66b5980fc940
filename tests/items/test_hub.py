import json

import pytest

from competency_gaps.items.config import BenchmarkConfig
from competency_gaps.pipeline.load import load_benchmark

datasets = pytest.importorskip("datasets")


def load(path, *, scorer=None, **source):
    return load_benchmark(BenchmarkConfig(name="b", scorer=scorer, source={"kind": "hub", "path": str(path), **source}))


@pytest.fixture
def saved(tmp_path):
    """A dataset with a class, as ``save_to_disk`` writes it."""
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    test = datasets.Dataset.from_dict({"text": ["good", "bad"], "label": [1, 0]}, features=features)
    datasets.DatasetDict({"test": test}).save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_folder_in_the_form_of_arc(tmp_path):
    rows = [
        {"id": "a", "question": "p", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"},
        {"id": "b", "question": "q", "choices": {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}, "answerKey": "1"},
    ]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    fields = {"prompt": "question", "choices": "choices.text", "labels": "choices.label", "answer": "answerKey"}
    items = load(tmp_path / "data", fields=fields).items
    assert [(i.id, i.prompt, i.answer) for i in items] == [("a", "p", 1), ("b", "q", 0)]
    assert items[1].choices == ("x", "y", "z")


def test_classes_are_options(saved):
    fields = {"prompt": "text", "answer": "label"}
    items = load(saved, fields=fields).items
    assert [(i.choices, i.answer, i.scorer) for i in items] == [(("neg", "pos"), a, "choice") for a in (1, 0)]
    assert [i.answer for i in load(saved, fields=fields, scorer="exact").items] == ["pos", "neg"]
