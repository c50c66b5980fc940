"""Logs that lm-eval, Inspect and garak wrote: recorded ones by default, and (slow) those that they write now."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
from garak_log_helpers import PROBES, run_garak
from lm_eval_logs import evaluate, write_tasks

HERE = Path(__file__).parent


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
