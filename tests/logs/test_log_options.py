"""Logs on the command line: names, options, tables, and the model that a log is of."""

from __future__ import annotations

import polars as pl
import pytest
from log_reading import read

from competency_gaps.items.item import Benchmark, Counted, Reason, SourceReport
from competency_gaps.logs.find import log_entries
from competency_gaps.pipeline.logs import model_warnings, report_lines, report_notes, same_model, with_model_warnings
from competency_gaps.util.errors import UserError
from core_helpers import command, write_lines
from log_samples import sample

NAME = "samples_{}_2026-11-24T10-00-00.000001.jsonl"


def two(folder):
    for task in ("foxes", "dogs"):
        write_lines(folder / NAME.format(task), [sample(i) for i in range(4)])
    return folder


def test_a_folder_is_a_benchmark_per_task(tmp_path):
    entries = log_entries([str(two(tmp_path))], scorer="none")
    assert [entry["name"] for entry in entries] == ["dogs", "foxes"]
    assert entries[0]["source"] == {
        "kind": "log",
        "path": str(tmp_path),
        "format": "lm_eval",
        "scorer": "none",
        "benchmark": "dogs",
    }


def test_names(tmp_path):
    two(tmp_path)
    file = tmp_path / NAME.format("dogs")
    assert [one["name"] for one in log_entries([f"mine={file}", str(tmp_path / NAME.format("foxes"))])] == [
        "mine",
        "foxes",
    ]
    assert [one["name"] for one in log_entries([f"mine={tmp_path}"])] == ["mine:dogs", "mine:foxes"]


def test_options_that_fit_nothing(tmp_path):
    (tmp_path / "t.csv").write_text("prompt,score\nWhy?,1\n")
    with pytest.raises(UserError, match="scorer does not apply"):
        log_entries([str(tmp_path / "t.csv")], scorer="match")
    with pytest.raises(UserError, match="expected OURS=COLUMN"):
        log_entries([str(tmp_path)], fields=["prompt"])
    done = command("run", "--model", "m", "--sae", "a/b", "--benchmark", "x", "--metric", "acc")
    assert done.returncode == 2
    assert "give --log PATH with --metric" in done.stderr


def table(path, suffix):
    frame = pl.DataFrame(
        {
            "nr": ["a", "a", "b", "c"],
            "try": [1, 2, 1, 1],
            "question": ["Why a?", "Why a?", "Why b?", "Why c?"],
            "acc": [1.0, 0.0, 0.5, None],
            "said": ["x", "y", "z", None],
        }
    )
    file = path / f"results.{suffix}"
    {"csv": frame.write_csv, "parquet": frame.write_parquet, "jsonl": frame.write_ndjson}[suffix](file)
    return file


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_table_with_a_mapping(tmp_path, suffix):
    file = table(tmp_path, suffix)
    fields = ["id=nr", "epoch=try", "prompt=question", "score=acc", "response=said"]
    (entry,) = log_entries([str(file)], fields=fields)
    assert entry["name"] == "results"
    source = entry["source"]
    found = read(file, format="table", fields=source["fields"])
    assert [(item.id, item.score, item.epochs) for item in found.items] == [
        ("a", 0.5, 2),
        ("b", 0.5, 1),
        ("c", None, 1),
    ]
    report = found.report
    assert (report.records, report.items, report.averaged, report.unscored) == (4, 3, 2, 1)
    assert {item.scorer for item in found.items} == {"imported"}


def test_a_table_without_a_score_says_so(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("nr,question,marks\na,Why?,1\n")
    with pytest.raises(UserError, match="no column 'score' for the score; there are nr, question, marks"):
        read(file, format="table", fields={"prompt": "question"})


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("pretrained=meta-llama/Llama-3.1-8B-Instruct,dtype=float16", "/models/Meta-Llama-3.1-8B-Instruct/"),
        ("HuggingFaceTB__SmolLM2-135M-Instruct", "embedded:smollm2-135m-instruct"),
        ("hf/google/gemma-2-2b-it", "google/gemma-2-2b-it"),
        ("/root/.cache/huggingface/hub/models--org--Name-1b/snapshots/0a1b2c", "org/name_1B"),
        ("ollama/llama3:8b", "llama3:8b"),
        ("out/checkpoint-500", "/home/u/out/checkpoint-500/"),
    ],
)
def test_one_model_under_two_names(theirs, ours):
    assert same_model(theirs, ours)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("google/gemma-2-2b", "google/gemma-2-2b-it"),
        ("openai/gpt2", "gpt2-xl"),
        ("llama3:8b", "llama3:70b"),
        ("/runs/a/checkpoint-500", "/runs/b/checkpoint-500"),
        ("/x/llama3/8b", "/x/qwen/8b"),
        ("meta-math/MetaMath-7B", "Math-7B"),
    ],
)
def test_two_models(theirs, ours):
    report = SourceReport(format="lm_eval", benchmark="b", model=theirs)
    (warning,) = model_warnings([report, report], ours)
    assert warning.code == "other_model" and theirs in warning.text and ours in warning.text


def test_warnings_of_the_model_are_kept():
    reports = (
        SourceReport(format="lm_eval", benchmark="b", model="org/other"),
        SourceReport(format="helm", benchmark="b", model="org/m"),
        SourceReport(format="table", benchmark="b"),
    )
    benchmark = with_model_warnings(Benchmark("b", (), (), reports), "m")
    assert [warning.code for warning in benchmark.reports[0].warnings] == ["other_model"]
    assert benchmark.reports[1].warnings == ()
    assert [warning.code for warning in benchmark.reports[2].warnings] == ["no_model"]
    assert any("names no model" in line for line in report_lines(reports[2:]))


def test_reports_in_words_are_safe():
    report = SourceReport(
        format="lm_eval",
        benchmark="b\x1b[31m",
        metric="acc",
        available={"metric": ("acc", "\u202ef1")},
        left_out=(Counted(Reason("other", "r"), 2),),
    )
    lines = list(report_lines([report]))
    assert not any({"\x1b", "\u202e", "\n"} & set(line) for line in lines)
    assert "left out: 2 records: r" in lines


def test_notes_of_a_kind_are_one_line():
    """Counts of several logs add up; texts that differ are counted, with the first of them."""
    logs = [
        SourceReport(
            "inspect",
            f"task{n}",
            body_text={"whole prompt": 10 * n},
            averaged=30,
            averaged_items=10,
            left_out=(Counted(Reason("torn", "the line is torn"), n),) if n > 1 else (),
            warnings=(Reason("older_log", f"{n}.json was not read"), Reason("shuffled", "shuffled")),
        )
        for n in (1, 2, 3)
    ]
    assert list(report_notes(logs)) == [
        "own text of 60 items: whole prompt",
        "epochs: 3 per item, averaged into its score",
        "note: 1.json was not read (the first of 3 such notes)",
        "note: shuffled",
        "task2 and 1 more: left out: 5 records: the line is torn",
    ]
