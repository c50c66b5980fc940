"""A package that brings a source and a scorer, installed as anybody would install it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

import competency_gaps as cg
from competency_gaps.items.config import BenchmarkConfig
from competency_gaps.items.registry import SCORERS, SOURCES
from competency_gaps.pipeline.items import _value
from competency_gaps.pipeline.load import assign_scorers, load_benchmark
from competency_gaps.util.errors import UserError
from core_helpers import ROOT, with_benchmarks

EXAMPLE = ROOT / "examples" / "plugin"


@pytest.fixture(autouse=True)
def forgotten():
    """What a test registers is there for that test alone."""
    yield
    for registry, name in ((SOURCES, "counted_up"), (SCORERS, "always")):
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


def test_a_configuration_names_what_it_brings(installed):
    code = """
import json
from competency_gaps.items.config import BenchmarkConfig
from competency_gaps.items.scorer import Output
from competency_gaps.items.registry import SCORERS
from competency_gaps.pipeline.load import assign_scorers
from competency_gaps.pipeline.load import load_benchmark
benchmark = load_benchmark(BenchmarkConfig(name="roman", source={"kind": "roman_numerals", "start": 4, "size": 3}))
scorer = assign_scorers(benchmark, None, {"max_new_tokens": 5})[0]
print(json.dumps([[item.prompt, item.answer] for item in benchmark.items]))
print(scorer.request(benchmark.items[0]).max_new_tokens)
print([scorer.score(benchmark.items[0], Output(text=text)).value for text in ("It is 4.", "5", "four")])
"""
    items, tokens, scores = installed(code).splitlines()
    assert json.loads(items) == [["What number is IV?", "4"], ["What number is V?", "5"], ["What number is VI?", "6"]]
    assert (tokens, scores) == ("5", "[1.0, 0.0, None]")


def load(**settings):
    return load_benchmark(BenchmarkConfig(name="b", source=settings))


def test_settings_are_checked_and_names_stay_unique():
    @cg.source("counted_up")
    def counted_up(size: int = 2, fields: list[str] | None = None):
        if size == 0:
            raise RuntimeError("no network")
        return ({"prompt": "a dict"} if size == 1 else cg.Item(str(i), "p", answer="a") for i in range(size))

    assert len(load(kind="counted_up", size=5, fields=["a"]).items) == 5
    for settings, message in (
        ({"size": "many"}, "'counted_up' failed: ValidationError: (?s:.*)size\n.*valid integer"),
        ({"siz": 3}, "'counted_up' failed: ValidationError: (?s:.*)siz\n.*Unexpected keyword"),
        ({"size": 0}, "'counted_up' failed: RuntimeError: no network"),
        ({"size": 1}, "counted_up.*expected an Item, found dict"),
        ({"kind": "counted_op"}, r"has a source 'counted_op'; known: file, .* 'counted_up'\?"),
    ):
        with pytest.raises(UserError, match=message):
            load(**{"kind": "counted_up", **settings})
    stored = BenchmarkConfig(name="b", source={"kind": "counted_up", "size": np.int64(4)}).model_dump(mode="json")
    assert stored["source"] == {"kind": "counted_up", "size": 4}
    for taken in (cg.source("file"), cg.scorer("exact"), cg.log("garak"), cg.log("table")):
        with pytest.raises(UserError, match="is taken"):
            taken(SCORERS["exact"])


def test_what_is_no_scorer_is_refused_at_once():
    with pytest.raises(UserError, match="frozen dataclass"):
        cg.scorer("plain_function")(lambda item: 1)
    with pytest.raises(UserError, match="has the name 'choice'"):
        cg.scorer("renamed")(SCORERS["choice"])


ALWAYS = """
@cg.scorer("always")
@dataclass(frozen=True)
class Always(cg.Scorer):
    name = "always"
    length: int = 3

    def request(self, item):
        return None

    def score(self, item, output):
        return cg.Score(VALUE)
"""


@pytest.fixture
def always(tiny_config, tmp_path):
    """Runs in one folder, each with another code of the scorer ``always``."""
    benchmark = {**tiny_config["benchmarks"][0], "scorer": "always", "options": {}, "sample": 8}
    small = with_benchmarks(tiny_config, [benchmark])

    def run(value: str) -> list[float | None]:
        SCORERS.forget("always")
        exec(ALWAYS.replace("VALUE", value), {"cg": cg, "dataclass": dataclass, "np": np})
        return cg.run(small, tmp_path / "run").items["score"].to_list()

    return run


def test_a_changed_scorer_is_another_run(always):
    assert always("0.0") == always("0.0") == [0.0] * 8
    with pytest.raises(UserError, match=r"differs in plugins\.scorers always"):
        always("1.0")
    with pytest.raises(UserError, match="rejects the option 'length' = 'x'"):
        assign_scorers(load(kind="objects", items=[{"id": "1", "prompt": "p"}]), "always", {"length": "x"})


def test_a_score_is_any_kind_of_number_from_0_to_1(always):
    item = SimpleNamespace(scorer=SimpleNamespace(name="always"), item=cg.Item("i", "p"))
    for value, kept in ((np.True_, 1.0), (np.float32(0.5), 0.5), (-1e-10, 0.0), (None, None)):
        assert _value(cg.Score(value), item) == kept
    for value in (float("nan"), 1.5, "1"):
        with pytest.raises(UserError, match=r"'always' gave the item 'i' the score .*, expected a number in"):
            _value(cg.Score(value), item)
    with pytest.raises(UserError, match=r"the score 1\.5, expected a number"):
        always("1.5")
