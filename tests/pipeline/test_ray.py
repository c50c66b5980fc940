"""Ray's own workers make the same run, whoever dies meanwhile."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

import competency_gaps as cg
from competency_gaps.api.make import read_config
from competency_gaps.pipeline import on_ray
from competency_gaps.pipeline.on_ray import Pool, cluster
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress
from core_helpers import ROOT, assert_same_run, objects

pytest.importorskip("ray", reason="Ray is not installed: pip install 'competency-gaps[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

ONE = {"workers": 1, "threads": 1}


@pytest.fixture(scope="module")
def ray():
    """A cluster on this machine for all tests, since it takes long to start."""
    with cluster(cg.RayWorkers(workers=2, threads=1)) as started:
        yield started


@pytest.fixture(scope="module")
def config(tiny_config):
    """Five shards of the usual size."""
    told = [{"id": f"t{i}", "prompt": f"Compute the sum of {i} and {i * 7 % 10}."} for i in range(170)]
    given = [{"id": f"g{i}", "prompt": f"The fox number {i}.", "score": i % 2} for i in range(300)]
    return {
        **tiny_config,
        "batch_tokens": 1024,
        "generation": {"temperature": 0.9},
        "benchmarks": [
            objects("told", told, "none", options={"max_new_tokens": 4}),
            objects("given", given, "imported"),
        ],
    }


@pytest.fixture(scope="module")
def straight(config, tmp_path_factory):
    return cg.run(config, tmp_path_factory.mktemp("straight") / "run")


@pytest.mark.parametrize("store", [False, True])
def test_workers_make_the_run_of_one_process(ray, config, straight, tmp_path, store):
    address = f"file://{tmp_path}/store" if store else None
    made = cg.run({**config, "ray": {**ONE, "workers": 2}}, tmp_path / "run", store=address)
    assert_same_run(made, straight)
    assert not list(made.path.rglob(".*draft*"))


def test_the_shard_of_a_killed_worker_goes_to_another(ray, config, straight, tmp_path, monkeypatch):
    lines, killed = io.StringIO(), []
    take = Pool._take

    def kills(pool, answer):
        take(pool, answer)
        if pool.done and not killed:
            killed.append(int(re.findall(r"process (\d+) on", lines.getvalue())[0]))
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(Pool, "_take", kills)
    progress = Progress(Console(file=lines))
    made = cg.run({**config, "ray": ONE}, tmp_path / "run", progress=progress)
    assert killed and "a worker failed on shard" in lines.getvalue()
    assert_same_run(made, straight)


DRIVER = """
import json, sys
import competency_gaps as cg
cg.run({**json.loads(sys.argv[1]), "ray": {"address": sys.argv[3], "workers": 1, "threads": 1}}, sys.argv[2])
"""


def test_a_killed_driver_goes_on(ray, config, straight, tmp_path):
    folder, address = tmp_path / "run", ray.get_runtime_context().gcs_address
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, json.dumps(config), str(folder), address],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])},
    )
    try:
        until = time.monotonic() + 600
        # What the gate reads counts once the gate has passed.
        while not (folder / "gate.json").exists() or len(list((folder / "responses").glob("*.json"))) < 3:
            assert driver.poll() is None and time.monotonic() < until
            time.sleep(0.01)
    finally:
        driver.kill()
        driver.wait()
    kept = {path: path.stat().st_mtime_ns for path in (folder / "responses").glob("*.json")}
    assert not (folder / "manifest.json").exists()
    made = cg.run({**config, "ray": ONE}, folder)
    assert_same_run(made, straight)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "what was finished is not read again"


def test_a_worker_that_would_read_another_run_is_refused(ray, config, tmp_path, monkeypatch):
    other = shutil.copytree(config["model"]["name"], tmp_path / "model")
    sent = {**config, "model": {**config["model"], "name": str(other), "max_length": 200}}
    monkeypatch.setattr(on_ray, "as_dict", lambda _: read_config(sent).model_dump(mode="json"))
    with pytest.raises(UserError, match=r"a different run .* differ in model.max_length \(200 and nothing\)"):
        cg.run({**config, "ray": ONE}, tmp_path / "run")
