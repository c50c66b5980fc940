"""Running a task and reading the harness's log of the same evaluation give the same audit."""

from __future__ import annotations

import copy
import json

import numpy as np
import polars as pl
import pytest

import competency_gaps
from competency_gaps.config import BenchmarkConfig, LogSource
from competency_gaps.stages.load import load_benchmark

TASKS = ("tiny_choice", "tiny_generate", "tiny_blank")


def _read(folder, task, identity):
    source = LogSource(path=folder, benchmark=task, metric=identity["metric"], filter=identity["filter"])
    return load_benchmark(BenchmarkConfig(name=task, policy="imported", source=source))


@pytest.mark.parametrize("task", TASKS)
def test_our_files_are_read_back_to_the_same_scores(task, task_run):
    rows = task_run.items.filter(pl.col("benchmark") == task)
    read = _read(task_run.path / "lm_eval", task, json.loads(rows["identity"][0]))
    assert {item.id: item.score for item in read.items} == dict(zip(rows["item_id"], rows["score"], strict=True))
    if task != "tiny_blank":  # its options are prompts, so a log has no one answer in words
        assert [item.response for item in read.items] == rows["response"].to_list()


def test_unscored_items_stay_unscored(tiny_run):
    read = _read(tiny_run.path / "lm_eval", "sums", {"metric": "imported", "filter": None})
    scores = [item.score for item in read.items]
    assert scores == tiny_run.items.filter(pl.col("benchmark") == "sums")["score"].to_list()
    assert scores.count(None) == 1


def test_the_same_audit_from_the_harness_log(lm_eval_results, task_config, task_folder, tmp_path):
    from lm_eval.loggers import EvaluationTracker

    logs = []
    for task in TASKS:
        tracker = EvaluationTracker(output_path=str(tmp_path / task))
        tracker.general_config_tracker.log_experiment_args("hf", {"pretrained": "llama"}, None, None, True)
        results = copy.deepcopy(lm_eval_results[task])
        samples = results.pop("samples")
        tracker.save_results_aggregated(results=results, samples=samples)
        tracker.save_results_samples(task_name=task, samples=samples[task])
        logs.append({"name": task, "policy": "imported", "source": {"kind": "log", "path": str(tmp_path / task)}})
    tasks = [entry for entry in task_config["benchmarks"] if entry["name"] in TASKS]
    runs = [
        competency_gaps.run({**task_config, "benchmarks": benchmarks, "span": "question"}, tmp_path / name)
        for name, benchmarks in (("from_tasks", tasks), ("from_logs", logs))
    ]
    task_items, log_items = (run.items for run in runs)
    assert task_items.select("item_id", "prompt", "text", "score").equals(
        log_items.select("item_id", "prompt", "text", "score")
    )
    for table in ("concepts", "concept_benchmarks"):
        ours, theirs = (getattr(run, table) for run in runs)
        for column in ("chi_bench", "chi_model", "support", "n_eff"):
            a, b = ours[column].to_numpy(), theirs[column].to_numpy()
            np.testing.assert_allclose(a.astype(float), b.astype(float), rtol=1e-4, atol=1e-6, equal_nan=True)
