"""The embedded model, 200 items, real harnesses: equal scores, and the same audit from a log as from the task."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

import competency_gaps
from competency_gaps.embedded import embedded_model
from competency_gaps.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ITEMS = 200
MODEL = "embedded:smollm2-135m-instruct"

TASK = """\
task: sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
output_type: multiple_choice
test_split: test
num_fewshot: 0
doc_to_text: "{{{{question}}}}\\nAnswer:"
doc_to_choice: options
doc_to_target: gold
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""

INSPECT = """\
from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset, FieldSpec
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
from inspect_ai.model import GenerateConfig


@task
def sums():
    fields = FieldSpec(input="question", target="answer")
    dataset = json_dataset({data!r}, fields)
    return Task(dataset=dataset, solver=generate(), scorer=includes(), config=GenerateConfig(max_tokens=20))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sums that a small model gets right about half of the time, as an lm-eval task and as an Inspect task."""
    folder = tmp_path_factory.mktemp("embedded")
    rng = random.Random(0)
    rows = []
    for _ in range(ITEMS):
        a, b = rng.randint(1, 60), rng.randint(1, 60)
        options = [a + b, a + b + 1, a + b + 10, abs(a - b) + 200]
        rng.shuffle(options)
        question = f"What is {a} plus {b}?"
        rows.append(
            {
                "question": question,
                "options": [str(one) for one in options],
                "gold": options.index(a + b),
                "answer": str(a + b),
            }
        )
    data = folder / "sums.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "sums.yaml").write_text(TASK.format(data=data))
    (folder / "sums.py").write_text(INSPECT.format(data=str(data)))
    return folder


def config(**benchmark):
    """A run's settings. The check of the SAE refuses sums: they are alike, and shorter than the stretches it knows."""
    return {
        "model": {"name": MODEL, "dtype": "float32"},
        "sae": {"folder": "embedded:smollm2-135m-instruct-l15-8k", "gate_tokens": 1024, "force": True},
        "benchmarks": [{"name": "sums", **benchmark}],
    }


def _need_the_model():
    try:
        embedded_model(MODEL)
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def task_run(folder, tmp_path_factory):
    pytest.importorskip("lm_eval")
    _need_the_model()
    source = {"kind": "task", "harness": "lm_eval", "name": "sums", "include_path": str(folder)}
    return competency_gaps.run(config(source=source), tmp_path_factory.mktemp("run") / "task")


def test_lm_eval_and_its_log(folder, task_run, tmp_path):
    """Equal to the last digit; and the run from lm-eval's own log has the chi tables of the run of its task."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from competency_gaps.config import ModelConfig
    from competency_gaps.model.load import load_model

    ours = load_model(ModelConfig(name=MODEL, dtype="float32"))
    tracker = EvaluationTracker(output_path=str(tmp_path / "out"))
    found = simple_evaluate(
        model=HFLM(pretrained=ours.model, tokenizer=ours.tokenizer, batch_size=16),
        tasks=["sums"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        bootstrap_iters=0,
        log_samples=True,
        evaluation_tracker=tracker,
    )
    samples = found["samples"]["sums"]
    tracker.save_results_aggregated(results={**found, "samples": None}, samples=found["samples"])
    tracker.save_results_samples(task_name="sums", samples=samples)
    items = {row["item_id"]: row for row in task_run.items.iter_rows(named=True)}
    assert len(samples) == len(items) == ITEMS
    for sample in samples:
        item = items[str(sample["doc_id"])]
        metrics = json.loads(item["details"])["metrics"]["none"]
        assert item["score"] == sample["acc"] and metrics["acc_norm"] == sample["acc_norm"]
        likelihoods = [float(one[0][0]) for one in sample["resps"]]
        assert item["logprobs"] == pytest.approx(likelihoods, abs=1e-3)
    assert task_run.benchmarks["mean_score"][0] == found["results"]["sums"]["acc,none"]
    assert 0.1 < task_run.benchmarks["mean_score"][0] < 0.95

    log_run = competency_gaps.run(config(source={"kind": "log", "path": str(tmp_path / "out")}), tmp_path / "log")
    assert log_run.items["score"].to_list() == task_run.items["score"].to_list()
    assert log_run.items["text"].to_list() == task_run.items["text"].to_list()
    for column in ("chi_bench", "chi_model", "n_eff", "gap"):
        a, b = (run.concepts[column].fill_null(np.nan).to_numpy() for run in (task_run, log_run))
        assert np.array_equal(np.isnan(a), np.isnan(b)), column
        assert np.allclose(a, b, rtol=2e-3, atol=1e-4, equal_nan=True), column


def test_inspect(folder, tmp_path):
    """The score in the run is the one in Inspect's results."""
    pytest.importorskip("inspect_ai")
    _need_the_model()
    from inspect_ai.log import read_eval_log

    source = {"kind": "task", "harness": "inspect", "name": f"{folder / 'sums.py'}@sums"}
    run = competency_gaps.run(config(source=source), tmp_path / "run")
    (log,) = [read_eval_log(str(path)) for path in (run.path / "harness").rglob("*.eval")]
    reported = log.results.scores[0].metrics["accuracy"].value
    assert run.items.height == ITEMS and run.items["score"].null_count() == 0
    assert run.benchmarks["mean_score"][0] == pytest.approx(reported, abs=1e-12)
    assert 0.05 < reported < 1
