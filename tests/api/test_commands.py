"""Errors speak of arguments in Python, and of options in a command that calls the same function."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app


@pytest.mark.parametrize(
    ("ask", "words", "python", "command"),
    [
        (
            lambda at: cg.make_exemplars(at, ["a"], run="r"),
            ["exemplars", "a", "--run", "r", "--out"],
            "give texts or run, not both.",
            "give texts or --run, not both.",
        ),
        (
            lambda at: cg.make_exemplars(at, ["a"], model="m"),
            ["exemplars", "a", "--model", "m", "--out"],
            "give model and sae, or run, which names both.",
            "give --model and --sae, or --run, which names both.",
        ),
        (
            lambda at: cg.import_labels(at, "labels.csv"),
            ["import", "labels.csv"],
            "give sae or run to start one",
            "labels.csv' is not a dictionary yet: give --sae or --run",
        ),
        (lambda at: cg.label_concepts(at, "explain"), ["label", "--step", "explain"], "give llm", "give --llm"),
    ],
)
def test_refusals_name_arguments_or_options(tmp_path, ask, words, python, command):
    done = CliRunner().invoke(app, ["concepts", *words, str(tmp_path / "new")])
    assert isinstance(done.exception, cg.UserError) and command in str(done.exception)
    with pytest.raises(cg.UserError) as refused:  # a command leaves no spelling behind
        ask(tmp_path / "new")
    assert python in str(refused.value)
