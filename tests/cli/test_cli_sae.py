"""``cgaps sae``: a run that can be typed, above a list that fits a terminal."""

from __future__ import annotations

import json
import re
import shlex
import sys

import pytest

from competency_gaps import find_saes

MODELS = ("gpt2", "google/gemma-2-2b-it", "embedded:smollm2-135m-instruct")


@pytest.mark.parametrize("model", MODELS)
def test_the_list_about_fits_a_terminal_and_marks_labels(cli, model):
    status, out, err = cli("sae", model)
    assert status == 0 and err == ""
    lines = out.rstrip("\n").split("\n")
    assert [line for line in lines if len(line) > 84 and not line.startswith(("cgaps ", "Not listed"))] == []
    recommended = [sae for sae in find_saes(model).saes if sae.recommended]
    rows = [line.split(maxsplit=2) for line in lines if line[:1].isdigit()]
    listed = []
    for ranges, place, name in rows:
        for part in ranges.split(","):
            first, _, last = part.partition("–")
            for layer in range(int(first), int(last or first) + 1):
                written = name.lstrip("*").replace("layer_N", f"layer_{layer}").replace("blocks.N", f"blocks.{layer}")
                listed.append((layer, place, written, name.startswith("*")))
    known = [(sae.layer, sae.site, sae.name, sae.labels is not None) for sae in recommended]
    plain = [
        sorted((*row[:2], re.sub(r"_l0_\d+", "_l0_M", row[2]), row[3]) for row in rows) for rows in (listed, known)
    ]
    assert plain[0] == plain[1]


@pytest.mark.parametrize("model", MODELS)
def test_it_begins_with_a_run_that_can_be_typed(cli, asked, model, tmp_path):
    line = cli("sae", model)[1].split("\n")[3]
    assert json.loads(cli("sae", model, "--json")[1])["command"] == line
    file = tmp_path / "quiz.jsonl"
    file.write_text('{"prompt": "Why?"}\n')
    words = [str(file) if word == "FILE" else word for word in shlex.split(line)]
    cli(*words[1:])
    config, out = asked.pop()
    proposed = find_saes(model).proposed()
    assert config.model.name.endswith(model)  # with its owner on the hub
    assert f"{config.sae.release}/{config.sae.id}" == proposed.name or str(config.sae.folder) == proposed.name
    assert out.parent.name == "runs" and out.name in model


def test_without_saelens_the_list_says_how_to_get_it(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "sae_lens", None)
    monkeypatch.setattr("competency_gaps.cli.sources.find_spec", lambda name: None)
    status, out, _ = cli("sae", "gpt2")
    assert status == 0 and "gpt2-small-resid-post-v5-32k/blocks.7.hook_resid_post" in out
    assert "needs SAELens: pip install" in out and out.split("\n")[4].startswith("cgaps run ")
    assert "needs SAELens" not in cli("sae", "embedded:smollm2-135m-instruct")[1]
