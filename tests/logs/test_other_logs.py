"""Logs of HELM, lighteval and OpenCompass, by hand in the forms that these tools write."""

from __future__ import annotations

import json

import polars as pl
import pytest
from log_reading import read

from competency_gaps.errors import UserError
from competency_gaps.logs.detect import find_parts

QUESTION = "Which animal jumps over the dog?"
PROMPT = f"Question: Which animal barks?\nAnswer: dog\n\nQuestion: {QUESTION}\nA. fox\nB. dog\nAnswer:"


def helm_request(name, *, trial=0, text=QUESTION, **more):
    references = [
        {"output": {"text": "fox"}, "tags": ["correct"]},
        {"output": {"text": "dog"}, "tags": []},
    ]
    instance = {"id": name, "input": {"text": text}, "references": references, "split": "test"}
    return {
        "instance": {**instance, **more.pop("instance", {})},
        "train_trial_index": trial,
        "output_mapping": {"A": "fox", "B": "dog"},
        "request": {"model": "openai/gpt2", "prompt": PROMPT.replace(QUESTION, text)},
        "result": {"success": True, "completions": [{"text": " A", "logprob": -1.0}]},
        **more,
    }


def helm_stats(name, value, *, trial=0, perturbation=None, metric="exact_match"):
    stats = [{"name": {"name": metric, "split": "test"}, "count": 1, "sum": value, "mean": value}]
    entry = {"instance_id": name, "train_trial_index": trial, "stats": stats}
    return {**entry, **({"perturbation": perturbation} if perturbation else {})}


def helm(folder, requests, stats, method="multiple_choice_joint"):
    run = folder / "runs" / "suite" / "quiz:subject=animals,model=openai_gpt2"
    run.mkdir(parents=True)
    adapter = {"method": method, "model": "openai/gpt2"}
    (run / "run_spec.json").write_text(json.dumps({"name": run.name, "adapter_spec": adapter}))
    (run / "scenario_state.json").write_text(json.dumps({"adapter_spec": adapter, "request_states": requests}))
    (run / "per_instance_stats.json").write_text(json.dumps(stats))
    return folder


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
    assert (
        two.seen.own[0][0] == two.seen.text.rindex("Which animal barks?") > two.seen.text.index("Which animal barks?")
    )
    report = found.report
    assert (report.benchmark, report.model, report.metric) == ("quiz:subject=animals", "openai/gpt2", "exact_match")
    assert report.left_out == {"perturbed instance (dialect)": 1, "the request holds no prompt": 1}
    assert (report.records, report.averaged, report.unscored) == (5, 2, 1)


def test_helm_refuses_what_is_not_one_prompt_per_question(tmp_path):
    helm(tmp_path, [helm_request("id1")], [helm_stats("id1", 1.0)], method="multiple_choice_separate_original")
    with pytest.raises(UserError, match="'multiple_choice_separate_original' are not read"):
        read(tmp_path)


def test_helm_names_statistics_where_none_is_a_score(tmp_path):
    helm(tmp_path, [helm_request("id1")], [helm_stats("id1", 9.0, metric="num_prompt_tokens")])
    with pytest.raises(UserError, match="name one: num_prompt_tokens"):
        read(tmp_path)
    with pytest.raises(UserError, match=r"outside \[0, 1\]"):
        read(tmp_path, metric="num_prompt_tokens")


def lighteval(folder, rows, task="lighteval|quiz|1", stamp="2026-11-24T10-00-00.000001"):
    place = folder / "details" / "org" / "name" / stamp
    place.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows).write_parquet(place / f"details_{task}_{stamp}.parquet")
    return folder


def old_row(acc=1.0):
    return {
        "example": f"Question: {QUESTION}",
        "full_prompt": PROMPT,
        "predictions": [-4.0, -2.0],
        "choices": [" fox", " dog"],
        "gold_index": [0],
        "metrics": {"em_tokens": 30.0, "acc": acc},
    }


def new_row(acc=1.0, mark="__"):
    doc = {"query": QUESTION, "choices": ["fox", "dog"], "gold_index": 0, "id": "7"}
    answer = {"input": PROMPT, "text": ["the fox"], "logprobs": []}
    return {f"{mark}doc{mark}": doc, f"{mark}model_response{mark}": answer, f"{mark}metric{mark}": {"acc": acc}}


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
    with pytest.raises(UserError, match=r"'em_tokens' is not one number in \[0, 1\] per item; usable: acc"):
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
    assert list(part.passed_over) == ["details_lighteval|quiz|1_2026-11-24T10-00-00.000001.parquet"]
    with pytest.raises(UserError, match="writes all values as texts"):
        read(tmp_path)


def opencompass(folder, predictions, results):
    for kind, content in (("predictions", predictions), ("results", results)):
        file = folder / "20261124_100000" / kind / "name-1b" / "quiz.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(content))
    return folder


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
    assert found.report.left_out == {"scored by perplexity: one prompt per option": 1}
    assert (found.report.model, found.report.benchmark) == ("name-1b", "quiz")


def test_opencompass_without_details(tmp_path):
    opencompass(tmp_path, {"0": {"origin_prompt": PROMPT, "prediction": "fox"}}, {"accuracy": 50.0})
    with pytest.raises(UserError, match="--dump-eval-details"):
        read(tmp_path)


def test_options_that_these_formats_do_not_have(tmp_path):
    lighteval(tmp_path, [old_row()])
    with pytest.raises(UserError, match="a log of lighteval has no filter"):
        read(tmp_path, filter="none")
