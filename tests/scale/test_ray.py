"""Workers of Ray make the same run, whoever dies meanwhile."""

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
from types import SimpleNamespace

import pytest
from rich.console import Console

import competency_gaps as cg
from competency_gaps.errors import UserError
from competency_gaps.progress import Progress
from competency_gaps.sae.load import load_pair
from competency_gaps.stages import pipeline
from competency_gaps.stages.on_ray import Pool, _release, cluster
from competency_gaps.stages.ray_worker import SETTINGS
from core_helpers import ROOT, assert_same_run

pytest.importorskip("ray", reason="Ray is not installed: pip install 'competency-gaps[ray]'")
pytestmark = pytest.mark.timeout(1500)


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


def objects(name: str, items: list[dict], policy: str, **settings) -> dict:
    return {"name": name, "source": {"kind": "objects", "items": items}, "policy": policy, **settings}


@pytest.fixture(scope="module")
def straight(config, tmp_path_factory):
    return cg.run(config, tmp_path_factory.mktemp("straight") / "run")


def test_the_number_of_workers_changes_nothing(ray, config, straight, tmp_path, monkeypatch):
    # On a busy machine, the first worker may read all before the second has loaded.
    give = Pool._give
    monkeypatch.setattr(Pool, "_give", lambda pool: None if pool.loading else give(pool))
    for workers in (1, 2):
        said = io.StringIO()
        made = cg.run(
            config,
            tmp_path / str(workers),
            workers=cg.RayWorkers(workers=workers, threads=1),
            progress=Progress(Console(file=said)),
        )
        assert said.getvalue().count("a worker reads") == workers
        assert_same_run(made, straight)
        assert not list(made.path.rglob(".*draft*")) and not (made.path / SETTINGS).exists()


def test_the_number_of_parameters_is_known_when_the_weights_are_freed(tiny_config):
    pair = load_pair(*(getattr(cg.api.make.read_config(tiny_config), key) for key in ("model", "sae")))
    expected = sum(parameter.numel() for parameter in pair.lm.model.parameters())
    _release(SimpleNamespace(lm=pair.lm, sae=pair.sae))
    assert pair.lm.parameters == expected > 0
    assert not any(parameter.numel() for parameter in pair.lm.model.parameters())


def test_a_cluster_that_is_not_there_is_an_error_before_the_model_is_loaded(ray, config, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "set_up", None)
    for workers in (cg.RayWorkers(workers=99), cg.RayWorkers(address="127.0.0.1:1")):
        with pytest.raises(UserError, match=r"room for|connected to the Ray cluster"):
            cg.run(config, tmp_path / "run", workers=workers)


def test_the_shard_of_a_killed_worker_goes_to_another(ray, config, straight, tmp_path, monkeypatch):
    said, killed = io.StringIO(), []
    give = Pool._give

    def kills(pool):
        give(pool)
        if pool.done and pool.running and not killed:
            killed.append(int(re.findall(r"process (\d+) on", said.getvalue())[0]))
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(Pool, "_give", kills)
    progress = Progress(Console(file=said))
    made = cg.run(config, tmp_path / "run", workers=cg.RayWorkers(workers=1, threads=1), progress=progress)
    assert killed and "a worker failed on shard" in said.getvalue()
    assert_same_run(made, straight)


DRIVER = """
import json, sys
import competency_gaps as cg
cg.run(json.loads(sys.argv[1]), sys.argv[2], workers=cg.RayWorkers(address=sys.argv[3], workers=1, threads=1))
"""


def test_a_killed_driver_goes_on(ray, config, straight, tmp_path):
    folder, address = tmp_path / "run", ray.get_runtime_context().gcs_address
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, json.dumps(config), str(folder), address],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])},
    )
    try:
        until = time.monotonic() + 600
        while not list((folder / "responses").glob("*.json")):
            assert driver.poll() is None and time.monotonic() < until
            time.sleep(0.01)
    finally:
        driver.kill()
        driver.wait()
    kept = {path: path.stat().st_mtime_ns for path in (folder / "responses").glob("*.json")}
    assert not (folder / "manifest.json").exists()
    made = cg.run(config, folder, workers=cg.RayWorkers(workers=1, threads=1))
    assert_same_run(made, straight)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "what was finished is not read again"
    assert not list(folder.rglob(".*draft*"))


def test_an_item_with_nan_is_excluded_alone(ray, tiny_config, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = tiny_config["model"]["name"]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(place), AutoTokenizer.from_pretrained(place)
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer("§")["input_ids"][-1]] = float("nan")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    items = [{"id": f"{i}", "prompt": f"A fox {i}{'§' * (i == 7)}", "score": i % 2} for i in range(40)]
    config = {
        **tiny_config,
        "model": {"name": str(tmp_path / "model"), "dtype": "float32"},
        "sae": {**tiny_config["sae"], "force": True},
        "benchmarks": [objects("given", items, "imported")],
    }
    made = cg.run(config, tmp_path / "ray", workers=cg.RayWorkers(workers=1, threads=1))
    assert [str(i) for i, why in enumerate(made.items["excluded"]) if why is not None] == ["7"]
    assert_same_run(made, cg.run(config, tmp_path / "here"))


def test_a_worker_that_would_read_another_run_is_refused(ray, config, tmp_path, monkeypatch):
    from competency_gaps.stages import on_ray

    other = shutil.copytree(config["model"]["name"], tmp_path / "model")
    sent = {**config, "model": {**config["model"], "name": str(other), "max_length": 200}}
    monkeypatch.setattr(on_ray, "as_dict", lambda _: cg.api.make.read_config(sent).model_dump(mode="json"))
    with pytest.raises(
        UserError, match=r"would read another run .* differ in model.max_length \(200 and nothing\), model.name \("
    ):
        cg.run(config, tmp_path / "run", workers=cg.RayWorkers(workers=1, threads=1))


def test_workers_that_do_not_fit_are_refused(ray, config, tmp_path):
    with pytest.raises(UserError, match="the cluster has room for"):
        cg.run(config, tmp_path / "run", workers=cg.RayWorkers(workers=2, gpus_per_worker=1))
