"""A package that brings a source and a policy, installed as anybody would install it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

import competency_gaps as cg
from competency_gaps.config import BenchmarkConfig, parse_config
from competency_gaps.errors import UserError
from competency_gaps.registry import POLICIES, REGISTRIES
from competency_gaps.stages.items import why_unscored
from competency_gaps.stages.load import assign_policies, load_benchmark
from core_helpers import ROOT

EXAMPLE = ROOT / "examples" / "plugin"


@pytest.fixture(autouse=True)
def forgotten():
    """What a test registers is there for that test alone."""
    yield
    for registry in REGISTRIES:
        for name, package in registry.added().items():
            if package == "this program":
                registry.forget(name)


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


def test_a_policy_gives_its_reason_as_one():
    given = cg.Score(None, unscored=cg.Reason("other", "no number"))
    assert why_unscored(given) == {"code": "other", "text": "no number", "numbers": []}
    with pytest.raises(UserError, match=r"expected a Reason, found 'no number'"):
        why_unscored(given._replace(unscored="no number"))


def test_the_example_is_short():
    assert len((EXAMPLE / "cgaps_roman.py").read_text().splitlines()) < 60


def test_doctor_lists_it(installed):
    facts = json.loads(installed("from competency_gaps.cli.app import main; main()", "doctor", "--json"))
    brought = {(one["kind"], one["name"]): one for one in facts["plugins"]}
    assert brought["sources", "roman_numerals"]["package"] == "cgaps-roman"
    assert ("policies", "first_number") in brought


def test_a_configuration_names_what_it_brings(installed):
    code = """
import json
from competency_gaps.config import BenchmarkConfig
from competency_gaps.items.policy import Output
from competency_gaps.registry import POLICIES, REGISTRIES
from competency_gaps.stages.load import assign_policies
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
    for settings, message in (
        ({"size": "many"}, "failed: ValidationError: (?s:.*)size\n.*valid integer"),
        ({"siz": 3}, "failed: ValidationError: (?s:.*)siz\n.*Unexpected keyword"),
    ):
        with pytest.raises(UserError, match=rf"benchmark 'b' \(counted_up\): the source 'counted_up' {message}"):
            load_benchmark(BenchmarkConfig(name="b", source={"kind": "counted_up", **settings}))
    with pytest.raises(UserError, match=r"unknown kind of source 'counted_op'; known are file, .* 'counted_up'\?"):
        load_benchmark(BenchmarkConfig(name="b", source={"kind": "counted_op"}))
    with pytest.raises(UserError, match=r"source.kind: is required"):
        parse_config(BenchmarkConfig, {"name": "b", "source": {"path": "x"}}, "it")
    stored = BenchmarkConfig(name="b", source={"kind": "counted_up", "size": np.int64(4)}).model_dump(mode="json")
    assert stored["source"] == {"kind": "counted_up", "size": 4}
    for taken in (cg.source("file"), cg.policy("exact"), cg.log("garak"), cg.log("table")):
        with pytest.raises(UserError, match="is taken"):
            taken(POLICIES["exact"])


def test_a_registered_policy_scores(tmp_path):
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


def test_errors_in_a_plug_in_name_it():
    @cg.source("odd_source")
    def odd_source(how: str, fields: list[str] | None = None):
        if how == "fails":
            raise RuntimeError("no network")
        yield {"prompt": "a dict"} if how == "dict" else cg.Item("1", "p", answer="a", policy="exact")

    def load(**settings):
        return load_benchmark(BenchmarkConfig(name="b", source={"kind": "odd_source", **settings}))

    assert len(load(how="well", fields=["a"]).items) == 1, "a setting of its own, no mapping of fields"
    for settings, message in (
        ({"how": "fails"}, "the source 'odd_source' failed: RuntimeError: no network"),
        ({"how": "dict"}, "expected an Item, found dict"),
        ({}, "failed: ValidationError: (?s:.*)how\n.*Missing required argument"),
    ):
        with pytest.raises(UserError, match=message):
            load(**settings)


def test_what_is_no_policy_is_refused_at_once():
    with pytest.raises(UserError, match="frozen dataclass"):
        cg.policy("plain_function")(lambda item: 1)
    with pytest.raises(UserError, match="has the name 'choice'"):
        cg.policy("renamed")(POLICIES["choice"])


def scored_always(tiny_config):
    """A small run whose only benchmark is scored by the policy ``always``."""
    config = cg.api.make.read_config(tiny_config)
    benchmark = config.benchmarks[0].model_copy(update={"policy": "always", "options": {}, "limit": 8})
    sae = config.sae.model_copy(update={"force": True})
    return config.model_copy(update={"benchmarks": [benchmark], "sae": sae})


def test_a_changed_policy_is_another_run(tiny_config, tmp_path):
    small = scored_always(tiny_config)
    namespace = {"cg": cg, "dataclass": dataclass}
    try:
        for value in ("0.0", "1.0"):
            code = ALWAYS.replace("VALUE", value)
            exec(code, namespace)
            if value == "0.0":
                assert cg.run(small, tmp_path / "run").items["score"].to_list() == [0.0] * 8
                assert cg.run(small, tmp_path / "run").items["score"].to_list() == [0.0] * 8
        with pytest.raises(UserError, match=r"differs in plugins\.policies always"):
            cg.run(small, tmp_path / "run")
    finally:
        POLICIES.forget("always")


@pytest.mark.parametrize("value", ["float('nan')", "1.5", "-0.1", "'1'"])
def test_a_policys_score_that_is_none_is_refused(tiny_config, tmp_path, value):
    small = scored_always(tiny_config)
    try:
        exec(ALWAYS.replace("VALUE", value), {"cg": cg, "dataclass": dataclass})
        with pytest.raises(
            UserError, match=r"the policy 'always' gave the item '.*' the score .*, expected a number in"
        ):
            cg.run(small, tmp_path / "run")
    finally:
        POLICIES.forget("always")


@pytest.mark.parametrize(
    ("value", "kept"),
    [("True", 1.0), ("np.True_", 1.0), ("np.float32(0.5)", 0.5), ("1 + 1e-10", 1.0), ("-1e-10", 0.0), ("None", None)],
)
def test_a_score_of_any_kind_of_number_is_taken(tiny_config, tmp_path, value, kept):
    small = scored_always(tiny_config)
    try:
        exec(ALWAYS.replace("VALUE", value), {"cg": cg, "dataclass": dataclass, "np": np})
        assert cg.run(small, tmp_path / "run").items["score"].to_list() == [kept] * 8
    finally:
        POLICIES.forget("always")


ALWAYS = """
@cg.policy("always")
@dataclass(frozen=True)
class Always(cg.Policy):
    name = "always"

    def request(self, item):
        return None

    def score(self, item, output):
        return cg.Score(VALUE)
"""
