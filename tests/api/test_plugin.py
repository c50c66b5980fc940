"""A package that brings a source and a policy, installed as anybody would install it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import competency_gaps as cg
from competency_gaps.config import BenchmarkConfig, parse_config
from competency_gaps.errors import UserError
from competency_gaps.stages.assign import assign_policies
from competency_gaps.stages.load import load_benchmark
from core_helpers import ROOT

EXAMPLE = ROOT / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Runs Python with the example installed beside this environment's packages."""
    place = tmp_path_factory.mktemp("plugin")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*command, "--target", str(place), str(EXAMPLE)], check=True)

    def python(*arguments: str) -> str:
        code = f"import sys; sys.path.insert(0, {str(place)!r}); sys.argv = ['cgaps', *sys.argv[1:]]\n"
        done = subprocess.run(
            [sys.executable, "-c", code + arguments[0], *arguments[1:]], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return python


def test_the_example_is_short():
    assert len((EXAMPLE / "cgaps_roman.py").read_text().splitlines()) < 60


def test_doctor_lists_it_with_its_options(installed):
    facts = json.loads(installed("from competency_gaps.cli.app import main; main()", "doctor", "--json"))
    brought = {(one["kind"], one["name"]): one for one in facts["plugins"]}
    assert brought["sources", "roman_numerals"]["package"] == "cgaps-roman"
    assert any("max_new_tokens" in option for option in brought["policies", "first_number"]["options"])


def test_a_configuration_names_what_it_brings(installed):
    code = """
import json
from competency_gaps.config import BenchmarkConfig
from competency_gaps.items.policy import Output
from competency_gaps.stages.assign import assign_policies
from competency_gaps.stages.load import load_benchmark
benchmark = load_benchmark(BenchmarkConfig(name="roman", source={"kind": "roman_numerals", "start": 4, "size": 3}))
policy = assign_policies(benchmark, None, {"max_new_tokens": 5})[0]
print(json.dumps([[item.prompt, item.answer] for item in benchmark.items]))
print(policy.request(benchmark.items[0]).max_new_tokens)
print([policy.score(benchmark.items[0], Output(text=text)).value for text in ("It is 4.", "5", "four")])
"""
    items, tokens, scores = installed(code).splitlines()
    assert json.loads(items) == [["What number is IV?", "4"], ["What number is V?", "5"], ["What number is VI?", "6"]]
    assert (tokens, scores) == ("5", "[1.0, 0.0, None]")


def test_settings_are_checked_and_names_stay_unique():
    @cg.source("counted_up")
    def counted_up(size: int = 2):
        return (cg.Item(str(i), f"Count to {i}.", answer=str(i), policy="exact") for i in range(size))

    assert len(load_benchmark(BenchmarkConfig(name="b", source={"kind": "counted_up", "size": 5})).items) == 5
    for settings, said in (({"size": "many"}, "'size' = 'many'"), ({"siz": 3}, "'siz' = 3")):
        with pytest.raises(UserError, match=rf"benchmark 'b' \(counted_up\): .* refuses the setting {said}"):
            load_benchmark(BenchmarkConfig(name="b", source={"kind": "counted_up", **settings}))
    with pytest.raises(UserError, match="there are file, hub, log"):
        parse_config(BenchmarkConfig, {"name": "b", "source": {"kind": "nowhere"}}, "it")
    for taken in (lambda: cg.source("file"), lambda: cg.policy("exact"), lambda: cg.log("helm")):
        with pytest.raises(UserError, match="is taken"):
            taken()(object)


def test_a_registered_policy_scores(tmp_path):
    from dataclasses import dataclass

    @cg.policy("longer_than")
    @dataclass(frozen=True)
    class LongerThan(cg.Policy):
        name = "longer_than"
        length: int = 3

        def request(self, item):
            return cg.Generation(8)

        def score(self, item, output):
            return cg.Score(float(len(output.text) > self.length), output.text)

    benchmark = load_benchmark(
        BenchmarkConfig(name="b", source={"kind": "objects", "items": [{"id": "1", "prompt": "Say it."}]})
    )
    (policy,) = assign_policies(benchmark, "longer_than", {"length": 5})
    assert policy.score(benchmark.items[0], cg.Output(text="sixsix")).value == 1
    with pytest.raises(UserError, match="refuses the option 'length' = 'x'"):
        assign_policies(benchmark, "longer_than", {"length": "x"})
