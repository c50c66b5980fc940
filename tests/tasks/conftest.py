"""Real evaluations by other harnesses on the tiny model, and the same by a run of ours."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from harness_tasks import write_tasks

LM_EVAL_TASKS = ("tiny_choice", "tiny_mutual", "tiny_exact", "tiny_generate", "tiny_blank", "tiny_whole")


def pytest_configure() -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def task_folder(tmp_path_factory) -> Path:
    """YAML tasks of lm-evaluation-harness with their data."""
    pytest.importorskip("lm_eval")
    return write_tasks(tmp_path_factory.mktemp("lm_eval_tasks"))


@pytest.fixture(scope="session")
def lm_eval_results(task_folder, model_folder):
    """What lm-evaluation-harness itself makes of its tasks, one by one: name -> its results with samples."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    lm = HFLM(pretrained=str(model_folder("llama")), dtype="float32", device="cpu", batch_size=8)
    manager = TaskManager(include_path=str(task_folder), include_defaults=False)
    return {
        name: simple_evaluate(model=lm, tasks=[name], task_manager=manager, bootstrap_iters=0, log_samples=True)
        for name in LM_EVAL_TASKS
    }


@pytest.fixture(scope="session")
def task_config(tiny_config, task_folder):
    """A configuration mapping of a run on all of these tasks."""
    source = {"kind": "task", "harness": "lm_eval", "include_path": str(task_folder)}
    return {
        **tiny_config,
        "benchmarks": [{"name": name, "source": {**source, "name": name}} for name in LM_EVAL_TASKS],
    }


@pytest.fixture(scope="session")
def task_run(tmp_path_factory, task_config):
    """A finished run of ours on them."""
    import competency_gaps

    return competency_gaps.run(task_config, tmp_path_factory.mktemp("task_runs") / "run")
