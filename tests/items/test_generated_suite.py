"""The generated suite, as the recipe makes it."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from competency_gaps.items.config import RunConfig, parse_config, read_yaml
from competency_gaps.pipeline.load import load_suite
from competency_gaps.util.progress import Progress

RECIPE = Path(__file__).parents[2] / "recipes" / "generated_suite.py"


@pytest.fixture(scope="module")
def make_options():
    return runpy.run_path(str(RECIPE))["make_options"]


@pytest.mark.slow
def test_no_two_items_are_equal_and_few_are_alike(tmp_path):
    subprocess.run([sys.executable, str(RECIPE), str(tmp_path)], check=True)
    config = parse_config(RunConfig, read_yaml(tmp_path / "suite.yaml"), "test")
    suite = load_suite(config.benchmarks, Progress(quiet=True))
    prompts = [" ".join(item.prompt.split()).casefold() for one in suite.values() for item in one.items]
    assert len(suite) == 12 and len(prompts) == 2_710 and len(set(prompts)) == len(prompts)
    for choice in config.benchmarks:
        items = suite[choice.name].items
        # The same characters in another order and the same answer: shuffles, and sums written the other way round.
        contents = {("".join(sorted(item.prompt.casefold())), item.choices[item.answer]) for item in items}
        assert len(contents) > 0.9 * len(items)
        # None of the examples is an item.
        assert not any(item.prompt in choice.before for item in items)


def test_the_golds_rank_among_near_numbers_cannot_be_guessed(make_options):
    golds = [str(number) for number in range(100, 500)]
    made = make_options(golds, options=4, rule="near_numbers", seed=1, wrong=lambda task, text: True)
    ranks = Counter(sorted(map(int, one.choices)).index(int(one.choices[one.answer])) for one in made)
    assert ranks == dict.fromkeys(range(4), 100)
    # Nor does the sign, where negative answers occur.
    mixed = make_options(
        [str(number - 3) for number in range(7)] * 40,
        options=4,
        rule="near_numbers",
        seed=1,
        wrong=lambda task, text: True,
    )
    assert any(int(one.choices[one.answer]) >= 0 and any(choice[0] == "-" for choice in one.choices) for one in mixed)


@pytest.mark.parametrize("rule", ["answers", "similar_answers", "near_numbers"])
def test_options_hold(rule, make_options):
    golds = [str(i * 7 % 50) for i in range(60)]
    made = make_options(golds, options=5, rule=rule, seed=1, wrong=lambda task, text: True)
    assert made == make_options(golds, options=5, rule=rule, seed=1, wrong=lambda task, text: True)
    assert made != make_options(golds, options=5, rule=rule, seed=2, wrong=lambda task, text: True)
    for gold, options in zip(golds, made, strict=True):
        assert options.choices[options.answer] == gold
        assert len(set(options.choices)) == 5
    assert Counter(options.answer for options in made) == dict.fromkeys(range(5), 12)
