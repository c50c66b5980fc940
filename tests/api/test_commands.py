"""Errors speak of arguments in Python, and of options in a command that calls the same function."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app


@pytest.mark.parametrize(
    ("ask", "words", "command"),
    [
        (lambda at: cg.make_exemplars(at, ["a"], run="r"), "exemplars a --run r --out", "give texts or --run, not"),
        (lambda at: cg.make_exemplars(at, ["a"], model="m"), "exemplars a --model m --out", "give --model and --sae"),
        (lambda at: cg.import_labels(at, "labels.csv"), "label --from labels.csv", "give --sae or --run to start one"),
        (lambda at: cg.label_concepts(at, "explain"), "label --step explain", "give --llm"),
    ],
)
def test_refusals_name_arguments_or_options(tmp_path, ask, words, command):
    done = CliRunner().invoke(app, ["concepts", *words.split(), str(tmp_path / "new")])
    assert isinstance(done.exception, cg.UserError) and command in str(done.exception)
    with pytest.raises(cg.UserError) as refused:  # a command leaves no spelling behind
        ask(tmp_path / "new")
    assert command.replace("--", "") in str(refused.value)
