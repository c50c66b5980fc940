"""Every architecture loads as in SAELens; errors for what cannot be loaded say what to do."""

from __future__ import annotations

import json

import pytest
import torch

from competency_gaps.items.config import SAEConfig
from competency_gaps.sae.load import load_sae
from competency_gaps.util.errors import MissingExtraError, UserError
from core_helpers import loaded
from sae_helpers import INFERENCE, LEFT_OUT, WIDTH, build


def load(folder, **settings):
    return load_sae(SAEConfig(folder=folder, **settings), "cpu")


def test_the_helpers_know_every_architecture():
    from sae_lens.registry import SAE_CLASS_REGISTRY

    assert {*INFERENCE, *LEFT_OUT} >= set(SAE_CLASS_REGISTRY), "SAELens has a new architecture: add it to sae_helpers"


def test_heads_are_joined_before_encoding(tmp_path, model_folder):
    """SAELens reshapes activations of hook_z by itself; ours come joined, and tokens must stay apart."""
    from sae_lens import SAE

    folder = build("standard", tmp_path / "z", hook="blocks.1.attn.hook_z", reshape_activations="hook_z")
    lm = loaded(model_folder("llama"))
    seen = []
    handle = lm.model.get_submodule("model.layers.1.self_attn.o_proj").register_forward_pre_hook(
        lambda m, a: seen.append(a[0])
    )
    lm.model(input_ids=torch.arange(5, 20)[None])
    handle.remove()
    z = seen[0]
    expected = SAE.load_from_disk(folder).encode(z.reshape(1, 15, 4, 8))[0]
    ours = load(folder)
    torch.testing.assert_close(ours.encode(z[0]), expected)
    assert ours.sae.decode(ours.encode(z[0])).shape == (15, WIDTH)


def test_unknown_embedded():
    with pytest.raises(UserError, match="Did you mean"):
        load("embedded:smollm2-135m-instruct-l15")


def test_sizes_that_no_sae_has_are_refused(tmp_path):
    folder = build("standard", tmp_path / "s")
    config = json.loads((folder / "cfg.json").read_text())
    for change in ({"d_in": 0}, {"d_sae": 2**40}, {"d_in": True}, {"apply_b_dec_to_input": "no"}):
        (folder / "cfg.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(UserError, match=f"{next(iter(change))} = "):
            load(folder)


def test_missing_package(monkeypatch, sae_folder, tmp_path):
    topk = build("topk", tmp_path / "topk")
    monkeypatch.setitem(__import__("sys").modules, "sae_lens", None)
    with pytest.raises(MissingExtraError, match=r"'sae-lens'.*\[run\]'"):
        load(topk)
    with pytest.raises(MissingExtraError, match=r"'sae-lens'"):
        load_sae(SAEConfig(release="gpt2-small-res-jb", id="blocks.8.hook_resid_pre"), "cpu")
    load(sae_folder)
