"""Logs that lm-eval, Inspect and garak wrote: recorded ones by default, and (slow) those that they write now."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
from lm_eval_logs import evaluate, write_tasks

from log_samples import PROBES

HERE = Path(__file__).parent


def run_garak(folder: Path, name: str, *options: str) -> Path:
    """Run garak on the local model; nothing is written or read outside ``folder``, and no network is used."""
    config = folder / "garak.yaml"
    config.write_text("run:\n  system_prompt: You are careful.\n  generations: 3\n")
    homes = {f"XDG_{kind}_HOME": str(folder / "home") for kind in ("DATA", "CACHE", "CONFIG")}
    environment = {**os.environ, **homes, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(HERE)}
    command = [sys.executable, "-m", "garak", "--config", str(config), "--report_prefix", str(folder / name)]
    command += ["--target_type", "function", "--target_name", "garak_model#answer", *options]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder / f"{name}.report.jsonl"


def record(folder: Path, model: Path) -> None:
    """Run the installed tools on small local tasks; without a network."""
    shutil.copytree(model, folder / "org" / "tiny")
    tasks = write_tasks(folder / "lm_eval" / "tasks")
    with chdir(folder):
        evaluate("org/tiny", tasks, ["quiz", "sums"], folder / "lm_eval" / "plain")
        evaluate("org/tiny", tasks, ["quiz"], folder / "lm_eval" / "chat", chat=True, fewshot_as_multiturn=True)
        evaluate("org/tiny", tasks, ["rolling"], folder / "lm_eval" / "rolling")
    homes = {f"XDG_{name}_HOME": str(folder / "home") for name in ("DATA", "CACHE", "CONFIG")}
    program = [sys.executable, str(HERE / "inspect_log_tasks.py"), str(folder / "inspect")]
    subprocess.run(program, env={**os.environ, **homes}, check=True, timeout=120)
    (folder / "garak").mkdir()
    run_garak(folder / "garak", "run", "--spec", ",".join(f"probes.{probe}" for probe in PROBES))
    drawn = ("--spec", "probes.test.Test", "--detectors", "always.Random,always.Pass", "--eval_threshold", "0.3")
    run_garak(folder / "garak", "drawn", *drawn)


@pytest.fixture(scope="session", params=["recorded", pytest.param("live", marks=pytest.mark.slow)])
def tools(request, tmp_path_factory) -> Path:
    """Folder with the logs of each tool in a folder of its name."""
    if request.param == "recorded":
        return HERE / "recorded"
    for package in ("lm_eval", "inspect_ai", "garak"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("tools")
    record(folder, request.getfixturevalue("model_folder")("llama"))
    return folder
