"""Logs of several models on the same items: the items are read once, each model's scores are matched to them."""

from __future__ import annotations

import json
import shutil

import pytest
from log_reading import read_by

import competency_gaps as cg
from competency_gaps.items.config import parse_config
from competency_gaps.items.config.run import ScoresConfig
from competency_gaps.logs.find import suite_logs
from competency_gaps.logs.scores import configured_scores
from competency_gaps.runs.scores import model_scores
from competency_gaps.util.errors import UserError
from core_helpers import command, write_lines
from log_samples import inspect_sample, message, sample, write_log

STAMP = "2026-11-24T10-00-00.000001"


def lm_eval(folder, model, records, task="houses"):
    return write_lines(folder / model.replace("/", "__") / f"samples_{task}_{STAMP}.jsonl", records)


def inspect(folder, model, values, task="quiz"):
    texts = [f"Why is fox {number} red?" for number in range(len(values))]
    seen = [[message("system", "Be terse."), message("user", f"Think. {text} Answer:", "input")] for text in texts]
    samples = [inspect_sample(n, value, text=texts[n], messages=seen[n]) for n, value in enumerate(values)]
    return write_log(folder / f"{model.replace('/', '-')}.json", samples, eval={"task": task, "model": model})


def scored(model, count=12, *, start=0, shift=0):
    return [sample(number, exact_match=float((number + shift) % 3 == 0)) for number in range(start, start + count)]


@pytest.fixture
def logs(tmp_path):
    """Two models on one task of lm-eval, in folders of their own and in one."""
    lm_eval(tmp_path / "logs", "org/a", scored("org/a"))
    lm_eval(tmp_path / "logs", "org/b", scored("org/b", shift=1))
    return tmp_path / "logs"


@pytest.fixture
def made(logs, model_folder, sae_folder, tmp_path):
    """The run of both."""
    arguments = read_by(model_folder("llama"), sae_folder)
    done = command("run", *arguments, "--log", str(logs), "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    return cg.open_run(tmp_path / "run")


@pytest.mark.parametrize("form", ["one folder", "two folders", "named"])
def test_models_of_one_task_are_one_benchmark_and_scores(logs, form):
    own, other = str(logs / "org__a"), str(logs / "org__b")
    paths = {"one folder": [str(logs)], "two folders": [own, other], "named": [f"h={own}", f"h={other}"]}[form]
    name = "h" if form == "named" else "houses"
    suite = suite_logs(paths)
    assert [entry["name"] for entry in suite.benchmarks] == [name]
    assert suite.models == {name: ["org/a", "org/b"]}
    (entry,) = suite.scores
    rows = configured_scores(parse_config(ScoresConfig, entry, "the logs"))
    assert set(rows.select("model", "benchmark").rows()) == {("org/b", name)}
    assert rows["score"].to_list() == [float((number + 1) % 3 == 0) for number in range(12)]


def test_logs_of_one_model_or_of_different_tasks_stay_benchmarks(tmp_path):
    lm_eval(tmp_path, "org/a", scored("org/a"))
    lm_eval(tmp_path, "org/b", scored("org/b"), task="other")
    shutil.copytree(tmp_path / "org__a", tmp_path / "again" / "org__a")
    names = [entry["name"] for entry in suite_logs([str(tmp_path / "org__a"), str(tmp_path / "org__b")]).benchmarks]
    assert names == ["houses", "other"]
    twice = suite_logs([str(tmp_path / "org__a"), str(tmp_path / "again")])
    assert len(twice.benchmarks) == 2 and not twice.scores and not twice.models


def test_a_chosen_metric_holds_for_every_model(tmp_path):
    for model in ("org/a", "org/b"):
        both = [sample(n, metrics=["acc", "acc_norm"], acc=1.0, acc_norm=0.0) for n in range(3)]
        lm_eval(tmp_path, model, both)
    suite = suite_logs([str(tmp_path)], metric="acc_norm")
    (entry,) = suite.scores
    assert suite.benchmarks[0]["source"]["metric"] == entry["metric"] == "acc_norm"
    assert set(configured_scores(parse_config(ScoresConfig, entry, "the logs"))["score"]) == {0.0}
    none = suite_logs([str(tmp_path)], metric="none")
    assert len(none.benchmarks) == 1 and not none.scores


def test_the_runs_own_scores_are_of_one_model(logs):
    """The model with the most benchmarks; where it is missing, no model's scores count as the run's own."""
    lm_eval(logs, "org/b", scored("org/b"), task="sums")
    lm_eval(logs, "org/c", scored("org/c"), task="sums")
    suite = suite_logs([str(logs)])
    assert suite.models == {"houses": ["org/b", "org/a"], "sums": ["org/b", "org/c"]}
    lm_eval(logs, "org/a", scored("org/a"), task="words")
    lm_eval(logs, "org/a", scored("org/a"), task="more")
    suite = suite_logs([str(logs)])
    sources = {entry["name"]: entry["source"] for entry in suite.benchmarks}
    assert sources["sums"]["metric"] == "none" and "metric" not in sources["houses"]
    assert suite.models == {"houses": ["org/a", "org/b"], "sums": ["org/b", "org/c"]}
    assert sorted((entry["benchmark"], entry["part"]) for entry in suite.scores) == [
        ("houses", "houses@b"),
        ("sums", "sums@b"),
        ("sums", "sums@c"),
    ]


def test_a_run_reads_items_once_for_all_models(tmp_path, model_folder, sae_folder):
    inspect(tmp_path / "logs", "org/a", "CICPCICPCICP")
    inspect(tmp_path / "logs", "org/b", "IICCIICCIICC")
    arguments = read_by(model_folder("llama"), sae_folder)
    done = command("run", *arguments, "--log", str(tmp_path / "logs"), "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "quiz: items from the log of org/a" in said
    assert "org/b: scores of 12 of 12 items that match the run's." in said
    run = cg.open_run(tmp_path / "run")
    assert run.items.height == 12 and run.scored_model == "org/a"
    for row in run.items.iter_rows(named=True):
        assert row["prompt"] == row["text"][row["body_start"] : row["body_end"]] == f"Why is fox {row['item_id']} red?"
        assert "system\nBe terse." in row["text"] and json.loads(row["identity"])["tool"] == "inspect"
    scores, values = model_scores(run), {"C": 1.0, "P": 0.5, "I": 0.0}
    assert scores.models == ("org/a", "org/b")
    assert scores.values.tolist() == [[values[one] for one in letters] for letters in ("CICPCICPCICP", "IICCIICCIICC")]
    assert run.models["reads"].to_list() == [False, False]
    (reports,) = [entry["source"] for entry in run.manifest["benchmarks"]]
    assert len(reports) == 1


def test_rows_whose_id_asks_something_else_are_refused_and_a_metric_is_chosen(made, tmp_path):
    assert model_scores(made).values.tolist() == [[float((n + shift) % 3 == 0) for n in range(12)] for shift in (0, 1)]
    shuffled = scored("org/c")
    # Three documents are numbered otherwise, and one is another question.
    for place, number in ((0, 1), (1, 2), (2, 0)):
        shuffled[place]["doc_id"] = number
    shuffled[5] = sample(5, "Who built the tower?", exact_match=1.0)
    log = lm_eval(tmp_path / "more", "org/c", shuffled)
    done = command("score", str(tmp_path / "run"), "--log", str(log), "--json")
    assert done.returncode == 0, done.stderr
    (added,) = json.loads(done.stdout)["added"]
    assert (added["matched"], added["by_prompt"], added["unmatched"], added["other_text"]) == (11, 3, 1, 1)
    run = cg.open_run(tmp_path / "run")
    values = model_scores(run).of("org/c")
    expected = [float(number % 3 == 0) for number in range(12)]
    assert [value for number, value in enumerate(values.tolist()) if number != 5] == expected[:5] + expected[6:]
    assert values[5] != values[5]
    other = lm_eval(tmp_path / "strange", "org/d", [sample(n, f"What is {n + 100}?") for n in range(3)])
    with pytest.raises(UserError, match=r"none of the 3 rows .*3 of them have an item's id but another prompt"):
        run.add_log(other)
    two = [sample(n, metrics=["exact_match", "loose"], exact_match=0.0, loose=1.0) for n in range(12)]
    log = lm_eval(tmp_path / "more", "org/e", two)
    run.add_log(log, metric="loose")
    assert set(model_scores(run).of("org/e").tolist()) == {1.0}
    with pytest.raises(UserError, match="has no metric 'tight'"):
        run.add_log(log, model="other", metric="tight")
