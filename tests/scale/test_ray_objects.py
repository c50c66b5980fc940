"""Nothing large goes through Ray's object store: a run needs none of it, however small and full it is."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

import competency_gaps as cg
from competency_gaps.errors import MachineError
from competency_gaps.stages import on_ray
from core_helpers import assert_same_run

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'competency-gaps[ray]'")
pytestmark = pytest.mark.timeout(1500)

SMALLEST = 75 * 2**20
"""Bytes of the smallest object store that Ray takes."""
BESIDE = 100_000
"""Bytes up to which Ray sends what is given and returned from process to process, beside the store."""


class Scales:
    """Ray, and the length of all that the driver gives to workers and takes from them."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.taken: list[int] = []

    def __getattr__(self, name):
        return getattr(ray, name)

    def put(self, value):
        self.given.append(length(value))
        return ray.put(value)

    def get(self, answer):
        value = ray.get(answer)
        self.taken.append(length(value))
        return value

    def remote(self, kind):
        return Weighed(ray.remote(kind), self.given)

    def kill(self, worker):
        ray.kill(worker.inner)


class Weighed:
    """A class of workers, a worker or a method of it, whose arguments are weighed."""

    def __init__(self, inner, given) -> None:
        self.inner, self._given = inner, given

    def options(self, **options):
        return Weighed(self.inner.options(**options), self._given)

    def remote(self, *arguments):
        self._given.append(length(arguments))
        made = self.inner.remote(*arguments)
        return made if isinstance(made, ray.ObjectRef) else Weighed(made, self._given)

    def __getattr__(self, name):
        return Weighed(getattr(self.inner, name), self._given)


def length(value) -> int:
    return len(ray.cloudpickle.dumps(value))


@pytest.fixture(scope="module")
def config(tiny_config, tmp_path_factory):
    """A model that is larger than the store: the tiny one, with many tokens that its tokenizer does not have."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = tiny_config["model"]["name"]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(place), AutoTokenizer.from_pretrained(place)
    torch.manual_seed(0)
    model.resize_token_embeddings(650_000, mean_resizing=False)
    folder = tmp_path_factory.mktemp("large")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    assert sum(file.stat().st_size for file in folder.glob("*.safetensors")) > SMALLEST
    items = [{"id": f"g{i}", "prompt": f"The fox number {i}.", "score": i % 2} for i in range(600)]
    return {
        **tiny_config,
        "model": {"name": str(folder), "dtype": "float32"},
        "sae": {**tiny_config["sae"], "force": True},
        "batch_tokens": 1024,
        "benchmarks": [{"name": "given", "source": {"kind": "objects", "items": items}, "policy": "imported"}],
    }


@pytest.fixture(scope="module")
def small_store():
    """A cluster with the smallest store."""
    with on_ray.cluster(cg.RayWorkers(workers=1, threads=1)) as started:
        resources = started.nodes()[0]["Resources"]
        assert resources["object_store_memory"] == SMALLEST
        yield started


@pytest.fixture
def scales(monkeypatch):
    weighed = Scales()

    @contextmanager
    def joined(settings):
        yield weighed

    monkeypatch.setattr(on_ray, "cluster", joined)
    return weighed


@pytest.mark.parametrize("stored", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_with_a_model_larger_than_the_store_and_the_store_full(small_store, scales, config, tmp_path, stored):
    """What is looked at stays in the store: Ray neither moves nor drops it."""
    held = [small_store.put(np.zeros(2**23, np.uint8)) for _ in range(8)]
    views = [small_store.get(reference) for reference in held]
    assert sum(view.nbytes for view in views) > 0.85 * SMALLEST and not any(view.flags.owndata for view in views)
    store = f"file://{tmp_path}/store" if stored else None
    made = cg.run(config, tmp_path / "ray", workers=cg.RayWorkers(workers=1, threads=1), store=store)
    assert_same_run(made, cg.run(config, tmp_path / "here"))
    assert len(scales.taken) >= 4, "a worker is ready, and three shards are read"
    # The exception: who sees no run folder is sent the configuration, which here holds all items, once for all.
    if stored:
        settings = max(scales.given)
        assert settings > 20_000
        scales.given.remove(settings)
    assert max(scales.given + scales.taken) < 5_000 < BESIDE
    assert sum(scales.given + scales.taken) < 20_000


def test_a_store_that_is_too_small_is_refused_before_the_model_is_loaded(tiny_config, tmp_path, monkeypatch):
    if ray.is_initialized():
        ray.shutdown()
    monkeypatch.setattr(on_ray, "_OBJECT_STORE", SMALLEST - 1)
    monkeypatch.setattr(on_ray, "fit", None)
    with pytest.raises(MachineError, match=r"Ray does not start on this machine: .*object store memory .*78643199"):
        cg.run(tiny_config, tmp_path / "run", workers=cg.RayWorkers(workers=1, threads=1))
    assert not ray.is_initialized()
