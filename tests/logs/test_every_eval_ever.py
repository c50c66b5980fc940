"""Results in the form of every_eval_ever: read in odd forms, written of a run's models, and read back."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from log_reading import counts, read, write_lines

import competency_gaps as cg
from competency_gaps.errors import UserError
from competency_gaps.logs.find import find_parts
from competency_gaps.runs.scores import model_scores
from core_helpers import command

NAME = "f3a1c0de-4b2e-4c1a-9f6d-1b7e5a2c8d40"
SHARED = Path(__file__).parents[2].parent / "shared" / "results" / "raw"
# What the schemas of version 0.3.0 demand, and the kinds of values that they allow.
ROW = {
    **{"schema_version": str, "evaluation_id": str, "model_id": str, "evaluation_name": str, "sample_id": str},
    **{"interaction_type": str, "input": dict, "answer_attribution": list, "evaluation": dict},
}
ROW_MAY = {
    "evaluation_result_id",
    "sample_hash",
    "output",
    "messages",
    "token_usage",
    "performance",
    "error",
    "metadata",
}
AGGREGATE = {
    **{"schema_version": str, "evaluation_id": str, "retrieved_timestamp": str, "source_metadata": dict},
    **{"model_info": dict, "eval_library": dict, "evaluation_results": list},
}


def row(number, score=1.0, **changes):
    made = {
        "schema_version": "0.3.0",
        "evaluation_id": "lab/org_name/1750000000",
        "model_id": "org/name",
        "evaluation_name": "quiz",
        "evaluation_result_id": "quiz/acc",
        "sample_id": f"q{number}",
        "interaction_type": "single_turn",
        "input": {
            "raw": f"Which animal lives in house {number}?",
            "formatted": f"Question: Which animal lives in house {number}?\nAnswer:",
            "reference": ["fox"],
            "choices": ["dog", "fox"],
        },
        "output": {"raw": ["fox"]},
        "answer_attribution": [],
        "evaluation": {"score": score, "is_correct": score == 1},
    }
    return {**made, **changes}


def write(folder, rows, config=None, *, mean=None, name=NAME, **more):
    samples = write_lines(folder / f"{name}_samples.jsonl", rows)
    result = {
        "evaluation_result_id": "quiz/acc",
        "evaluation_name": "quiz",
        "metric_config": {"lower_is_better": False, **(config or {})},
        "score_details": {"score": mean},
    }
    aggregate = {"evaluation_results": [result], "evaluation_timestamp": "1750000000", **more}
    if config is not None:
        (folder / f"{name}.json").write_text(json.dumps(aggregate))
    return samples


@pytest.mark.parametrize("place", ["folder", "aggregate", "samples", "samples alone"])
def test_an_evaluation_is_read_from_any_of_its_files(tmp_path, place):
    samples = write(tmp_path, [row(1), row(2, 0.0)], None if place == "samples alone" else {})
    path = {"folder": tmp_path, "aggregate": tmp_path / f"{NAME}.json"}.get(place, samples)
    log = read(path)
    one, two = log.items
    assert (one.id, one.score, one.response, one.choices, one.answer) == ("q1", 1.0, "fox", ("dog", "fox"), 1)
    assert one.prompt == "Which animal lives in house 1?" and one.seen.text.startswith("Question: ")
    assert (two.score, log.report.model, log.report.benchmark) == (0.0, "org/name", "quiz")
    assert log.report.metric == "quiz/acc"


@pytest.mark.parametrize(
    ("config", "scores", "expected"),
    [
        ({"min_score": 0, "max_score": 10}, [0, 5, 10], [0, 0.5, 1]),
        ({"min_score": 1, "max_score": 5}, [1, 2, 5], [0, 0.25, 1]),
        ({"min_score": 0, "max_score": 4, "lower_is_better": True}, [0, 1, 4], [1, 0.75, 0]),
        ({"score_type": "binary", "lower_is_better": True}, [0, 1, 1], [1, 0, 0]),
        ({"min_score": 0, "max_score": 100}, [0, 50, 100], [0, 0.5, 1]),
        ({"min_score": None, "max_score": "Infinity"}, [0, 0.5, 1], [0, 0.5, 1]),
        ({}, [0, 0.5, True], [0, 0.5, 1]),
    ],
)
def test_scores_are_brought_into_the_unit_interval_by_their_limits(tmp_path, config, scores, expected):
    write(tmp_path, [row(number, score) for number, score in enumerate(scores)], config)
    assert [item.score for item in read(tmp_path).items] == expected


def test_shares_under_limits_of_percentages_are_shares_and_said(tmp_path):
    write(tmp_path, [row(1, 1.0), row(2, 0.5)], {"min_score": 0.0, "max_score": 100.0}, mean=75.0)
    log = read(tmp_path)
    assert [item.score for item in log.items] == [1.0, 0.5]
    assert [warning.code for warning in log.report.warnings] == ["shares_for_percent"]


@pytest.mark.parametrize(
    ("config", "score", "words"),
    [
        ({}, 5.0, "has scores from 0 to 5, and no limits"),
        ({"min_score": 0, "max_score": 4}, 5.0, "outside its own limits 0 and 4"),
        ({"lower_is_better": True}, 0.5, "better the lower it is"),
        ({"score_type": "levels", "level_names": ["a", "b", "c"]}, 1, "has levels"),
    ],
)
def test_scores_without_a_known_range_are_refused(tmp_path, config, score, words):
    write(tmp_path, [row(1, 0.0), row(2, score)], config)
    with pytest.raises(UserError, match=words):
        read(tmp_path)
    assert [item.score for item in read(tmp_path, metric="none").items] == [None, None]


def test_conversations(tmp_path):
    messages = [
        {"turn_idx": 0, "role": "system", "content": "Be short."},
        {"turn_idx": 1, "role": "user", "content": "Who lives here?"},
        {"turn_idx": 2, "role": "assistant", "content": None, "tool_calls": [{"id": "1", "name": "look"}]},
        {"turn_idx": 3, "role": "tool", "content": "a fox", "tool_call_id": ["1"]},
        {"turn_idx": 4, "role": "assistant", "content": "A fox."},
        {"turn_idx": 5, "role": "user", "content": "And next door?"},
        {"turn_idx": 6, "role": "assistant", "content": "A dog."},
    ]
    given = {"raw": "Who lives here?", "reference": ["dog", "hound"]}
    turns = row(1, interaction_type="multi_turn", messages=messages, output=None, input=given)
    agent = row(2, interaction_type="agentic", messages=messages[:5], output=None, input=given)
    empty = row(3, interaction_type="agentic", messages=[], output=None, input={"raw": " ", "reference": []})
    write(tmp_path, [turns, agent, empty])
    log = read(tmp_path)
    one, two = log.items
    assert one.messages == (
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Who lives here?\n\nAnd next door?"},
    )
    assert (one.prompt, one.response, one.answer) == ("Who lives here?\n\nAnd next door?", "A dog.", ["dog", "hound"])
    assert (two.prompt, two.response) == ("Who lives here?", "A fox.")
    assert counts(log.report.left_out) == {"no_prompt": 1}


def test_what_failed_is_unscored_and_odd_lines_cost_themselves(tmp_path):
    rows = [
        row(1, 0.0, error="timeout"),
        row(2, None),
        row(3, float("nan")),
        row(5, 10**400),
        row(4),
        row(4, 0.0),
        row(4, input={"raw": "Something else?", "reference": []}),
        row("", sample_id=None),
        row(6, evaluation_name=7),
    ]
    samples = write(tmp_path, rows)
    with samples.open("a") as file:
        file.write('{"schema_version": "0.3')
    log = read(tmp_path)
    assert [(item.id, item.score, item.epochs) for item in log.items] == [
        ("q1", None, 1),
        ("q2", None, 1),
        ("q3", None, 1),
        ("q5", None, 1),
        ("q4", 0.5, 2),
    ]
    assert counts(log.report.unscored_because) == {
        "sample_failed": 1,
        "no_score": 1,
        "score_nan": 1,
        "score_outside": 1,
    }
    assert counts(log.report.left_out) == {"sample_again": 1, "sample_no_id": 2, "line_cut": 1}


def test_results_are_metrics_and_names_are_benchmarks(tmp_path):
    rows = [row(1), row(1, 0.0, evaluation_result_id="quiz/f1"), row(2), row(9, evaluation_name="sums")]
    write(tmp_path, rows)
    quiz, sums = find_parts(tmp_path)
    assert (quiz.benchmark, sums.benchmark, quiz.model) == ("quiz", "sums", "org/name")
    log = read(tmp_path, benchmark="quiz")
    assert log.report.available == {"metric": ("quiz/acc", "quiz/f1")}
    assert [item.score for item in log.items] == [1.0, 1.0]
    assert counts(log.report.left_out) == {"other_result": 1}
    assert [item.score for item in read(tmp_path, benchmark="quiz", metric="quiz/f1").items] == [0.0]


def test_lines_of_no_result_of_the_aggregate_are_no_scores(tmp_path):
    """lm-eval's converter writes a 0 without a result's id where no metric of a sample is a number."""
    unscored = {key: value for key, value in row(1, 0.0).items() if key != "evaluation_result_id"}
    write(tmp_path, [unscored, row(2)], {})
    log = read(tmp_path)
    assert [(item.id, item.score) for item in log.items] == [("q2", 1.0)]
    with pytest.raises(UserError, match="none of the aggregate's results"):
        read(tmp_path, metric="quiz")


def test_fields_and_the_newest(tmp_path):
    write(tmp_path, [row(1, metadata={"subject": "animals"})], {})
    write(tmp_path, [row(1, 0.0)], {}, name="a" + NAME[1:], evaluation_timestamp="1740000000")
    log = read(tmp_path, fields={"group": "subject"})
    assert [(item.score, item.group) for item in log.items] == [(1.0, "animals")]
    assert [warning.code for warning in log.report.warnings] == ["older_log"]


def test_a_figure_or_checksum_of_other_samples_is_told(tmp_path):
    detailed = {"hash_algorithm": "md5", "checksum": "0" * 32}
    write(tmp_path, [row(1), row(2, 0.0)], {}, mean=0.75, detailed_evaluation_results=detailed)
    assert {warning.code for warning in read(tmp_path).report.warnings} == {"other_mean", "other_checksum"}
    (tmp_path / "notes_samples.jsonl").write_text('{"another": "tool"}\n')
    assert len(find_parts(tmp_path)) == 1


@pytest.fixture
def run(tiny_run, tmp_path):
    shutil.copytree(tiny_run.path, tmp_path / "run")
    run = cg.open_run(tmp_path / "run")
    items = run.items
    some = pl.when(pl.int_range(pl.len()) % 3 > 0).then(pl.int_range(pl.len()) % 2 / 2)
    run.add_scores(items.select(id="item_id", benchmark="benchmark").with_columns(some.alias("lab/other")))
    return run


def test_written_results_read_back_are_the_same_scores(run, tmp_path):
    before = model_scores(run)
    written = run.export_results(tmp_path / "out")
    assert [files.model for files in written] == list(before.models)
    kept = int(run.items["excluded"].is_null().sum())
    assert all(files.scored + files.unscored == kept for files in written) and written[1].unscored > 0
    for files, values in zip(written, before.values, strict=True):
        again = {}
        for part in find_parts(files.aggregate):
            log = read(files.samples, benchmark=part.benchmark)
            assert not log.report.warnings, log.report.warnings
            again |= {(part.benchmark, item.id): item.score for item in log.items}
        keys = run.items.select("benchmark", "item_id").iter_rows()
        assert again == {key: value for key, value in zip(keys, values.tolist(), strict=True) if value == value}
    assert {part.benchmark: part.model for part in find_parts(written[1].samples)} == dict.fromkeys(
        run.items["benchmark"].unique(), "lab/other"
    )
    run.add_log(written[1].aggregate, model="twin")
    twin, other = model_scores(run).of("twin"), before.of("lab/other")
    assert ((twin == other) | ((twin != twin) & (other != other))).all()


def test_written_results_have_what_the_schemas_demand(run, tmp_path):
    for files in run.export_results(tmp_path / "out", organization="Lab"):
        aggregate = json.loads(files.aggregate.read_text())
        assert all(isinstance(aggregate[name], kind) for name, kind in AGGREGATE.items())
        detailed = aggregate["detailed_evaluation_results"]
        assert tmp_path / "out" / detailed["file_path"] == files.samples
        assert detailed["checksum"] == hashlib.sha256(files.samples.read_bytes()).hexdigest()
        assert aggregate["source_metadata"]["source_organization_name"] == "Lab"
        rows = [json.loads(line) for line in files.samples.read_text().split("\n") if line]
        assert len(rows) == detailed["total_rows"] == files.scored
        for result in aggregate["evaluation_results"]:
            own = [r["evaluation"]["score"] for r in rows if r["evaluation_name"] == result["evaluation_name"]]
            assert result["score_details"]["score"] == pytest.approx(sum(own) / len(own))
            assert {"evaluation_name", "source_data", "metric_config", "score_details"} <= set(result)
        for line in rows:
            assert all(isinstance(line[name], kind) for name, kind in ROW.items())
            assert set(line) <= set(ROW) | ROW_MAY
            assert isinstance(line["output"]["raw"], list) and "messages" not in line
            assert isinstance(line["evaluation"]["is_correct"], bool)
            assert line["evaluation_id"] == aggregate["evaluation_id"]
            assert line["model_id"] == aggregate["model_info"]["id"] == files.model


def test_the_list_of_required_fields_is_the_schemas(run, tmp_path):
    listed = SHARED / "every_eval_ever_instance_fields.json"
    if not listed.is_file():
        pytest.skip("the shared results do not lie beside this checkout")
    fields = {field["field"]: field["required"] for field in json.loads(listed.read_text())["fields"]}
    top = {name: required for name, required in fields.items() if "." not in name and "[" not in name}
    assert {name for name, required in top.items() if required} == set(ROW)
    assert set(top) == set(ROW) | ROW_MAY
    line = json.loads(run.export_results(tmp_path / "out")[0].samples.open().readline())
    for name, required in fields.items():
        outer, dot, inner = name.partition(".")
        if required and dot and "[" not in name and line.get(outer) is not None:
            assert inner in line[outer], name
    (item,) = read(SHARED / f"every_eval_ever_{NAME}.json").items
    assert (item.id, item.prompt, item.score, item.response) == ("demo_0001", "What is 2 + 2?", 1.0, "The answer is 4.")


def test_the_command_writes_what_the_method_does(run, tmp_path):
    done = command("export-results", str(run.path), str(tmp_path / "out"), "--model", "lab/other", "--json")
    (files,) = json.loads(done.stdout)["written"]
    assert files["unscored"] > 0 and Path(files["samples"]).is_file()
    with pytest.raises(UserError, match="no scores of the model 'lab/othr'"):
        run.export_results(tmp_path / "out", models=["lab/othr"])
