"""MMLU-Pro's, ZeroEval's, IFEval's and AlpacaEval's files: by hand, and real ones beside others' scores of them."""

from __future__ import annotations

import csv
import json

import pytest
from log_reading import counts, read

from competency_gaps.logs.find import find_parts, suite_logs
from log_samples import alpaca_eval, document, ifeval, mmlu_pro, published, zeroeval


def test_each_tool_is_told_by_its_records(tmp_path):
    files = published(tmp_path)
    found = {part.format: (part.benchmark, part.model) for part in find_parts(tmp_path)}
    assert found == {
        "mmlu_pro": ("mmlu_pro", "name"),
        "zeroeval": ("gsm", "org/name"),
        "ifeval": ("ifeval", "name"),
        "alpaca_eval": ("judge", "name"),
    }
    for file in files:  # alone, under any name
        moved = file.rename(tmp_path / f"x{file.suffix}")
        assert len(read(moved).items) in (3, 4)
        moved.unlink()


def test_random_letters_of_mmlu_pro_are_unscored(tmp_path):
    outputs = [
        (mmlu_pro(1, "B", "First the answer is (B). Then the answer is (C)."), 1.0),
        (mmlu_pro(2, "C", "Answer: A or answer: C\nAnswer: B"), 0.0),
        (mmlu_pro(3, "B", "It could be A, or B"), 1.0),
        (mmlu_pro(4, "B", "I cannot say."), None),  # drawn at random
        (mmlu_pro(5, "B", "The answer is (C)."), None),
        (mmlu_pro(6, None, "no idea"), None),
        (mmlu_pro(8, "B", "the answer is B", answer=None), None),
        (mmlu_pro(7, "B", "", generated_text=None, model_outputs="the answer is B"), None),
    ]
    outputs[-1][0].pop("generated_text")
    path = document(tmp_path / "model_outputs_Llama-3_5shots.json", ["a bare string", *(one for one, _ in outputs)])
    log = read(path)
    assert [item.score for item in log.items] == [score for _, score in outputs[:-1]] + [1.0]
    assert counts(log.report.unscored_because) == {"random_letter": 2, "no_answer": 1, "no_key": 1}
    assert counts(log.report.left_out) == {"record_no_object": 1} and log.report.model == "Llama-3"
    first = log.items[0]
    assert (first.id, first.prompt, first.choices, first.answer) == (
        "1",
        "Which is number 1?",
        ("one", "two", "three"),
        1,
    )
    assert {item.group for item in log.items} == {"part 0", "part 1"}


def test_the_first_number_of_zeroevals_answer_counts(tmp_path):
    said = {
        '```json\n{"reasoning": "16 - 7 = 9", "answer": "$18.00 a day"}\n```': 1.0,
        '{"reasoning": "broken \\x", "answer": 18}': 1.0,
        '{"answer": "9 + 9 = 18"}': 0.0,
        '{"answer": "eighteen"}': 0.0,
        '{"answer": ""}': None,
        "18": None,
    }
    rows = [zeroeval(number, text) for number, text in enumerate(said)]
    rows.append(zeroeval(9, '{"answer": "B) dog"}', "B", dataset="mmlu-redux", choices=["cat", "dog"]))
    rows.append(zeroeval(10, '{"answer": "x"}', "y", dataset="crux"))
    log = read(document(tmp_path / "gsm" / "name.json", rows))
    assert [item.score for item in log.items] == [*said.values(), 1.0, None]
    assert counts(log.report.unscored_because) == {"no_answer": 2, "no_rule": 1}
    first = log.items[0]
    assert first.prompt == "How many eggs are sold in week 0?" and first.seen.text.endswith("<end_of_turn>\n")
    assert (log.items[6].choices, log.items[6].answer) == (("cat", "dog"), 1)


def test_strict_and_loose_of_ifeval_are_two_metrics(tmp_path):
    told = {"instruction_id_list": ["ja:punctuation:a", "ja:length:b"]}
    rows = [ifeval(0, [True, True], **told), ifeval(1, [True, False], **told), ifeval(2, [], response=None, **told)]
    place = tmp_path / "ja_name" / "eval_results_strict.jsonl"
    document(place, rows)
    document(place.with_name("eval_results_loose.jsonl"), [ifeval(n, [True], **told) for n in range(3)])
    strict, loose = read(tmp_path), read(tmp_path, metric="loose")
    assert [item.score for item in strict.items] == [1.0, 0.0, None] and loose.mean == 1.0
    assert (strict.report.benchmark, strict.report.model) == ("ifeval_ja", "name")
    assert strict.report.available["metric"] == ("strict", "loose")
    assert loose.items[0].group == "length+punctuation"
    assert {item.score for item in read(place.with_name("eval_results_loose.jsonl")).items} == {1.0}


def test_alpacaevals_preference_is_of_a_pair(tmp_path):
    given = [1, 2, 1.25, 0, 1.5, None, 3]
    rows = [alpaca_eval(n, p) for n, p in enumerate(given)]
    log = read(document(tmp_path / "annotations.json", [*rows, alpaca_eval(9, 2, generator_2="another")]))
    assert counts(log.report.left_out) == {"other_model": 1}
    assert [item.score for item in log.items] == [0.0, 1.0, 0.25, 0.5, 0.5, None, None]
    assert (log.items[0].response, log.items[0].group, log.report.model) == ("ours", "helpful", "name")


def test_files_of_several_models_are_one_benchmark(tmp_path):
    for name in ("a", "b"):
        document(tmp_path / f"model_outputs_{name}_5shots.json", [mmlu_pro(n, "B", "answer is B") for n in range(3)])
        document(tmp_path / "gsm" / f"{name}.json", [zeroeval(n, "{}") for n in range(3)])  # one generator
    suite = suite_logs([str(tmp_path)])
    assert suite.models == {"mmlu_pro": ["a", "b"], "gsm": ["a", "b"]}


def _columns(results, benchmark, model):
    with (results / benchmark / "scores.csv").open(encoding="utf-8") as file:
        return {row["id"]: float(row[model]) if row[model] else None for row in csv.DictReader(file)}


@pytest.mark.shared
def test_scores_are_those_that_others_made(shared):
    results = shared.parent / "results"
    if not (results / "raw").is_dir():
        pytest.skip("the shared results do not lie beside this checkout")
    for model, unscored in (("Meta-Llama-3_1-8B-Instruct", 4), ("Qwen1.5-7B-Chat", 17)):
        theirs = _columns(results, "mmlu_pro", model)
        items = read(results / "raw" / f"mmlu_pro_model_outputs_{model}_5shots.json").items
        assert [item.score for item in items] == [theirs[f"mmlu_pro-{item.id}"] for item in items]
        assert sum(item.score is None for item in items) == unscored
    for benchmark, model, file, texts in (
        ("gsm8k", "gemma-2-9b-it", "zeroeval_gsm_gemma-2-9b-it.json", shared / "gsm8k" / "test.jsonl"),
        ("ifeval", "Meta-Llama-3.1-8B-Instruct-AWQ-INT4", "m_ifeval_eval_results_strict.jsonl", None),
    ):
        theirs = _columns(results, benchmark, model)
        lines = (texts or results / benchmark / "items.jsonl").read_text("utf-8").split("\n")
        ids = {row["prompt"].strip(): row["id"] for row in map(json.loads, filter(None, lines))}
        items = read(results / "raw" / file).items
        assert [item.score for item in items] == [theirs[ids[item.prompt.strip()]] for item in items]
