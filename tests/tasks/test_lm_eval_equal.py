"""Tasks of lm-evaluation-harness get the scores that the harness itself gives them on the same model."""

from __future__ import annotations

import json

import polars as pl
import pytest

TASKS = ("tiny_choice", "tiny_mutual", "tiny_exact", "tiny_generate", "tiny_blank", "tiny_whole")


def _items(run, task):
    return run.items.filter(pl.col("benchmark") == task)


def _plain(value):
    return list(map(float, value)) if isinstance(value, (list, tuple)) else float(value)


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_of_every_item_equals_the_harness(task, lm_eval_results, task_run):
    items = {row["item_id"]: row for row in _items(task_run, task).iter_rows(named=True)}
    samples = lm_eval_results[task]["samples"][task]
    filters = {sample["filter"] for sample in samples}
    assert len(samples) == len(items) * len(filters) > 0
    for sample in samples:
        row = items[str(sample["doc_id"])]
        assert row["excluded"] is None
        ours = json.loads(row["details"])["metrics"][sample["filter"]]
        assert set(ours) == set(sample["metrics"])
        for name in sample["metrics"]:
            if name == "perplexity":
                assert ours[name] == pytest.approx(sample[name], abs=1e-4)
            else:
                assert _plain(ours[name]) == _plain(sample[name])


@pytest.mark.parametrize("task", TASKS)
def test_prompts_and_answers_equal_the_harness(task, lm_eval_results, task_run):
    rows = list(_items(task_run, task).iter_rows(named=True))
    for sample in lm_eval_results[task]["samples"][task]:
        row = rows[sample["doc_id"]]
        identity = json.loads(row["identity"])
        assert {k: sample[k] for k in ("doc_hash", "prompt_hash", "target_hash")}.items() <= identity.items()
        assert row["text"] == sample["arguments"][0][0]
        if task == "tiny_generate":
            assert row["response"] == sample["resps"][0][0]
            continue
        theirs = [response[0] for response in sample["resps"]]
        assert row["logprobs"] == pytest.approx([float(one[0]) for one in theirs], abs=1e-4)
        assert row["greedy"] == [bool(one[1]) for one in theirs]


@pytest.mark.parametrize("task", TASKS)
def test_mean_score_equals_the_harness_to_the_last_digit(task, lm_eval_results, task_run):
    rows = _items(task_run, task)
    identity = json.loads(rows["identity"][0])
    theirs = lm_eval_results[task]["results"][task][f"{identity['metric']},{identity['filter']}"]
    scores = rows["score"].to_list()
    assert sum(scores) / len(scores) == theirs


def test_tasks_tell_items_apart(lm_eval_results):
    """The comparison above means something only if scores differ between items."""
    for task in ("tiny_choice", "tiny_mutual", "tiny_blank"):
        assert 0 < lm_eval_results[task]["results"][task]["acc,none"] < 1
    assert lm_eval_results["tiny_generate"]["samples"]["tiny_generate"][0]["resps"][0][0]
