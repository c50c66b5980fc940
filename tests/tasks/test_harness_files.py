"""A run's files in lm-evaluation-harness's form equal the harness's own, and its tools read them."""

from __future__ import annotations

import copy
import json

import pytest


def _lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _one(folder, pattern):
    (found,) = folder.glob(pattern)
    return found


@pytest.fixture(scope="module")
def theirs(lm_eval_results, tmp_path_factory):
    """The files that the harness writes of its own results."""
    from lm_eval.loggers import EvaluationTracker

    made = {}
    for task, results in lm_eval_results.items():
        folder = tmp_path_factory.mktemp(f"theirs_{task}")
        tracker = EvaluationTracker(output_path=str(folder))
        tracker.general_config_tracker.log_experiment_args("hf", {"pretrained": "tiny"}, None, None, True)
        results = copy.deepcopy(results)
        samples = results.pop("samples")
        tracker.save_results_aggregated(results=results, samples=samples)
        tracker.save_results_samples(task_name=task, samples=samples[task])
        made[task] = folder
    return made


@pytest.mark.parametrize("task", ["tiny_choice", "tiny_mutual", "tiny_generate", "tiny_blank", "tiny_whole"])
def test_samples_equal_the_harness(task, theirs, task_run):
    expected = _lines(_one(theirs[task], f"*/samples_{task}_*.jsonl"))
    found = _lines(_one(task_run.path, f"lm_eval/*/samples_{task}_*.jsonl"))
    assert len(found) == len(expected) > 0
    for ours, own in zip(found, expected, strict=True):
        assert list(ours) == list(own)
        for key in own:
            if key in ("resps", "filtered_resps") and task != "tiny_generate":
                assert _numbers(ours[key]) == pytest.approx(_numbers(own[key]), abs=1e-4)
                assert _words(ours[key]) == _words(own[key])
            elif key == "perplexity":
                assert ours[key] == pytest.approx(own[key], abs=1e-4)
            else:
                assert ours[key] == own[key], key


def _flat(value):
    return [leaf for part in value for leaf in _flat(part)] if isinstance(value, list) else [value]


def _numbers(value):
    return [float(leaf) for leaf in _flat(value) if leaf not in ("True", "False")]


def _words(value):
    return [leaf for leaf in _flat(value) if leaf in ("True", "False")]


@pytest.mark.parametrize("task", ["tiny_choice", "tiny_mutual", "tiny_generate", "tiny_blank"])
def test_results_equal_the_harness(task, theirs, task_run):
    expected = json.loads(_one(theirs[task], "*/results_*.json").read_text())
    found = json.loads(_one(task_run.path, "lm_eval/*/results_*.json").read_text())
    assert set(expected) - set(found) == {"start_time", "end_time"} & set(expected)
    assert set(expected["config"]) <= set(found["config"])
    for name, value in expected["results"][task].items():
        if "_stderr" not in name:
            assert found["results"][task][name] == value, name
    for key in ("versions", "n-shot", "higher_is_better", "n-samples", "task_hashes"):
        assert found[key][task] == expected[key][task], key
    assert found["configs"][task]["metric_list"] == expected["configs"][task]["metric_list"]


def test_the_harness_shows_our_results(task_run):
    from lm_eval.utils import make_table

    results = json.loads(_one(task_run.path, "lm_eval/*/results_*.json").read_text())
    table = make_table(results)
    assert "tiny_choice" in table and "acc_norm" in table and "letters" in table


def test_items_of_ours_and_without_score(tiny_run):
    lines = _lines(_one(tiny_run.path, "lm_eval/*/samples_sums_*.jsonl"))
    (unscored,) = [line for line in lines if line["imported"] is None]
    assert unscored["doc"]["id"] == "i3" and "no score" in unscored["unscored"]
    assert all("unscored" not in line for line in lines if line is not unscored)
    results = json.loads(_one(tiny_run.path, "lm_eval/*/results_*.json").read_text())
    assert results["n-samples"]["sums"] == {"original": 30, "effective": 29}
    scores = [line["imported"] for line in lines if line["imported"] is not None]
    assert results["results"]["sums"]["imported,none"] == sum(scores) / 29
    for line in _lines(_one(tiny_run.path, "lm_eval/*/samples_quiz_*.jsonl")):
        likely = [float(response[0][0]) for response in line["resps"]]
        assert len(likely) == 4 == len(line["arguments"])
        assert line["acc"] == float(likely.index(max(likely)) == int(line["target"]))
        assert line["doc"]["choices"][0] in line["arguments"]["gen_args_0"]["arg_1"]


def test_datasets_reads_our_samples(task_run, tmp_path):
    datasets = pytest.importorskip("datasets")
    path = _one(task_run.path, "lm_eval/*/samples_tiny_choice_*.jsonl")
    read = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path))
    assert len(read) == 24


def test_a_second_run_replaces_the_files(tiny_config, tmp_path):
    import competency_gaps

    source = {
        "kind": "objects",
        "items": [{"prompt": f"What is the sum of {i} and one?", "score": 1} for i in range(9)],
    }
    sae = {**tiny_config["sae"], "force": True}
    config = {**tiny_config, "sae": sae, "benchmarks": [{"name": "a/b", "source": source}]}
    once = competency_gaps.run(config, tmp_path / "run")
    before = sorted((once.path / "lm_eval").rglob("*"))
    again = competency_gaps.run(config, tmp_path / "run")
    assert sorted((again.path / "lm_eval").rglob("*")) == before
    assert len([path for path in before if path.is_file()]) == 2
