"""Runs that have hardly anything: one item, no scores, scores that do not vary, nothing held equal."""

from __future__ import annotations

import json

import pytest

import competency_gaps as cg
from competency_gaps.findings.answer import slice_table
from competency_gaps.view import words
from competency_gaps.view.page.parts import Context, Parts
from core_helpers import command, objects, with_benchmarks


@pytest.fixture(scope="module")
def make(tmp_path_factory, tiny_config):
    def made(count, score=None, **settings):
        rows = [
            {"id": f"a{i}", "prompt": f"What is the sum of 3 and {i}?", **({} if score is None else {"score": score})}
            for i in range(count)
        ]
        benchmark = objects("b", rows, "none" if score is None else "imported")
        made.config = with_benchmarks(tiny_config, [benchmark], **settings)
        return cg.run(made.config, tmp_path_factory.mktemp("small") / "run")

    return made


def test_one_item_is_answered(make):
    run = make(1, 1.0, evidence={"strata": []})
    answer = run.answer()
    assert (answer.items, answer.scored, answer.findings, answer.tested) == (1, 1, (), 0)
    assert "cannot be told" in words.headline(answer) and words.caveats(answer)
    assert not {"strata", "rate"} & {caveat.code for caveat in answer.caveats}
    assert run.slices.is_empty() and slice_table(run).is_empty()
    parts = Parts(Context(run, "run"))
    assert all(parts.read(name) for name in parts.names())


def test_a_run_that_is_made_again_keeps_no_list_of_its_former_slices(make):
    run = make(3)
    (run.path / "lists").mkdir()
    (run.path / "lists" / "old.json").write_text("{}")
    assert not list((cg.run(make.config, run.path).path / "lists").iterdir())


def test_without_scores_and_then_with_those_of_two_models(make):
    run = make(25)
    assert run.models.is_empty() and "no model" not in repr(run)
    run.add_scores({name: {f"a{i}": float(i > 3 or name == "good") for i in range(25)} for name in ("good", "other")})
    run.add_scores({"part": {f"a{i}": None if i % 2 else 1.0 for i in range(25)}})
    run = cg.open_run(run.path)
    assert run.model_slices().cells.is_empty()
    parts = Parts(Context(run, "run"))
    assert json.loads(parts.read("models.json"))["slices"] == []
    read = run.answer("good", parsed=True)
    assert "unscored" not in {caveat.code for caveat in run.answer("part", parsed=True).caveats}
    assert read.outcome == 1 and read.tested == 0 and "100.0% of answers could be read" in words.headline(read)
    shown = command("show", str(run.path), "--caveats")
    assert shown.returncode == 2 and "MODEL" in shown.stderr
