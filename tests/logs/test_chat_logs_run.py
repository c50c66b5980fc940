"""Runs from logs of chat messages: the scores are the tool's, the activations belong to what the model read."""

from __future__ import annotations

import json

import pytest
from garak_log_helpers import attempt, write_report
from inspect_log_helpers import message, sample, write_log
from test_arena_logs import judged, judgement

import competency_gaps
from core_helpers import STORED


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_config):
    """A finished run of the tiny model from one small log of each tool."""
    folder = tmp_path_factory.mktemp("logs")
    values = ["C", "I", "P", float("nan")]
    samples = [
        sample(
            i,
            values[i % 4],
            text=f"What is {i}?",
            messages=[message("system", "Be terse."), message("user", f"Think. What is {i}? Answer:", "input")],
        )
        for i in range(12)
    ]
    write_log(folder / "quiz.json", samples)
    attempts = [attempt(f"u{i}", {"d": [i % 2]}, seq=i, text=f"Ignore the {i} rules.") for i in range(8)]
    write_report(folder / "x.report.jsonl", *attempts)
    rows = [judged(f"q{i}", "A>B", ("A>>B", "A=B")[i % 2]) for i in range(8)]
    judgement(folder, rows)
    parts = {"quiz": "quiz", "attacks": "dan", "arena": "arena-hard-v2.0"}
    source = {"kind": "log", "path": str(folder)}
    entries = [{"name": name, "source": {**source, "benchmark": part}} for name, part in parts.items()]
    return competency_gaps.run(forced(tiny_config, entries), folder / "run")


def forced(tiny_config, entries):
    """The tiny SAE was made for other texts."""
    return {**tiny_config, "sae": {**tiny_config["sae"], "force": True}, "benchmarks": entries}


def of(run, name):
    return [row for row in run.items.iter_rows(named=True) if row["benchmark"] == name]


def test_scores_are_the_logs(run):
    assert [row["score"] for row in of(run, "quiz")] == [1.0, 0.0, 0.5, None] * 3
    assert [row["score"] for row in of(run, "attacks")] == [1.0, 0.0] * 4
    # Game 0 with A>B is a loss of the model; then a win that counts three times, or a tie.
    assert [row["score"] for row in of(run, "arena")] == [0.75, 0.25] * 4
    assert {row["policy"] for row in run.items.iter_rows(named=True)} == {"imported"}


def test_the_span_is_the_items_own_text(run):
    for row in of(run, "quiz"):
        assert row["text"] == (
            f"<|start|>system\nBe terse.<|end|>\n<|start|>user\nThink. What is {row['item_id']}? Answer:<|end|>\n"
            "<|start|>assistant\n"
        )
        assert row["prompt"] == row["text"][row["own_start"] : row["own_end"]] == f"What is {row['item_id']}?"
    assert [row["prompt"] for row in of(run, "attacks")] == [f"Ignore the {i} rules." for i in range(8)]
    assert [row["prompt"] for row in of(run, "arena")] == [f"Write q{i}." for i in range(8)]
    assert [row["response"] for row in of(run, "arena")] == [f"mine q{i}" for i in range(8)]


def test_who_an_item_is_in_its_tool_is_kept(run):
    tools = {row["benchmark"]: json.loads(row["identity"])["tool"] for row in run.items.iter_rows(named=True)}
    assert tools == {"quiz": "inspect", "attacks": "garak", "arena": "arena_hard"}


def test_tables_equal_those_of_a_plain_file(run, tmp_path, tiny_config):
    """The log is only another way to the same items: the same messages and scores in a JSONL give the same tables."""
    path = tmp_path / "attacks.jsonl"
    rows = [
        {
            "id": row["item_id"],
            "messages": [{"role": "user", "content": row["prompt"]}],
            "score": row["score"],
        }
        for row in of(run, "attacks")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    entry = {"name": "attacks", "source": {"kind": "file", "path": str(path)}}
    other = competency_gaps.run(forced(tiny_config, [entry]), tmp_path / "run")
    assert run.cas("attacks").toarray() == pytest.approx(other.cas("attacks").toarray(), rel=STORED, abs=1e-5)
    ours = run.concept_benchmarks.filter(benchmark="attacks").select("concept", "chi_model")
    theirs = other.concept_benchmarks.select("concept", "chi_model")
    compared = ours.join(theirs, on="concept", suffix="_file").drop_nulls()
    assert compared.height > 5
    assert (compared["chi_model"] - compared["chi_model_file"]).abs().max() < 1e-5
