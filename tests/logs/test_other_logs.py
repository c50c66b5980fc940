"""Logs of HELM, lighteval and OpenCompass, by hand in the forms that these tools write."""

from __future__ import annotations

import hashlib
import json

import polars as pl
import pytest
from log_reading import counts, read
from other_log_helpers import PROMPT, QUESTION, helm, helm_request, helm_stats, lighteval, new_row, old_row, opencompass

from competency_gaps.errors import UserError
from competency_gaps.harnesses import lighteval as lighteval_log
from competency_gaps.harnesses.describe import report_lines
from competency_gaps.harnesses.log_parts import find_parts
from competency_gaps.items.remark import Remark


def test_helm(tmp_path):
    dialect = {"name": "dialect"}
    requests = [
        helm_request("id1"),
        helm_request("id1", trial=1),
        helm_request("id2", text="Which animal barks?"),
        helm_request("id1", instance={"perturbation": dialect}),
        helm_request("id3", request={"model": "openai/gpt2", "prompt": ""}),
    ]
    stats = [
        helm_stats("id1", 1.0),
        helm_stats("id1", 97.0, metric="num_prompt_tokens"),
        helm_stats("id1", 0.0, trial=1),
        helm_stats("id1", 0.0, perturbation=dialect),
    ]
    found = read(helm(tmp_path, requests, stats))
    one, two = found.items
    assert (one.id, one.score, one.epochs, one.answer, one.response) == ("id1", 0.5, 2, "fox", " A")
    assert (two.id, two.score) == ("id2", None)
    assert one.prompt == QUESTION
    # The last place: the example asks the same as the item.
    assert two.seen.own[0] == two.seen.text.rindex("Which animal barks?") > two.seen.text.index("Which animal barks?")
    report = found.report
    assert (report.benchmark, report.model, report.metric) == ("quiz:subject=animals", "openai/gpt2", "exact_match")
    assert counts(report.left_out) == {"perturbed": 1, "no_prompt": 1}
    assert (report.records, report.averaged, report.unscored) == (5, 2, 1)


def test_helm_refuses_what_is_not_one_prompt_per_question(tmp_path):
    helm(tmp_path, [helm_request("id1")], [helm_stats("id1", 1.0)], method="multiple_choice_separate_original")
    with pytest.raises(UserError, match="'multiple_choice_separate_original' are not read"):
        read(tmp_path)


def test_helm_names_statistics_where_none_is_a_score(tmp_path):
    helm(tmp_path, [helm_request("id1")], [helm_stats("id1", 9.0, metric="num_prompt_tokens")])
    with pytest.raises(UserError, match="num_prompt_tokens"):
        read(tmp_path)
    with pytest.raises(UserError, match=r"outside \[0, 1\]"):
        read(tmp_path, metric="num_prompt_tokens")


def test_helm_lists_each_statistic_once_where_the_requested_one_is_missing(tmp_path):
    helm(tmp_path, [helm_request("id1")], [helm_stats("id1", 1.0), helm_stats("id1", 9.0, metric="num_prompt_tokens")])
    with pytest.raises(UserError, match="has no metric 'exact'") as error:
        read(tmp_path, metric="exact")
    listed = str(error.value).split("there are ")[1].split(".")[0].split(", ")
    assert "num_prompt_tokens" in listed and len(listed) == len(set(listed)) == 2


def test_helm_trials_with_other_examples_give_a_warning(tmp_path):
    other = {"model": "openai/gpt2", "prompt": f"Question: Which animal purrs?\nAnswer: cat\n\n{QUESTION}"}
    requests = [helm_request("id1"), helm_request("id1", trial=1, request=other), helm_request("id2")]
    stats = [helm_stats("id1", 1.0), helm_stats("id1", 0.0, trial=1), helm_stats("id2", 1.0)]
    report = read(helm(tmp_path, requests, stats)).report
    assert Remark("other_examples", (1,)) in report.warnings
    assert next(report_lines(report)).endswith("3 records, 2 items, 2 records averaged into 1 item, 0 unscored")


def test_helm_odd_values_cost_a_record(tmp_path):
    requests = [
        helm_request("id1", result={"completions": [None]}),
        helm_request("id2", trial=None),
        helm_request("id3", request={"prompt": " \n"}),
        helm_request("id4", trial="x"),
        helm_request("id5"),
        helm_request("id5"),
        "nothing",
    ]
    stats = [helm_stats("id1", 1.0), helm_stats("id2", 0.0, trial=None), helm_stats("id5", 1.0), None, {"stats": 1}]
    found = read(helm(tmp_path, requests, stats))
    assert [(item.id, item.score, item.response) for item in found.items] == [
        ("id1", 1.0, None),
        ("id2", 0.0, " A"),
        ("id5", 1.0, " A"),
    ]
    assert counts(found.report.left_out) == {
        "no_prompt": 1,
        "trial_no_number": 1,
        "trial_again": 1,
        "request_no_object": 1,
    }
    assert Remark("unknown_records", (2,)) in found.report.warnings


def test_lighteval_until_version_0_9(tmp_path):
    found = read(lighteval(tmp_path, [old_row(), old_row(0.0)]))
    assert [item.score for item in found.items] == [1.0, 0.0]
    item = found.items[0]
    assert (item.prompt, item.choices, item.answer, item.response) == (
        f"Question: {QUESTION}",
        ("fox", "dog"),
        0,
        "dog",
    )
    assert item.seen.text == PROMPT
    assert (found.report.model, found.report.metric, found.report.benchmark) == ("org/name", "acc", "lighteval|quiz|1")
    with pytest.raises(UserError, match=r"'em_tokens'.*Choose another \(acc\)"):
        read(tmp_path, metric="em_tokens")


@pytest.mark.parametrize("mark", ["__", ""])
def test_lighteval_since(tmp_path, mark):
    rows = [new_row(mark=mark), new_row(float("nan"), mark=mark)]
    found = read(lighteval(tmp_path, rows))
    assert [item.score for item in found.items] == [1.0, None]
    assert (found.items[0].prompt, found.items[0].response) == (QUESTION, "the fox")
    assert found.items[0].identity["doc_id"] == "7"
    assert found.report.unscored == 1


def test_lighteval_newest_and_values_as_texts(tmp_path):
    lighteval(tmp_path, [old_row()])
    lighteval(tmp_path, [{key: str(value) for key, value in old_row().items()}], stamp="2026-11-25T10-00-00.000001")
    (part,) = find_parts(tmp_path)
    assert part.notes == (Remark("older_log", quotes=("details_lighteval|quiz|1_2026-11-24T10-00-00.000001.parquet",)),)
    with pytest.raises(UserError, match="writes all values as texts"):
        read(tmp_path)


def test_lighteval_gold_of_0_is_a_gold(tmp_path):
    row = {**old_row(), "gold_index": 0, "gold": "another"}
    assert read(lighteval(tmp_path, [row])).items[0].answer == 0


def test_lighteval_reads_some_rows_at_a_time_and_no_logits(tmp_path, monkeypatch):
    """Rows with 50,000 numbers each, read with less memory than these would take as Python objects."""
    import tracemalloc

    monkeypatch.setattr(lighteval_log, "_SLICE", 7)
    rows = [{**old_row(float(i % 2)), "pred_logits": [float(i)] * 50_000} for i in range(40)]
    lighteval(tmp_path / "old", rows)
    answers = [
        {**new_row(float(i % 2), ""), "model_response": {"text": [f"a{i}"], "logits": [1.0] * 50_000}}
        for i in range(40)
    ]
    lighteval(tmp_path / "new", answers)
    for form in ("old", "new"):
        tracemalloc.start()
        found = read(tmp_path / form)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert [item.score for item in found.items] == [float(i % 2) for i in range(40)]
        assert [item.id for item in found.items] == [str(i) for i in range(40)]
        assert peak < 40 * 50_000
    assert [item.response for item in found.items] == [f"a{i}" for i in range(40)]


def test_opencompass(tmp_path):
    chat = [
        {"role": "HUMAN", "prompt": "Hello"},
        {"role": "BOT", "prompt": "Hi"},
        {"role": "HUMAN", "prompt": QUESTION},
    ]
    predictions = {
        "0": {"origin_prompt": PROMPT, "prediction": "fox", "gold": "fox"},
        "1": {"origin_prompt": chat, "prediction": ["fox", "dog"], "gold": "fox"},
        "2": {"origin_prompt": PROMPT, "prediction": "", "gold": "fox"},
        "3": {"label: A": {"testing input": "x", "prompt": "y", "PPL": 1.0}, "prediction": "A"},
    }
    details = {"type": "GEN", "0": {"correct": True}, "1": {"correct": [True, False]}, "2": {"correct": None}}
    found = read(opencompass(tmp_path, predictions, {"accuracy": 50.0, "details": details}))
    assert [item.score for item in found.items] == [1.0, 0.5, None]
    assert [item.epochs for item in found.items] == [1, 2, 1]
    assert found.items[1].messages[-1] == {"role": "user", "content": QUESTION}
    assert [one["role"] for one in found.items[1].messages] == ["user", "assistant", "user"]
    assert counts(found.report.left_out) == {"perplexity": 1}
    assert (found.report.model, found.report.benchmark) == ("name-1b", "quiz")


def test_opencompass_without_details(tmp_path):
    opencompass(tmp_path, {"0": {"origin_prompt": PROMPT, "prediction": "fox"}}, {"accuracy": 50.0})
    with pytest.raises(UserError, match="--dump-eval-details"):
        read(tmp_path)


def test_options_that_these_formats_do_not_have(tmp_path):
    lighteval(tmp_path, [old_row()])
    with pytest.raises(UserError, match="a log of lighteval has no filter"):
        read(tmp_path, filter="none")


def test_opencompass_joins_the_pieces_of_a_big_dataset(tmp_path):
    """Its results count through all pieces, each piece counts from 0."""
    entries = [{"origin_prompt": f"Question {i}", "prediction": "x"} for i in range(5)]
    run = (
        opencompass(tmp_path, {}, {"details": {str(i): {"correct": i in (1, 4)} for i in range(5)}}) / "20261124_100000"
    )
    predictions = run / "predictions" / "name-1b"
    (predictions / "quiz.json").unlink()
    for number, piece in enumerate((entries[:2], entries[2:4], entries[4:])):
        content = json.dumps({str(i): entry for i, entry in enumerate(piece)})
        (predictions / f"quiz_{number}.json").write_text(content)
    (predictions / "quiz_4.json").write_text(content)
    (part,) = find_parts(tmp_path)
    assert (part.benchmark, part.notes) == ("quiz", (Remark("missing_piece", quotes=("quiz_4.json",)),))
    found = read(tmp_path)
    assert [(item.id, item.prompt, item.score) for item in found.items] == [
        (str(i), f"Question {i}", float(i in (1, 4))) for i in range(5)
    ]


def csv(folder):
    folder.mkdir(exist_ok=True)
    pl.DataFrame({"prompt": ["One?", "Two?"], "score": [7.0, 1.0]}).write_csv(folder / "table.csv")
    return folder / "table.csv"


def without_scores(folder):
    """Logs of which no metric is a score."""
    yield helm(folder / "helm", [helm_request("id1")], [helm_stats("id1", 9.0, metric="num_prompt_tokens")]), {}
    yield lighteval(folder / "lighteval", [old_row(2.0)]), {}
    yield opencompass(folder / "opencompass", {"0": {"origin_prompt": PROMPT}}, {"accuracy": 1}), {}
    yield csv(folder), {"format": "table"}


def test_items_without_scores(tmp_path):
    for path, more in without_scores(tmp_path):
        with pytest.raises(UserError):
            read(path, **more)
        found = read(path, metric="none", **more)
        assert [item.score for item in found.items] == [None] * len(found.items) != []
        assert not found.report.unscored_because


def test_every_item_has_a_hash_of_what_the_model_read(tmp_path):
    for path, more in without_scores(tmp_path):
        for item in read(path, metric="none", **more).items:
            text = item.seen.text if item.seen else item.prompt
            assert item.identity["prompt_hash"] == hashlib.sha256(text.encode()).hexdigest()


def test_half_a_character_costs_the_item_and_is_counted(tmp_path):
    rows = {str(i): {"origin_prompt": text, "prediction": "x"} for i, text in enumerate(["fine", "half \ud800"])}
    found = read(opencompass(tmp_path, rows, {"details": [{"correct": True}, {"correct": True}]}))
    assert (len(found.items), len(found.left_out), found.report.items) == (1, 1, 1)
    table = tmp_path / "table.jsonl"
    table.write_text("".join(json.dumps({"prompt": text, "score": 1}) + "\n" for text in ["fine", "half \ud800"]))
    found = read(table, format="table")
    assert (len(found.items), len(found.left_out), found.report.records) == (1, 1, 2)
