"""Results in the form of every_eval_ever: read in odd forms."""

from __future__ import annotations

import json

import pytest
from log_reading import counts, read

from competency_gaps.logs.find import find_parts
from competency_gaps.util.errors import UserError
from core_helpers import write_lines

NAME = "f3a1c0de-4b2e-4c1a-9f6d-1b7e5a2c8d40"


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
        ({"lower_is_better": True}, 0.5, "better when lower"),
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
