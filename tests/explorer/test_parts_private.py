"""What is mailed: no places on a disk, and redacted only reasons that are the project's own."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest

from competency_gaps.explorer.parts import Parts
from competency_gaps.explorer.parts.paths import command_line, last_names
from competency_gaps.explorer.parts.redacted import NOT_TOLD, RedactedRun
from competency_gaps.runs.open import open_folder
from core_helpers import seal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/alice/models/tiny", "tiny"),
        ("/home/alice/my models/tiny b", "tiny b"),
        ("~/models/tiny", "tiny"),
        ("C:\\Users\\alice\\my run", "my run"),
        ("\\\\server\\alice\\run", "run"),
        ("file:///home/alice/x.jsonl", "x.jsonl"),
        ("/home/alice/b0.jsonl:7", "b0.jsonl:7"),
        ("not read: x (/home/alice/x), y", "not read: x (x), y"),
        ("see:/home/alice/x and C:/Users/alice/y.", "see:x and y."),
        ("[{'path': PosixPath('/home/alice/my runs/b.jsonl'), 'n': 1}]", "[{'path': PosixPath('b.jsonl'), 'n': 1}]"),
        ("tiny/<b>model</b>", "tiny/<b>model</b>"),
        ("https://www.neuronpedia.org/a/b and and/or 3 / 4", "https://www.neuronpedia.org/a/b and and/or 3 / 4"),
        ("runs/demo", "runs/demo"),
        ("/", "/"),
    ],
)
def test_paths_are_their_last_names(text, shown):
    assert last_names(text) == shown
    assert last_names({"/home/alice": [text, (1, None, text)]}) == {"/home/alice": [shown, [1, None, shown]]}


def test_commands_stay_commands():
    given = "/home/alice/bin/cgaps run './a b.yaml' --out='/home/alice/my run' -o /home/alice/x"
    assert command_line(given) == "cgaps run './a b.yaml' '--out=my run' -o x"
    assert command_line(["cgaps", "run", "/home/alice/a b"]) == "cgaps run 'a b'"
    assert command_line("cgaps run /home/alice/x 'open") == "cgaps run x 'open"


def test_a_redacted_finding_quotes_no_word_of_an_item(hostile):
    run = open_folder(hostile.run)
    whole, hidden = (json.loads(Parts(run, key="k", redact=redact).read("run.json")) for redact in (False, True))
    words = [one["feature"].partition(":")[2] for one in whole["findings"]]
    assert {"roman", "family"} <= set(words), "else the test below could not fail"
    for one, word, shown in zip(hidden["findings"], words, whole["findings"], strict=True):
        assert one["feature"] == f"prompt.word:{NOT_TOLD}" and f"“{NOT_TOLD}”" in one["sentence"]
        assert one["wording"] is None and all(example["differs"] is None for example in one["failing"])
        assert not [name for name in ("feature", "feature_words", "sentence", "short") if word in one[name]]
        assert [one[name] for name in ("gap", "feature_score", "items")] == [
            shown[name] for name in ("gap", "feature_score", "items")
        ]
    for one in hidden["answer"]["findings"]:
        assert not [word for word in words if word in one["text"]]


def test_redacted_a_trend_names_no_category(hostile, tmp_path):
    folder = shutil.copytree(hostile.run, tmp_path / "run")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    trend = {"covariate": "topic", "first": 0.9, "last": 0.1, "share": 0.3, "p": 0.001, "controlled": False}
    both = [{**trend, "categories": ["zebras", "lions"]}, {**trend, "covariate": "length", "categories": None}]
    next(iter(manifest["evidence"]["benchmarks"].values()))["trends"] = both
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    seal(folder)
    texts = {
        redact: json.dumps(json.loads(Parts(open_folder(folder), key="k", redact=redact).read("run.json"))["answer"])
        for redact in (False, True)
    }
    assert "zebras" in texts[False] and "zebras" not in texts[True]
    assert all("depend on length" in text for text in texts.values())


def test_a_new_column_or_field_is_withheld(hostile, tmp_path):
    folder = shutil.copytree(hostile.run, tmp_path / "run")
    names = ("items", "concepts", "concept_benchmarks", "findings")
    for name in names:
        table = pl.read_parquet(folder / f"{name}.parquet")
        table.with_columns(new=pl.lit("zebra")).write_parquet(folder / f"{name}.parquet")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["new"] = manifest["benchmarks"][0]["new"] = manifest["gate"]["new"] = "zebra"
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    seal(folder)
    run = open_folder(folder)
    redacted = RedactedRun.of(run)
    for name in names:
        assert set(run.scan(name).collect()["new"]) == {"zebra"}
        assert set(redacted.scan(name).collect()["new"]) == {None}
    assert "zebra" in json.dumps(run.manifest) and "zebra" not in json.dumps(redacted.manifest)
