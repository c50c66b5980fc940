"""The demo's suite, as the recipe makes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from competency_gaps.demo import demo_config
from competency_gaps.embedded import DEMO_CONFIG
from competency_gaps.progress import Progress
from competency_gaps.stages.load import load_suite

RECIPE = Path(__file__).parents[2] / "recipes" / "demo_suite.py"

pytestmark = pytest.mark.slow


def test_the_recipe_makes_the_suite(tmp_path):
    made = tmp_path / "demo.yaml"
    subprocess.run([sys.executable, str(RECIPE), str(made)], check=True)
    assert made.read_text(encoding="utf-8") == DEMO_CONFIG.read_text(encoding="utf-8")


def test_no_two_items_are_equal_and_few_are_alike():
    config = demo_config()
    suite = load_suite(config.benchmarks, Progress(quiet=True))
    prompts = [" ".join(item.prompt.split()).casefold() for one in suite.values() for item in one.items]
    assert len(set(prompts)) == len(prompts)
    for choice in config.benchmarks:
        items = suite[choice.name].items
        assert len(items) == choice.source.size and suite[choice.name].left_out == ()
        # The same characters in another order and the same answer: shuffles, and sums written the other way round.
        contents = {("".join(sorted(item.prompt.casefold())), item.choices[item.answer]) for item in items}
        assert len(contents) > 0.9 * len(items)
        # None of the examples is an item.
        assert not any(item.prompt in choice.before for item in items)
