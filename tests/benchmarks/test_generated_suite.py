"""The generated suite, as the recipe makes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from competency_gaps.config import RunConfig, parse_config, read_yaml
from competency_gaps.progress import Progress
from competency_gaps.stages.load import load_suite

ROOT = Path(__file__).parents[2]
SUITE = ROOT / "configs" / "generated.yaml"

pytestmark = pytest.mark.slow


def test_the_recipe_makes_the_suite(tmp_path):
    made = tmp_path / "generated.yaml"
    subprocess.run([sys.executable, str(ROOT / "recipes" / "generated_suite.py"), str(made)], check=True)
    assert made.read_text(encoding="utf-8") == SUITE.read_text(encoding="utf-8")


def test_no_two_items_are_equal_and_few_are_alike():
    config = parse_config(RunConfig, read_yaml(SUITE), "test")
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
