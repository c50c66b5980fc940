"""Workers of Ray that share only a store with the driver make the same run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from store_helpers import contents

import competency_gaps as cg
from competency_gaps.errors import UserError
from competency_gaps.progress import Progress
from competency_gaps.stages.on_ray import cluster
from core_helpers import assert_same_run

pytest.importorskip("ray", reason="Ray is not installed: pip install 'competency-gaps[ray]'")
pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def ray(s3_client):
    """A cluster whose workers know the server, as they take the environment of the driver."""
    with cluster(cg.RayWorkers(workers=2, threads=1)) as started:
        yield started


@pytest.fixture(scope="module")
def config(tiny_config):
    """Three shards of the usual size, with sampled answers."""
    items = [{"id": f"t{i}", "prompt": f"Compute the sum of {i} and {i * 7 % 10}."} for i in range(170)]
    asked = {"kind": "objects", "items": items}
    return {
        **tiny_config,
        "sae": {**tiny_config["sae"], "force": True},  # a sample of few items is too small for it
        "batch_tokens": 1024,
        "generation": {"temperature": 0.9},
        "benchmarks": [{"name": "sums", "source": asked, "policy": "none", "options": {"max_new_tokens": 4}}],
    }


def test_workers_put_shards_into_the_store_and_the_driver_takes_them(ray, config, s3_address, tmp_path):
    straight = cg.run(config, tmp_path / "straight")
    spoken = io.StringIO()
    made = cg.run(
        config,
        tmp_path / "ray",
        workers=cg.RayWorkers(workers=2, threads=1),
        store=s3_address,
        progress=Progress(Console(file=spoken)),
    )
    assert "a worker reads" in spoken.getvalue()
    assert_same_run(made, straight)
    held = contents(s3_address)
    assert (
        sorted(name.split("/")[0] for name in held)
        == ["activations"] * 3 + ["plan.json"] + ["responses"] * 3 + ["shards"] * 3
    )
    assert not list(tmp_path.rglob(".*draft*"))


def test_a_store_that_workers_do_not_share_is_refused(ray, config, tmp_path):
    with pytest.raises(UserError, match="there is no run in memory://run"):
        cg.run(config, tmp_path / "run", workers=cg.RayWorkers(workers=1, threads=1), store="memory://run")
