"""Random small suites: a run stopped anywhere goes on to the same, and neither shards, batches, order nor who reads
matter."""

from __future__ import annotations

import json
import random
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from worker_helpers import RayHere

import competency_gaps
from competency_gaps.pipeline import extraction, on_ray
from competency_gaps.util.errors import UserError
from core_helpers import assert_same_run, objects

WORDS = ("fox", "dog", "city", "France", "March", "Paris", "sum", "word", "number", "reverse")
SHARD_ITEMS = 4
CLOSE = {"rtol": 2e-3, "atol": 2e-4}
"""Padding and batches change sums by rounding, and once in a while what is just active."""


def drawn(examples: int):
    """Settings: the same cases every time; a seed cannot be made smaller."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def suite(seed: int) -> list[dict]:
    """Two or three benchmarks of different scorers, with items of very different lengths, some equal or too long."""
    rng = random.Random(seed)
    made = []
    for number, scorer in enumerate(rng.sample(["choice", "imported", "contains", "none"], rng.choice((2, 3)))):
        items = []
        for i in range(rng.randint(3, 11)):
            text = " ".join(rng.choices(WORDS, k=rng.choice((5, 12, 30, 50)))) + f" {rng.randrange(12)}?"
            if rng.random() < 0.05:
                text *= 60
            more = {"imported": {"score": rng.choice((None, 0, 0.5, 1))}, "contains": {"answer": rng.choice(WORDS)}}
            more["choice"] = {"choices": rng.sample(WORDS, 3), "answer": rng.randrange(3)}
            items.append({"id": f"{number}-{i}", "prompt": text, **more.get(scorer, {})})
        options = {"contains": {"max_new_tokens": 3}, "choice": {"form": "cloze"}}.get(scorer, {})
        made.append({"name": f"b{number}", "scorer": scorer, "options": options, "items": items})
    return made


def audited(config: dict, benchmarks: list[dict], out: Path, shard_items: int = SHARD_ITEMS, **changed):
    """A run of a suite with shards of some items."""
    entries = [objects(**json.loads(json.dumps(one))) for one in benchmarks]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extraction, "SHARD_ITEMS", shard_items)
        patch.setattr(extraction, "GENERATED_ITEMS", shard_items)
        return competency_gaps.run({**config, "benchmarks": entries, **changed}, out)


def assert_alike(one, other) -> None:
    """Tables that say the same of each item, concept and benchmark, whatever their order."""
    keys = {"items": ["benchmark", "item_id"], "concepts": ["concept"], "benchmarks": ["benchmark"]}
    keys |= {"concept_benchmarks": ["benchmark", "concept"], "overlap": ["benchmark_a", "benchmark_b"]}
    for name, key in keys.items():
        a, b = (getattr(run, name).sort(key) for run in (one, other))
        assert a.select(key).equals(b.select(key)), name
        for column in a.columns:
            if a[column].dtype.is_float() and column not in ("p_value", "q_value"):
                x, y = (table[column].to_numpy().astype(float) for table in (a, b))
                np.testing.assert_allclose(x, y, **CLOSE, err_msg=f"{name}.{column}")
    for column in ("response", "excluded", "unscored", "n_tokens", "scorer", "answer", "body_start", "body_end"):
        a, b = (run.items.sort("benchmark", "item_id")[column] for run in (one, other))
        assert a.to_list() == b.to_list(), column
    assert clusters(one) == clusters(other)


def clusters(run) -> set[frozenset]:
    """Which items belong together."""
    together = run.items.group_by("cluster").agg(pl.struct("benchmark", "item_id").alias("members"))
    return {frozenset(tuple(member.values()) for member in members) for members in together["members"].to_list()}


@pytest.fixture(scope="module")
def config(tiny_config):
    return {**tiny_config, "sae": {**tiny_config["sae"], "gate_tokens": 256, "force": True}}


@pytest.fixture(scope="module")
def checked(config):
    """The SAE is checked on all: which concepts are alive must not depend on what lies in a sample."""
    return {**config, "sae": {**config["sae"], "gate_tokens": 100_000}}


@drawn(2)
@given(seed=st.integers(0, 2**32), shard=st.integers(1, 12), batch=st.sampled_from([16, 64, 300, 4096]))
def test_neither_shards_nor_batches_matter(checked, tmp_path_factory, seed, shard, batch):
    folder = tmp_path_factory.mktemp("sizes")
    plain = audited(checked, suite(seed), folder / "plain")
    assert_alike(plain, audited(checked, suite(seed), folder / "other", shard, batch_tokens=batch))


@drawn(2)
@given(seed=st.integers(0, 2**32), order=st.randoms(use_true_random=False))
def test_the_order_of_benchmarks_and_items_does_not_matter(checked, tmp_path_factory, seed, order):
    folder = tmp_path_factory.mktemp("order")
    benchmarks = suite(seed)
    plain = audited(checked, benchmarks, folder / "plain")
    mixed = [{**one, "items": order.sample(one["items"], len(one["items"]))} for one in benchmarks]
    order.shuffle(mixed)
    assert_alike(plain, audited(checked, mixed, folder / "other"))


class Stop(BaseException):
    """Ends a run as a signal would, whatever catches exceptions."""


class Moves:
    """Counts files that are put in place or removed, and stops before or after one of them."""

    def __init__(self, patch, at: int = -1, after: bool = False) -> None:
        self.count, self._at, self._after = 0, at, after
        for name in ("replace", "unlink"):
            patch.setattr(Path, name, self._counted(getattr(Path, name)))

    def _counted(self, original):
        def counted(*given, **options):
            number, self.count = self.count, self.count + 1
            if number == self._at and not self._after:
                raise Stop
            done = original(*given, **options)
            if number == self._at:
                raise Stop
            return done

        return counted


@pytest.fixture(scope="module")
def straight(config, tmp_path_factory):
    """By seed: a run that nothing stopped, and how many files it moved."""
    made = {}

    def make(seed: int):
        if seed not in made:
            with pytest.MonkeyPatch.context() as patch:
                moves = Moves(patch)
                run = audited(config, suite(seed), tmp_path_factory.mktemp("straight") / "run")
            made[seed] = run, moves.count
        return made[seed]

    return make


@drawn(4)
@given(seed=st.integers(0, 1), where=st.floats(0, 1, exclude_max=True), after=st.booleans())
def test_a_run_stopped_anywhere_ends_the_same(config, straight, tmp_path_factory, seed, where, after):
    whole, moves = straight(seed)
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        Moves(patch, int(where * moves), after)
        audited(config, suite(seed), folder)
    if not (folder / "manifest.json").is_file():
        with pytest.raises(UserError, match=r"unfinished|no manifest|does not exist"):
            competency_gaps.open_run(folder)
    assert_same_run(audited(config, suite(seed), folder), whole)
    assert {path.name for path in folder.iterdir()} == {path.name for path in whole.path.iterdir()}


def by_workers(config: dict, benchmarks: list[dict], folder: Path, workers: int):
    """A run that so many workers read."""
    return audited(config, benchmarks, folder, ray={"workers": workers, "threads": 1})


@drawn(4)
@given(
    seed=st.integers(0, 1),
    workers=st.integers(1, 3),
    deaths=st.integers(0, 2),
    where=st.none() | st.floats(0, 1, exclude_max=True),
    order=st.randoms(use_true_random=False),
)
def test_any_number_of_workers_is_the_run(config, straight, tmp_path_factory, seed, workers, deaths, where, order):
    """Whichever answers first, whichever dies, and whatever this process had read before it was stopped."""
    whole, moves = straight(seed)
    folder, here = tmp_path_factory.mktemp("workers") / "run", RayHere(order, deaths)
    if where is not None:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
            Moves(patch, int(where * moves))
            audited(config, suite(seed), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_ray, "cluster", lambda settings: nullcontext(here))
        made = by_workers(config, suite(seed), folder, workers)
    assert where is not None or here.started, "not all lies in the sample"
    assert_same_run(made, whole)
    assert {path.name for path in folder.iterdir()} == {path.name for path in whole.path.iterdir()}
    assert not list(folder.rglob(".*draft*"))
