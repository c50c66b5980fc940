"""A misspelt or damaged SAE is refused before the model is loaded; so is a hook that the model lacks, after it."""

from __future__ import annotations

import json
import re
import shutil

import pytest

import competency_gaps
from competency_gaps.items.config import ModelConfig, SAEConfig
from competency_gaps.sae import find
from competency_gaps.sae.load import load_pair, load_sae
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress
from sae_helpers import build


@pytest.fixture
def outline_folder(model_folder, tmp_path):
    """A model's folder without its weights: loading them would be another error."""

    def make(kind="llama"):
        ignore = shutil.ignore_patterns("*.safetensors")
        return shutil.copytree(model_folder(kind), tmp_path / f"outline-{kind}", ignore=ignore, dirs_exist_ok=True)

    return make


def refused(model, **sae):
    with pytest.raises(UserError) as error:
        load_pair(ModelConfig(name=str(model), dtype="float32"), SAEConfig(**sae))
    return str(error.value)


def without(folder, **removed):
    """The SAE with another ``cfg.json``."""
    config = json.loads((folder / "cfg.json").read_text())
    config["metadata"] = {key: value for key, value in config["metadata"].items() if key not in removed}
    (folder / "cfg.json").write_text(json.dumps(config))
    return folder


def damaged(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    return folder


def test_a_base_models_sae_is_announced_before_it_is_fetched(
    monkeypatch, model_folder, sae_folder, tmp_path, tiny_config
):
    """Before the download from the directory, and after the gate with what it measured."""
    said = []
    monkeypatch.setattr(Progress, "say", lambda self, text: said.append(text))
    monkeypatch.setattr("competency_gaps.sae.load.load_sae", lambda *_: pytest.fail("fetched") if not said else 1 / 0)
    release = {"release": "qwen-scope-3-8b-base-w64k-l50", "id": "layer21"}
    with pytest.raises(ZeroDivisionError):
        load_pair(ModelConfig(name="Qwen/Qwen3-8B"), SAEConfig(**release), progress=Progress(quiet=True))
    assert "was trained on the base model Qwen/Qwen3-8B-Base, not on Qwen/Qwen3-8B: it may" in said[0]
    monkeypatch.undo()
    monkeypatch.setattr(Progress, "say", lambda self, text: said.append(text))
    folder = shutil.copytree(sae_folder, tmp_path / "sae")
    config = json.loads((folder / "cfg.json").read_text())
    config["metadata"]["model_name"] = "tiny-base"
    (folder / "cfg.json").write_text(json.dumps(config))
    model = shutil.copytree(model_folder("llama"), tmp_path / "tiny-instruct")
    settings = {**tiny_config, "model": {"name": str(model), "dtype": "float32"}}
    competency_gaps.run(
        settings | {"sae": {"folder": str(folder), "gate_tokens": 512}}, tmp_path / "run", progress=Progress(quiet=True)
    )
    (gate,) = [line for line in said if "tokens of this run" in line]
    assert f"; trained on the base model tiny-base, not on {model}" in gate


def test_a_misspelt_release_or_id(outline_folder, monkeypatch):
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *a: pytest.fail("the network was asked"))
    monkeypatch.setattr(find, "versions", lambda: {"sae-lens": find._directory()[0]})  # others speak for themselves
    for sae in (
        {"release": "gpt2-small-res-jbb", "id": "x"},
        {"release": "gpt2-small-res-jb", "id": "blocks.8.hook_x"},
    ):
        message = refused(outline_folder(), **sae)
        assert "Did you mean" in message
        with pytest.raises(UserError, match=re.escape(message)):
            load_sae(SAEConfig(**sae), "cpu")


@pytest.mark.parametrize("architecture", ["jumprelu", "gated"])  # the second is SAELens' to read
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "cfg.json").unlink(), r"cfg\.json is missing"),
        (lambda folder: (folder / "sae_weights.safetensors").unlink(), "safetensors is missing"),
        (lambda folder: damaged(folder, "cfg.json"), "cannot be loaded"),
        (lambda folder: damaged(folder, "sae_weights.safetensors"), "cannot be loaded"),
        (lambda folder: without(folder, hook_name=True), r"set sae\.hook_name"),
    ],
)
def test_a_folder_that_is_wrong(outline_folder, tmp_path, architecture, spoil, says):
    folder = build(architecture, tmp_path / "sae")
    spoil(folder)
    message = refused(outline_folder(), folder=folder)
    assert re.search(says, message)
    with pytest.raises(UserError, match=re.escape(message)):
        load_sae(SAEConfig(folder=folder), "cpu")


def test_architectures_that_cannot_be_used(outline_folder, tmp_path):
    folder = build("temporal", tmp_path / "t", n_heads=2, n_attn_layers=1, bottleneck_factor=4)
    assert "temporal" in refused(outline_folder(), folder=folder)


def test_another_width_of_the_residual_stream(model_folder, tmp_path):
    folder = build("jumprelu", tmp_path / "s", d_in=16)
    for hook in ("blocks.2.hook_resid_post", "model.layers.2"):
        says = r"width 16, but model\.layers\.2 \(output\) of .* is 32 wide"
        assert re.search(says, refused(model_folder(), folder=folder, hook_name=hook))
