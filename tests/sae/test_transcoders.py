"""A transcoder reads the MLP's input; the gate asks whether it rebuilds the MLP's output, and catches a wrong place."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import competency_gaps
from competency_gaps.items.config import ModelConfig, SAEConfig
from competency_gaps.model.hooks import read_hook, resolve_hook
from competency_gaps.sae.load import load_pair, load_sae
from competency_gaps.util.errors import UserError
from core_helpers import loaded
from sae_helpers import LATENTS, build

LAYER = 2
READ, WRITTEN = f"blocks.{LAYER}.mlp.hook_in", f"blocks.{LAYER}.hook_mlp_out"
STREAM = f"blocks.{LAYER}.hook_mlp_in"


@pytest.fixture(scope="module")
def gained_model(tmp_path_factory, model_folder, tokenizer):
    """A tiny Llama whose norms have gains as real models have, so that the stream differs from the normed stream."""
    folder = tmp_path_factory.mktemp("gained")
    model = copy.deepcopy(loaded(model_folder("llama")).model)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.copy_(3 * torch.rand(parameter.shape) * torch.randn(parameter.shape).sign())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def fit(tmp_path_factory, gained_model, tiny_run):
    """Trains a transcoder: random features of the input, and a decoder by least squares; gives its folder."""

    def make(architecture: str, **metadata: object):
        from sae_lens import SAE

        lm = loaded(gained_model)
        texts = tiny_run.items.filter(benchmark="quiz")["text"]
        ids = [np.asarray([0, *lm.tokenizer(text)["input_ids"]], np.int32) for text in texts]
        x, y = (
            torch.cat([read_hook(lm, resolve_hook(lm.model, hook), [row])[0, 1:] for row in ids]).clone()
            for hook in (READ, WRITTEN)
        )
        folder = tmp_path_factory.mktemp(architecture)
        about = {"hook_name_out": WRITTEN, "prepend_bos": True, **metadata}
        present = {key: value for key, value in about.items() if value}
        build(architecture, folder, hook=READ, metadata=present, apply_b_dec_to_input=False)
        sae = SAE.load_from_disk(folder)
        with torch.no_grad():
            directions = torch.nn.functional.normalize(torch.randn(x.shape[1], LATENTS), dim=0)
            scores = x @ directions
            sae.W_enc.copy_(directions)
            sae.b_enc.copy_(-scores.quantile(0.95, dim=0))
            if hasattr(sae, "threshold"):
                sae.threshold.zero_()
            parts = [sae.encode(x), torch.ones(len(x), 1)] + ([x] if "skip" in architecture else [])
            known = torch.cat(parts, dim=1)
            weights = torch.linalg.solve(known.T @ known + 0.1 * torch.eye(known.shape[1]), known.T @ y)
            sae.W_dec.copy_(weights[:LATENTS])
            sae.b_dec.copy_(weights[LATENTS])
            if "skip" in architecture:
                sae.W_skip.copy_(weights[LATENTS + 1 :].T)
        sae.save_model(folder)
        return folder, x, y

    torch.manual_seed(2)
    return make


@pytest.fixture
def config(tiny_config, gained_model):
    def make(folder, **sae):
        benchmarks = [{**tiny_config["benchmarks"][0], "sample": 24}]
        settings = {"folder": str(folder), "gate_tokens": 1024, **sae}
        return {**tiny_config, "model": {"name": str(gained_model), "dtype": "float32"}, "benchmarks": benchmarks} | {
            "sae": settings
        }

    return make


@pytest.mark.parametrize(
    "architecture", ["transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder"]
)
def test_a_run_explains_the_mlps_output(architecture, fit, config, gained_model, tmp_path):
    """The gate's figure is that of plain transformers, and a plain and a skip transcoder both pass."""
    from sae_lens import SAE

    folder, *_ = fit(architecture)
    run = competency_gaps.run(config(folder), tmp_path / "run")
    lm, sae = loaded(gained_model), SAE.load_from_disk(folder)
    taken, given = [], []
    mlp = lm.model.get_submodule(f"model.layers.{LAYER}.mlp")

    def note(_module, args, output):
        taken.append(args[0][0, 1:])
        given.append(output[0, 1:])

    handle = mlp.register_forward_hook(note)
    with torch.inference_mode():
        for text in run.items["text"]:
            lm.model(input_ids=torch.tensor([[0, *lm.tokenizer(text)["input_ids"]]]))
        handle.remove()
        x, y = torch.cat(taken), torch.cat(given)
        variance = float(1 - (y - sae(x)).square().sum() / (y - y.mean(dim=0)).square().sum())
    gate = run.manifest["gate"]
    assert gate["passed"] and gate["tokens"] == len(x)
    assert gate["explained_variance"] == pytest.approx(variance, abs=1e-3) and variance > 0.3
    assert run.manifest["hook"]["path"].endswith(f"{LAYER}.mlp") and run.manifest["hook"]["side"] == "input"


def test_a_wrong_place_is_refused(fit, config, tmp_path):
    """The output where the input belongs, and the stream where the normed stream belongs."""
    folder, *_ = fit("transcoder")
    for hook in (WRITTEN, STREAM):
        with pytest.raises(UserError, match=r"does not fit the activations at .*explained variance -"):
            competency_gaps.run(config(folder, hook_name=hook), tmp_path / "run")


def test_without_an_output_the_firing_rate_decides(fit, config, tmp_path):
    folder, x, _ = fit("transcoder", hook_name_out=None)
    l0 = float((load_sae(SAEConfig(folder=folder), "cpu").encode(x) > 0).sum(dim=1).float().mean())
    for stated, fits in ((l0, True), (l0 * 9, False)):
        sae, *_ = fit("transcoder", hook_name_out=None, l0=stated)
        settings = config(sae, force=True)
        gate = competency_gaps.run(settings, tmp_path / f"{fits}").manifest["gate"]
        assert gate["passed"] == fits and gate["explained_variance"] is None


def test_the_transcoder_of_another_model_is_refused(fit, gained_model, tmp_path):
    folder = build(
        "transcoder", tmp_path, hook=READ, metadata={"hook_name_out": WRITTEN}, d_out=48, apply_b_dec_to_input=False
    )
    with pytest.raises(UserError, match=r"rebuilds outputs of width 48, but .* is 32 wide\. Use the transcoder"):
        load_pair(ModelConfig(name=str(gained_model), dtype="float32"), SAEConfig(folder=folder))


def test_gemma_scopes_transcoders_read_the_normed_stream(tmp_path):
    """SAELens names the stream, the authors' path the norm's output."""
    path = "model.layers.2.pre_feedforward_layernorm.output"
    build("jumprelu_transcoder", tmp_path, hook=STREAM, metadata={"hf_hook_name": path}, apply_b_dec_to_input=False)
    assert load_sae(SAEConfig(folder=tmp_path), "cpu").hook_name == READ
