"""What commands call: the same functions, whose errors speak of arguments in Python and of options in a command."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app
from competency_gaps.errors import argument


def refusal(*words: str) -> str:
    """What a command says where it refuses its options."""
    done = CliRunner().invoke(app, list(words))
    assert isinstance(done.exception, cg.UserError), done.output
    return str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "options", "python", "command"),
    [
        (
            {"texts": ["a"], "logits_only": True},
            ["a", "--logits-only"],
            "logits_only reads no text: leave out texts and run.",
            "--logits-only reads no text: leave out texts and --run.",
        ),
        ({}, [], "give texts, or run, or logits_only.", "give texts, or --run, or --logits-only."),
        (
            {"texts": ["a"], "model": "m"},
            ["a", "--model", "m"],
            "give model and sae, or run, which brings both.",
            "give --model and --sae, or --run, which brings both.",
        ),
    ],
)
def test_refused_exemplars_name_options_or_arguments(tmp_path, arguments, options, python, command):
    with pytest.raises(cg.UserError, match=f"^{re.escape(python)}$"):
        cg.make_exemplars(tmp_path, **arguments)
    assert refusal("exemplars", "--out", str(tmp_path), *options) == command
    assert argument("logits_only") == "logits_only", "a command leaves no spelling behind"


def test_a_new_dictionary_needs_its_sae(tmp_path):
    with pytest.raises(cg.UserError, match="give sae or run to begin one"):
        cg.import_labels(tmp_path / "new", "labels.csv")
    assert "give --sae or --run to begin one" in refusal("import-labels", str(tmp_path / "new"), "labels.csv")


def test_a_step_has_a_model_to_ask_or_none(tmp_path):
    ask = cg.LLMConfig(requests=tmp_path / "requests.jsonl")
    with pytest.raises(cg.UserError, match="'explain' asks a model: give llm"):
        cg.label_concepts(tmp_path, "explain")
    with pytest.raises(cg.UserError, match=r"^step 'explains': expected one of automatic, subjects, explain, "):
        cg.label_concepts(tmp_path, "explains", llm=ask)
    with pytest.raises(cg.UserError, match="'automatic' asks no model: leave out llm"):
        cg.label_concepts(tmp_path, "automatic", llm=ask)
    assert "leave out --llm" in refusal("label", str(tmp_path), "--step", "automatic", "--requests", "x")


def test_refused_probes_name_arguments(tiny_run):
    run = cg.open_run(tiny_run.path)
    with pytest.raises(cg.UserError, match="give concepts to probe, or weak"):
        run.probe()
    with pytest.raises(cg.UserError, match="give concepts to probe, or weak"):
        run.probe([1], weak=2)
    with pytest.raises(cg.UserError, match=r"^weak is 0, expected 1 or more concepts"):
        run.probe(weak=0)
    with pytest.raises(cg.UserError, match=r"^min_saliency 1: expected a number above 0 and below 1"):
        run.probe([1], min_saliency=1)
