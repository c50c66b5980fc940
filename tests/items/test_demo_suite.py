"""The demo's suite: written items, all different, whose answers cannot be read off the options."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from competency_gaps.api.make import demo_config
from competency_gaps.embedded import BENCHMARKS
from competency_gaps.pipeline.load import load_suite
from competency_gaps.util.progress import Progress


@pytest.fixture(scope="module")
def suite():
    return load_suite(demo_config().benchmarks, Progress(quiet=True))


def test_the_demo_asks_every_embedded_benchmark(suite):
    assert {f"embedded:{name}" for name in suite} == set(BENCHMARKS) and len(suite) >= 10
    assert not any(benchmark.left_out for benchmark in suite.values())


def test_no_two_items_begin_alike(suite):
    prompts = [" ".join(item.prompt.casefold().split()[:5]) for one in suite.values() for item in one.items]
    repeated = [start for start, count in Counter(prompts).items() if count > 1]
    assert len(prompts) > 2000 and len(repeated) < 0.01 * len(prompts), repeated
    whole = [" ".join(item.prompt.casefold().split()) for one in suite.values() for item in one.items]
    assert len(set(whole)) == len(whole)


def test_each_item_has_four_different_options_and_a_subtopic(suite):
    for benchmark in suite.values():
        for item in benchmark.items:
            assert len(set(item.choices)) == 4 and item.group, item.id
            assert 15 <= len(item.prompt.split()) <= 90 and item.prompt.isascii(), item.id


def test_right_options_have_no_telling_place_or_length(suite):
    for name, benchmark in suite.items():
        answers = np.array([item.answer for item in benchmark.items])
        share = np.bincount(answers, minlength=4) / len(answers)
        assert np.abs(share - 0.25).max() < 0.08, (name, share)
        right = np.array([len(item.choices[item.answer]) for item in benchmark.items])
        mean = np.array([np.mean([len(choice) for choice in item.choices]) for item in benchmark.items])
        assert abs(right.mean() / mean.mean() - 1) < 0.1, name
