"""Sentences of findings, a model's words about them, and ``cgaps findings``."""

from __future__ import annotations

import json
import shlex

import polars as pl
import pytest
from findings_helpers import planted_run
from typer.testing import CliRunner

from competency_gaps import open_run
from competency_gaps.cli.app import app
from competency_gaps.endpoint import Answer, Failure
from competency_gaps.errors import UserError
from competency_gaps.findings import sentence, short, support, with_words, write_findings
from competency_gaps.findings.examples import probe_arguments, shown_items
from competency_gaps.findings.wording import READ, read_wording, take_wordings, wording_requests
from competency_gaps.runs.manifest import write_table
from competency_gaps.runs.schemas import FINDINGS
from core_helpers import seal
from fake_endpoint import serve

FEATURE = {
    "feature": "answer.negative",
    "feature_benchmarks": ["sums"],
    "counted": "items",
    "feature_items": 35,
    "feature_score": 0.17,
    "other_items": 115,
    "other_score": 0.57,
    "feature_p": 0.002,
}


def row(**changes):
    base = {
        "verdict": "weak",
        "leader": 3,
        "label": "numbers below zero",
        "concepts": [3, 1],
        "items": 40,
        "clusters": 35,
        "example": "3 - 9",
        "unit": "right",
        "n_eff": 30.4,
        "mean_score": 0.2,
        "plain_gap": -0.4,
        "gap": -0.3,
        "gap_low": -0.45,
        "gap_high": -0.15,
        "detectable": 0.2,
        "benchmarks": [{"benchmark": "sums", "items": 40, "share": 1.0}],
        "unseen_splits": 12,
        "splits": 20,
        "unseen_gap": -0.25,
        "unseen_low": -0.5,
        "unseen_high": -0.05,
        "holds": True,
    }
    return {**dict.fromkeys(FINDINGS), **base, **changes}


CONCEPTS = pl.DataFrame({"label": ["a", None, "c", "numbers below zero"]})


def test_a_described_finding_is_stated_by_its_items():
    told = "sums: items whose answer is negative: 17% right (35 items), others 57% (115)"
    assert sentence(row(**FEATURE)) == told
    assert "17% right, others 57%" in short(row(**FEATURE))
    assert "(35 different items)" in sentence(row(**{**FEATURE, "counted": "texts"}))
    assert "(35 clusters)" in sentence(row(**{**FEATURE, "counted": "clusters"}))
    several = row(**{**FEATURE, "feature_benchmarks": ["a", "b", "c", "d"]})
    assert sentence(several).startswith("a, b and 2 more: items whose")


def test_graded_scores_are_no_shares_of_right_answers():
    told = sentence(row(**FEATURE, unit="score"))
    assert "mean score 0.17 (35 items), others 0.57 (115)" in told
    assert "%" not in told + sentence(row(unit="score"))


def test_a_finding_without_a_description_states_this():
    told = sentence(row())
    assert "concept 3 (“numbers below zero”) or 1 other that goes with it" in told
    assert "20% right, 30 points below comparable items" in told
    assert "no feature of texts or answers that was tested describes them, e.g. “3 - 9”" in told
    assert "30 points above" in sentence(row(verdict="strong", gap=0.3))


def test_a_wording_never_stands_without_what_was_tested():
    worded = row(**FEATURE, wording="Sums below zero lose their sign.", wording_source="judge-7b")
    assert sentence(worded).startswith("sums: Sums below zero lose their sign (items whose answer is negative): 17%")
    assert support(worded, CONCEPTS).endswith("Worded by judge-7b.")
    untested = row(wording="Sums below zero.", wording_source="judge-7b")
    assert "Sums below zero" not in sentence(untested)
    assert "A model words it, untested: Sums below zero" in support(untested, CONCEPTS)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "Found again in 12 of 20 half-samples; there "),
        (
            {"holds": None, "unseen_splits": 0, "unseen_gap": None},
            "Found again in none of 20 half-samples; it was chosen",
        ),
        ({"clusters": 40}, ". 40 items, effective sample 30."),
        ({}, "40 items in 35 clusters, effective sample 30"),
        ({}, "gap −0.30 (95% interval −0.45 to −0.15), plain gap −0.40"),
        ({}, "Concepts 3 (“numbers below zero”), 1."),
        ({"detectable": None}, "plain gap −0.40. Found again"),
    ],
)
def test_support(changes, says):
    assert says in support(row(**changes), CONCEPTS)


@pytest.mark.parametrize("label", ["x" * 400, "a"])
@pytest.mark.parametrize("benchmark", ["y" * 300, "sums"])
def test_short_is_short(label, benchmark):
    where = [{"benchmark": benchmark, "items": 4, "share": 1.0}]
    for one in (row(label=label, benchmarks=where), row(**{**FEATURE, "feature": f"prompt.word:{label}"})):
        assert len(short({**one, "feature_benchmarks": [benchmark]})) <= 90


@pytest.fixture
def run(tmp_path):
    """A run whose first finding is planted, on disk but for its concepts' items."""
    made = planted_run(tmp_path, 1)
    write_findings(made)
    return made


@pytest.mark.parametrize(("kind", "count"), [("equal", 3), ("given", 1)])
def test_shown_items_count_their_repeats(tmp_path, kind, count):
    made = planted_run(tmp_path, 1, repeats=3)
    made.items.with_columns(cluster_kind=pl.lit(kind)).write_parquet(tmp_path / "items.parquet")
    seal(tmp_path)
    made.manifest.update(open_run(tmp_path).manifest)
    write_findings(made)
    opened = open_run(tmp_path)
    failing, passing = shown_items(opened, opened.findings.row(0, named=True))
    assert {one.repeats for one in (*failing, *passing)} == {count}


def answer(text, request="", model="judge-7b"):
    return Answer(request, "", json.dumps({"sentence": text}), None, None, 1, 1, model)


def test_the_request_shows_failing_and_passing_items_once_and_no_figure(run):
    requests = wording_requests(run)
    assert list(requests) == run.findings["finding"].to_list()
    content = json.loads(requests[0].user)
    assert content["property"] == "items whose answer is negative"
    assert 3 <= len(content["failed"]) <= READ
    prompts = [one["item"] for one in (*content["failed"], *content["passed"])]
    assert len(set(prompts)) == len(prompts)
    wrong = dict(run.items.select("prompt", "score").iter_rows())
    assert {wrong[one["item"]] for one in content["failed"]} == {0.0}
    assert {wrong[one["item"]] for one in content["passed"]} == {1.0}
    assert "score" not in json.dumps(content) and "gap" not in json.dumps(content)
    assert [one.id for one in wording_requests(run).values()] == [one.id for one in requests.values()]


@pytest.mark.parametrize(
    "text", ["35 sums are wrong", "wrong in half (½) of them", "sums ٣ times", "x" * 161, "a third, or 1⁄3"]
)
def test_numbers_and_long_texts_of_a_model_are_refused(text):
    assert isinstance(read_wording(answer(text)), Failure)


def test_a_wording_is_one_visible_line():
    assert read_wording(answer("Sums\n below\x1b[m zero")) == "Sums below<U+001B>[m zero"
    assert read_wording(answer(None)) is None  # it abstains


def test_wordings_are_stored_with_their_source_and_change_no_number(run):
    before, requests = run.findings, wording_requests(run)
    said = {requests[0].id: answer("Sums whose result is below zero", requests[0].id)}
    taken = take_wordings(run, requests, said, None)
    assert (taken.stored, taken.failed) == (1, [])
    after = open_run(run.path).findings
    assert after["wording"][0] == "Sums whose result is below zero"
    assert after["wording_source"][0] == "judge-7b"
    words = ["wording", "wording_source", "sentence"]
    assert after.drop(words).equals(before.drop(words))
    refused = take_wordings(open_run(run.path), requests, {requests[0].id: answer("99 sums", requests[0].id)}, None)
    assert refused.failed and open_run(run.path).findings.equals(after)


def test_wordings_stored_meanwhile_stay_and_findings_made_anew_are_not_worded(run):
    folder, known = run.path, run.findings.head(1)
    two = pl.concat([known, known.with_columns(finding=pl.lit(1, pl.Int32), leader=pl.lit(2, pl.Int32))])
    write_table(folder, "findings.parquet", two.write_parquet)
    first, second = open_run(folder), open_run(folder)
    requests = wording_requests(first)
    assert first.findings.height == second.findings.height == 2
    for number, opened in enumerate((first, second)):
        said = {requests[number].id: answer("Sums below zero", requests[number].id)}
        take_wordings(opened, requests, said, None)
    worded = open_run(folder).findings
    assert worded["wording"][:2].to_list() == ["Sums below zero"] * 2
    changed = worded.with_columns(p_value=pl.lit(0.5))
    write_table(folder, "findings.parquet", changed.write_parquet)
    with pytest.raises(UserError, match="made anew while they were worded"):
        take_wordings(first, requests, {requests[0].id: answer("Sums", requests[0].id)}, None)
    assert open_run(folder).findings.equals(changed)


def test_missing_findings_are_reported(run):
    with pytest.raises(UserError, match="finding 99 does not exist"):
        wording_requests(run, [99])


def call(*arguments):
    found = CliRunner().invoke(app, ["findings", *map(str, arguments)])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.stdout


def test_the_command_lists_and_shows(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    listed = call(run.path)
    assert "sums: items whose answer is negative" in listed
    shown = call(run.path, 0)
    assert "fails" in shown and "passes" in shown
    assert shlex.join(probe_arguments(run, run.findings.row(0, named=True))) in shown.replace("\n", "")
    document = json.loads(call(run.path, "--json"))
    assert [one["sentence"] for one in document["findings"]] == run.findings["sentence"].to_list()
    one = json.loads(call(run.path, 0, "--json"))
    assert [item["row"] for item in one["failing"]] == run.findings["failing"][0].to_list()


def test_requests_go_out_and_answers_come_in_by_file(run, tmp_path):
    requests, answers = tmp_path / "asked.jsonl", tmp_path / "said.jsonl"
    call(run.path, "--word", "--export", requests)
    asked = [json.loads(line) for line in requests.read_text().splitlines()]
    assert len(asked) == run.findings.height
    message = {"content": json.dumps({"sentence": "Results below zero"}), "role": "assistant"}
    body = {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}
    lines = [{"custom_id": one["custom_id"], "response": {"status_code": 200, "body": body}} for one in asked]
    answers.write_text("\n".join(map(json.dumps, lines)))
    assert "worded" in call(run.path, "--word", "--import", answers, "--model", "somebody")
    found = open_run(run.path).findings
    assert found["wording"].unique().to_list() == ["Results below zero"]
    assert found["wording_source"].unique().to_list() == ["somebody"]


def test_an_endpoint_words_findings_once_and_its_key_is_nowhere(run, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-mine")
    saying = {"text": "Sums below zero"}

    def plan(body, attempt):
        return ("message", {"role": "assistant", "content": json.dumps({"sentence": saying["text"]})}, "stop", None)

    with serve(plan) as server:
        options = ["--word", "--base-url", server.url, "--model", "m", "--yes", "--quiet"]
        call(run.path, *options)
        asked = len(server.bodies)
        saying["text"] = "never asked for"
        call(run.path, *options)
        assert len(server.bodies) == asked == run.findings.height
    assert any("sk-secret-of-mine" in key for key in server.keys)
    assert open_run(run.path).findings["wording"].unique().to_list() == ["Sums below zero"]
    for file in run.path.rglob("*"):
        assert not file.is_file() or b"sk-secret-of-mine" not in file.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["99"], "finding 99 does not exist"),
        (["--word"], "--word asks a model"),
        (["--max-tokens", "5"], "means something only with --word"),
    ],
)
def test_impossible_requests_are_refused_with_a_reason(run, arguments, says):
    with pytest.raises(UserError, match=says):
        call(run.path, *arguments)


def test_texts_never_act_on_the_terminal(run):
    hostile = "\x1b[31m[bold]x[/bold]\u202e"
    run.items.with_columns(prompt=pl.lit(hostile) + pl.col("prompt"), response=pl.lit(hostile)).write_parquet(
        run.path / "items.parquet"
    )
    run.concepts.with_columns(label=pl.lit(hostile)).write_parquet(run.path / "concepts.parquet")
    table = pl.read_parquet(run.path / "findings.parquet")
    without_feature = table.with_columns(label=pl.lit(hostile), feature=pl.lit(None, pl.String))
    with_words(without_feature).write_parquet(run.path / "findings.parquet")
    seal(run.path)
    for shown in (call(run.path), call(run.path, 0)):
        assert "\x1b[31m" not in shown and "\u202e" not in shown
        assert "<U+001B>" in shown.replace("\n", "")
    # In the data itself texts stay as they came: escaping is for whoever shows them.
    failing, _ = shown_items(open_run(run.path), open_run(run.path).findings.row(0, named=True))
    assert "".join(piece.text for piece in failing[0].prompt).startswith(hostile)
