"""A misspelt SAE, a missing hook or a layer that the model lacks is refused before the model is loaded."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from competency_gaps.config import ModelConfig, SAEConfig
from competency_gaps.errors import UserError
from competency_gaps.model.hooks import resolve_hook, stream_width
from competency_gaps.model.load import read_outline
from competency_gaps.sae import load_sae
from competency_gaps.sae.load import load_pair, read_sae_header
from core_helpers import KINDS, loaded
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


def test_a_misspelt_release_or_id(outline_folder, monkeypatch):
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *a: pytest.fail("the network was asked"))
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


@pytest.mark.parametrize(
    ("hook", "says"),
    [
        ("blocks.4.hook_resid_post", "the model has layers 0 to 3, not 4"),
        ("blocks.1.hook_rsid_post", "Did you mean 'hook_resid_post'"),
        ("model.layers.77", "the model has no such module"),
    ],
)
def test_a_hook_that_the_model_does_not_have(outline_folder, model_folder, sae_folder, hook, says):
    message = refused(outline_folder(), folder=sae_folder, hook_name=hook)
    assert says in message
    with pytest.raises(UserError, match=re.escape(message)):
        resolve_hook(loaded(model_folder()).model, hook)


def test_another_width_of_the_residual_stream(outline_folder, tmp_path):
    folder = build("jumprelu", tmp_path / "s")
    config = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps({**config, "d_in": 16}))
    for hook in ("blocks.2.hook_resid_post", "model.layers.2"):
        says = r"width 16, but model\.layers\.2 \(output\) of .* is 32 wide"
        assert re.search(says, refused(outline_folder(), folder=folder, hook_name=hook))


@pytest.mark.parametrize("kind", KINDS)
def test_the_outline_has_the_models_hooks(model_folder, kind):
    outline, _ = read_outline(ModelConfig(name=str(model_folder(kind))))
    real = loaded(model_folder(kind)).model
    assert {parameter.device.type for parameter in outline.parameters()} == {"meta"}
    assert [name for name, _ in outline.named_modules()] == [name for name, _ in real.named_modules()]
    for hook in ("blocks.3.hook_resid_pre", "blocks.0.hook_resid_mid", "blocks.1.hook_mlp_out", "blocks.2.attn.hook_z"):
        resolved = resolve_hook(outline, hook)
        assert resolved == resolve_hook(real, hook)
        assert stream_width(outline, resolved) == (32 if "resid" in hook else None)


def test_what_the_configuration_does_not_tell_is_left_to_loading(model_folder, sae_folder, tmp_path):
    assert read_outline(ModelConfig(name=str(tmp_path))) is None
    with pytest.raises(UserError, match="cannot be loaded"):
        load_pair(ModelConfig(name=str(tmp_path)), SAEConfig(folder=sae_folder))
    folder = model_folder()
    pair = load_pair(ModelConfig(name=str(folder), dtype="float32"), SAEConfig(folder=sae_folder))
    assert pair.hook.path == "model.layers.2" and pair.sae.d_in == 32


def test_the_header_of_a_release_comes_from_its_settings_alone(monkeypatch):
    """Goodfire's settings stand in SAELens' code, so that nothing is fetched."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *a, **k: pytest.fail("a file was fetched"))
    header = read_sae_header(SAEConfig(release="goodfire-llama-3.1-8b-instruct", id="layer_19"))
    assert (header.name, header.hook_name, header.d_in) == (
        "goodfire-llama-3.1-8b-instruct/layer_19",
        "blocks.19.hook_resid_post",
        4096,
    )
    config = SAEConfig(release="goodfire-llama-3.1-8b-instruct", id="layer_19", hook_name="model.layers.3")
    assert read_sae_header(config).hook_name == "model.layers.3"
