"""SAEs that load without an error and give nonsense, planted in the embedded model: the gate says what is wrong."""

from __future__ import annotations

import io
import json

import pytest
import torch
from rich.console import Console

import competency_gaps as cg
from competency_gaps.embedded import embedded_sae
from competency_gaps.embedded.weights import SMOLLM2, resolve_weights
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress

pytestmark = pytest.mark.slow
MODEL, SAE = "embedded:smollm2-135m-instruct", "embedded:smollm2-135m-instruct-l15-8k"
RESIDUALS, MLP = "blocks.15.hook_resid_post", "blocks.15.hook_mlp_out"


@pytest.fixture(autouse=True)
def place():
    """The user's cache, not an empty one: the weights are fetched once."""


@pytest.fixture(scope="module")
def lm():
    return cg.load_model(MODEL)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_unpacked_weights_are_those_of_the_file(dtype):
    unpacked = cg.load_model(MODEL, dtype=dtype)
    packed = cg.load_model(str(resolve_weights(SMOLLM2, Progress(quiet=True))), dtype=dtype)
    for key in ("class", "dtype", "content_sha256", "weights_sha256", "tokenizer"):
        assert unpacked.identity[key] == packed.identity[key], key
    first, second = (lm.tokenizer.backend_tokenizer.to_str() for lm in (unpacked, packed))
    assert first == second and unpacked.max_length == packed.max_length and unpacked.pad_id == packed.pad_id


def outcome(lm, out, folder, hook_name=None):
    """Why the gate refuses an SAE, None where it does not, and what it said."""
    said, why = io.StringIO(), None
    sae = {"folder": str(folder), "hook_name": hook_name, "gate_tokens": 1500}
    source = {"kind": "file", "path": "embedded:school-science"}
    benchmark = {"name": "science", "source": source, "scorer": "none", "limit": 40}
    config = {"model": {"name": MODEL}, "sae": sae, "benchmarks": [benchmark]}
    try:
        cg.run(config, out, model=lm, progress=Progress(Console(file=said, width=500)))
    except UserError as error:
        why = str(error)
        assert "does not fit the activations" in why
    return why, said.getvalue()


def saved(folder, weights, **config):
    from safetensors.torch import save_file

    folder.mkdir()
    save_file({name: value.contiguous().float() for name, value in weights.items()}, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps(config))
    return folder


def test_a_topk_sae_loaded_as_relu(lm, tmp_path):
    """The embedded SAE keeps about 48 latents per token; as plain ReLU it is the same weights without the choice."""
    from safetensors.torch import load_file

    weights = load_file(embedded_sae(SAE) / "sae_weights.safetensors")
    config = json.loads((embedded_sae(SAE) / "cfg.json").read_text())
    del weights["threshold"]
    for number, metadata in enumerate((config["metadata"], {**config["metadata"], "l0": None})):
        folder = saved(tmp_path / str(number), weights, **{**config, "architecture": "standard", "metadata": metadata})
        why, _ = outcome(lm, tmp_path / "run", folder)
        assert "explained variance -" in why and "TopK" in why
        assert ("its authors state 48" in why) == (number == 0)


@torch.enable_grad()
def mlp_sae(lm, steps=400, width=1024, kept=32):
    """Weights of a TopK SAE, trained for seconds on what the MLP of layer 15 writes; and those texts' activations."""
    import numpy as np

    from competency_gaps.model.hooks import read_hook, resolve_hook

    lines = (embedded_sae(SAE).parents[1] / "suite" / "school-science.jsonl").read_text().splitlines()
    hook, ids = resolve_hook(lm.model, MLP), [np.array(lm.tokenizer(line)["input_ids"]) for line in lines[:40]]
    with torch.inference_mode():
        x = torch.cat([a[1 : len(one)] for one in ids for a in read_hook(lm, hook, [one])]).float()
    x, noise = x.clone(), torch.Generator().manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(width, x.shape[1], generator=noise), dim=1)
    start = {"W_enc": rows.T.clone(), "W_dec": rows, "b_enc": torch.zeros(width), "b_dec": x.mean(dim=0)}
    weights = {name: value.requires_grad_() for name, value in start.items()}
    trainer = torch.optim.Adam(weights.values(), lr=1e-3)
    for _ in range(steps):
        some = x[torch.randint(len(x), (256,), generator=noise)]
        top = torch.relu((some - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]).topk(kept, dim=1)
        latents = torch.zeros(len(some), width).scatter(1, top.indices, top.values)
        loss = (some - latents @ weights["W_dec"] - weights["b_dec"]).square().sum()
        trainer.zero_grad()
        loss.backward()
        trainer.step()
    config = {
        "architecture": "topk",
        "k": kept,
        "d_in": x.shape[1],
        "d_sae": width,
        "dtype": "float32",
        "device": "cpu",
    }
    return {name: value.detach() for name, value in weights.items()}, config


def test_an_mlps_sae_on_residuals(lm, tmp_path):
    weights, config = mlp_sae(lm)
    metadata = {"sae_lens_version": "6.0.0", "hook_name": MLP, "model_name": MODEL}
    right = saved(tmp_path / "mlp", weights, **config, metadata=metadata)
    why, said = outcome(lm, tmp_path / "right", right)
    assert why is None and "Warning" not in said
    why, said = outcome(lm, tmp_path / "read-elsewhere", right, RESIDUALS)
    assert "explained variance -" in why and f"at {MLP}" in why
    assert "Warning" in said and MLP in said and RESIDUALS in said
    # The file itself may be wrong about it.
    wrong = saved(tmp_path / "wrong", weights, **config, metadata={**metadata, "hook_name": RESIDUALS})
    why, said = outcome(lm, tmp_path / "wrong-file", wrong)
    assert "explained variance -" in why and "Warning" not in said
