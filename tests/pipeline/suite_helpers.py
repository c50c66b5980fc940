"""A small suite of several shards, and what must not be read again."""

from __future__ import annotations

import pytest

import competency_gaps as cg
from competency_gaps.pipeline import extraction
from competency_gaps.pipeline.extraction import ShardReader
from core_helpers import with_benchmarks


def make_small(patch: pytest.MonkeyPatch) -> None:
    """Cut benchmarks into shards of eight items."""
    for name in ("SHARD_ITEMS", "GENERATED_ITEMS"):
        patch.setattr(extraction, name, 8)


def with_answers(tiny_config: dict, *benchmarks: dict) -> dict:
    """A configuration of some benchmarks, and of ten items with sampled answers that are not scored."""
    *_, sums = tiny_config["benchmarks"]
    told = {**sums, "name": "told", "scorer": "none", "options": {"max_new_tokens": 4}, "sample": 10}
    config = with_benchmarks(tiny_config, [*benchmarks, told], generation={"temperature": 0.9})
    return {**config, "sae": {**config["sae"], "gate_tokens": 256}}


def run_small(config: dict, folder) -> cg.Run:
    """A run in such shards."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        return cg.run(config, folder)


def never(*arguments, **options):
    """In place of what reads."""
    raise AssertionError("nothing is read again")


def only_the_sample(reader, plan, shard, advance, read=ShardReader.read):
    """In place of what reads shards, in a folder in which the SAE is not checked yet."""
    return read(reader, plan, shard, advance) if shard.sampled else never()
