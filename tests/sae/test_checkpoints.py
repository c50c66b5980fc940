"""Checkpoints of other trainers encode as their trainer does, from a folder or the hub; damaged ones are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import competency_gaps
from competency_gaps.items.config import SAEConfig, sae_place
from competency_gaps.sae.load import load_sae
from competency_gaps.util.errors import UserError

WIDTH, LATENTS, K = 32, 64, 5


def tensors(**shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    return {name.replace("__", "."): torch.randn(shape, generator=generator) * 0.4 for name, shape in shapes.items()}


def top(x: torch.Tensor) -> torch.Tensor:
    best = x.relu().topk(K, dim=-1)
    return torch.zeros_like(x).scatter(-1, best.indices, best.values)


LINEAR = {"encoder__weight": (LATENTS, WIDTH), "encoder__bias": (LATENTS,), "decoder__weight": (WIDTH, LATENTS)}
MATRICES = {"W_enc": (WIDTH, LATENTS), "b_enc": (LATENTS,), "W_dec": (LATENTS, WIDTH), "b_dec": (WIDTH,)}


def dictionary_learning(folder: Path, kind: str = "AutoEncoderTopK"):
    """As ``trainSAE`` writes it: ``ae.pt`` with the state, ``config.json`` with the trainer's settings."""
    matrices = kind in ("JumpReluAutoEncoder", "MatryoshkaBatchTopKSAE")
    bias = {"AutoEncoder": "bias", "AutoEncoderNew": "decoder__bias", "GatedAutoEncoder": "decoder_bias"}
    w = tensors(**(MATRICES if matrices else {**LINEAR, bias.get(kind, "b_dec"): (WIDTH,)}))
    if kind == "GatedAutoEncoder":
        del w["encoder.bias"]
        w |= tensors(r_mag=(LATENTS,), gate_bias=(LATENTS,), mag_bias=(LATENTS,))
    if "TopK" in kind:
        w |= {"k": torch.tensor(K, dtype=torch.int), "threshold": torch.tensor(0.6)}
    if kind == "MatryoshkaBatchTopKSAE":
        w["group_sizes"] = torch.tensor([16, 48])
    if kind == "JumpReluAutoEncoder":
        w["threshold"] = torch.rand(LATENTS)
    torch.save(w, folder / "ae.pt")
    sizes = {"activation_dim": WIDTH, "dict_size": LATENTS}
    trainer = {"dict_class": kind, **sizes, "layer": 2, "lm_name": "tiny", "submodule_name": None}
    trainer |= {"k": K} if "TopK" in kind else {}
    (folder / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {"ctx_len": 128}}))

    def encode(x):
        bias = next((w[key] for key in ("b_dec", "bias", "decoder_bias") if key in w), torch.zeros(WIDTH))
        x = x if kind in ("AutoEncoderNew", "JumpReluAutoEncoder") else x - bias
        hidden = x @ (w["W_enc"] if matrices else w["encoder.weight"].T)
        if kind == "GatedAutoEncoder":
            return (hidden + w["gate_bias"] > 0) * (w["r_mag"].exp() * hidden + w["mag_bias"]).relu()
        hidden = (hidden + w["b_enc" if matrices else "encoder.bias"]).relu()
        if kind == "AutoEncoderTopK":
            return top(hidden)
        if kind == "AutoEncoder":  # its ``from_pretrained`` gives decoder vectors the length 1
            return hidden * w["decoder.weight"].norm(dim=0)
        return hidden * (hidden > w["threshold"]) if "threshold" in w else hidden

    return encode


def sparsify(folder: Path, **settings: object):
    """As ``SparseCoder.save_to_disk`` writes it, in a folder with the name of a module."""
    w = tensors(encoder__weight=(LATENTS, WIDTH), encoder__bias=(LATENTS,), W_dec=(LATENTS, WIDTH), b_dec=(WIDTH,))
    if settings.get("skip_connection"):
        w |= tensors(W_skip=(WIDTH, WIDTH))
    save_file(w, folder / "sae.safetensors")
    common = {"activation": "topk", "expansion_factor": 2, "normalize_decoder": True, "num_latents": 0, "k": K}
    (folder / "cfg.json").write_text(json.dumps({**common, "d_in": WIDTH, **settings}))
    shift = 0 if settings.get("transcode") else w["b_dec"]
    return lambda x: top((x - shift) @ w["encoder.weight"].T + w["encoder.bias"])


def llama_scope(folder: Path, **settings: object):
    """``hyperparams.json`` and ``checkpoints/final.safetensors``, with the published SAEs' settings."""
    w = tensors(**LINEAR, decoder__bias=(WIDTH,))
    (folder / "checkpoints").mkdir()
    save_file(w, folder / "checkpoints" / "final.safetensors")
    hook = "blocks.2.hook_resid_post"
    common = {"act_fn": "jumprelu", "jump_relu_threshold": 0.7, "d_model": WIDTH, "d_sae": LATENTS}
    norms = {"norm_activation": "dataset-wise", "dataset_average_activation_norm": {"in": 9.0, "out": 9.0}}
    places = {"hook_point_in": hook, "hook_point_out": hook, "use_decoder_bias": True}
    content = {**common, **norms, **places, "sparsity_include_decoder_norm": True, **settings}
    (folder / "hyperparams.json").write_text(json.dumps(content))

    def encode(x):
        """The library scales inputs; after training its threshold is for unscaled ones and a decoder of length 1."""
        factor = WIDTH**0.5 / 9.0
        used = x * factor - (w["decoder.bias"] if settings.get("apply_decoder_bias_to_pre_encoder") else 0)
        hidden = used @ w["encoder.weight"].T + w["encoder.bias"]
        return hidden * (hidden / factor * w["decoder.weight"].norm(dim=0) > 0.7)

    return encode


def lm_saes(folder: Path, **settings: object):
    """As ``save_pretrained`` and ``save_hyperparameters`` write them."""
    w = tensors(W_E=(WIDTH, LATENTS), b_E=(LATENTS,), W_D=(LATENTS, WIDTH), b_D=(WIDTH,))
    hook, threshold = "blocks.2.hook_resid_post", torch.rand(LATENTS) + 0.5
    w[f"dataset_average_activation_norm.{hook}"] = torch.tensor(9.0)
    common = {"sae_type": "sae", "hook_point_in": hook, "hook_point_out": hook, "d_model": WIDTH, "top_k": K}
    common |= {"expansion_factor": LATENTS / WIDTH, "norm_activation": "dataset-wise", "act_fn": "jumprelu"}
    content = {**common, "use_glu_encoder": False, "sparsity_include_decoder_norm": True, **settings}
    if content["act_fn"] == "jumprelu":
        w["activation_function.log_jumprelu_threshold"] = threshold.log()
    save_file(w, folder / "sae_weights.safetensors")
    (folder / "config.json").write_text(json.dumps(content))

    def encode(x):
        """Latents of a top-k SAE are as they are compared: times the norm of their decoder vector."""
        factor = WIDTH**0.5 / 9.0 if content["norm_activation"] == "dataset-wise" else 1.0
        hidden = (x * factor) @ w["W_E"] + w["b_E"]
        compared = hidden * w["W_D"].norm(dim=1) if content["sparsity_include_decoder_norm"] else hidden
        return top(compared) if content["act_fn"] == "topk" else hidden * (compared > threshold)

    return encode


KINDS = ["AutoEncoder", "AutoEncoderNew", "GatedAutoEncoder", "JumpReluAutoEncoder", "AutoEncoderTopK"]
KINDS += ["BatchTopKSAE", "MatryoshkaBatchTopKSAE"]
CASES = [(dictionary_learning, {"kind": kind}) for kind in KINDS]
CASES += [(sparsify, {}), (sparsify, {"transcode": True, "skip_connection": True})]
CASES += [(llama_scope, {}), (llama_scope, {"apply_decoder_bias_to_pre_encoder": True})]
CASES += [(lm_saes, {}), (lm_saes, {"act_fn": "topk"})]
CASES += [(lm_saes, {"norm_activation": "inference", "sparsity_include_decoder_norm": False})]


@pytest.mark.parametrize(("write", "settings"), CASES)
def test_activations_are_the_trainers(write, settings, tmp_path):
    folder = tmp_path / ("layers.2.mlp" if "transcode" in settings else "layers.2")
    folder.mkdir()
    encode = write(folder, **settings)
    sae = load_sae(SAEConfig(folder=folder), "cpu")
    x = torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(1)) * 2
    truth = encode(x)
    assert 0 < (truth > 0).float().mean() < 0.9
    with torch.inference_mode():
        torch.testing.assert_close(sae.encode(x), truth, atol=1e-5, rtol=1e-5)
    place = "mlp.hook_in" if "transcode" in settings else "hook_resid_post"
    assert sae.hook_name == f"blocks.2.{place}" and sae.is_transcoder == ("transcode" in settings)
    if "skip_connection" in settings:
        assert sae.output_hook_name == "blocks.2.mlp.hook_out"
        skip = x @ tensors(W_skip=(WIDTH, WIDTH))["W_skip"].T
        with torch.inference_mode():
            difference = sae.rebuild(x, truth) - sae.sae.decode(truth)
        torch.testing.assert_close(difference, skip, atol=1e-5, rtol=1e-5)


def test_a_hub_repository_is_a_folder(tmp_path, monkeypatch):
    """Only the files of a checkpoint are fetched; SAELens' releases stay SAELens'."""
    repository = tmp_path / "repository"
    (repository / "layers.2").mkdir(parents=True)
    encode = sparsify(repository / "layers.2")
    (repository / "config.json").write_text('{"model": "tiny"}')
    (repository / "state.pt").write_text("large")

    def snapshot_download(repo, allow_patterns):
        assert repo == "somebody/saes"
        for pattern in allow_patterns:
            for file in repository.glob(pattern):
                (tmp_path / "fetched" / file.relative_to(repository)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, tmp_path / "fetched" / file.relative_to(repository))
        return str(tmp_path / "fetched")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    sae = load_sae(SAEConfig(**sae_place("hub:somebody/saes/layers.2")), "cpu")
    x = torch.randn(9, WIDTH)
    torch.testing.assert_close(sae.encode(x), encode(x), atol=1e-5, rtol=1e-5)
    assert sae.identity["model_name"] == "tiny" and not (tmp_path / "fetched" / "state.pt").exists()


class Command:
    """A pickle that runs a command when it is read."""

    def __reduce__(self):
        return (open, (Command.file, "w"))


def test_bad_checkpoints_are_refused(tmp_path, tiny_config):
    def refused(write, spoil, **settings):
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}" / "layers.2"
        folder.mkdir(parents=True)
        write(folder, **settings)
        spoil(folder)
        out = folder.parent / "run"
        with pytest.raises(UserError) as error:
            competency_gaps.run({**tiny_config, "sae": {"folder": str(folder), "gate_tokens": 512}}, out)
        assert not (out / "manifest.json").exists()
        return str(error.value)

    def truncate(folder):
        file = next(folder.rglob("*.safetensors"), folder / "ae.pt")
        file.write_bytes(file.read_bytes()[:900])

    def change(name, key, value):
        def spoil(folder):
            content = json.loads((folder / name).read_text())
            content.get("trainer", content)[key] = value
            (folder / name).write_text(json.dumps(content))

        return spoil

    def arm(folder):
        Command.file = str(folder / "was_run")
        torch.save({"b_dec": torch.zeros(2), "more": Command()}, folder / "ae.pt")

    def without(key):
        def spoil(folder):
            weights = torch.load(folder / "ae.pt")
            del weights[key]
            torch.save(weights, folder / "ae.pt")

        return spoil

    assert "'b_dec' is missing" in refused(dictionary_learning, without("b_dec"))
    assert "ae.pt is damaged" in refused(dictionary_learning, lambda folder: (folder / "ae.pt").write_bytes(b""))
    assert "k = 65 of 64 latents" in refused(sparsify, change("cfg.json", "k", 65))
    for write in (dictionary_learning, sparsify, llama_scope, lm_saes):
        assert "cannot be loaded" in refused(write, truncate)
    wrong = "its encoder maps 32 to 64 dimensions. Expected 48 to 64, as"
    assert wrong in refused(dictionary_learning, change("config.json", "activation_dim", 48))
    assert "Expected 48 to 96" in refused(sparsify, change("cfg.json", "d_in", 48))
    assert wrong in refused(llama_scope, change("hyperparams.json", "d_model", 48))
    assert "holds more than tensors" in refused(dictionary_learning, arm)
    assert not Path(Command.file).exists()
    assert "'Crosscoder' is not read" in refused(dictionary_learning, change("config.json", "dict_class", "Crosscoder"))
    assert "has config.json but not ae.pt" in refused(dictionary_learning, lambda folder: (folder / "ae.pt").unlink())
    assert "'groupmax' is not read. Expected 'topk'" in refused(sparsify, lambda _: None, activation="groupmax")
    other = {"hook_point_out": "blocks.2.hook_mlp_out"}
    assert "no transcoders" in refused(llama_scope, lambda _: None, **other)
    assert "no others" in refused(lm_saes, lambda _: None, sae_type="lorsa")
    assert "'token-wise' is not read" in refused(lm_saes, lambda _: None, norm_activation="token-wise")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["AutoEncoder", "AutoEncoderTopK", "BatchTopKSAE", "MatryoshkaBatchTopKSAE"])
def test_dictionary_learning_encodes_alike(kind, tmp_path):
    """The library reads the files that this module's tests write as this package does."""
    utils = pytest.importorskip("dictionary_learning.utils", reason="dictionary_learning is not installed")
    dictionary_learning(tmp_path, kind)
    theirs, _ = utils.load_dictionary(str(tmp_path), "cpu")
    x = torch.randn(50, WIDTH)
    with torch.inference_mode():
        ours = load_sae(SAEConfig(folder=tmp_path, hook_name="blocks.2.hook_resid_post"), "cpu").encode(x)
        torch.testing.assert_close(ours, theirs.encode(x), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("transcode", [False, True])
def test_sparsify_encodes_and_rebuilds_alike(transcode, tmp_path):
    """Trained for a few steps and saved by the library."""
    library = pytest.importorskip("sparsify", reason="eai-sparsify is not installed")
    torch.manual_seed(0)
    config = library.SparseCoderConfig(num_latents=LATENTS, k=K, transcode=transcode, skip_connection=transcode)
    theirs, folder = library.SparseCoder(WIDTH, config), tmp_path / "layers.2.mlp"
    x, y = torch.randn(2, 200, WIDTH)
    optimizer = torch.optim.Adam(theirs.parameters(), 0.01)
    for _ in range(20):
        theirs(x, y if transcode else x).fvu.backward()
        optimizer.step()
        optimizer.zero_grad()
    theirs.save_to_disk(folder)
    ours = load_sae(SAEConfig(folder=folder), "cpu")
    with torch.inference_mode():
        truth = theirs.encode(x)
        latents = torch.zeros(len(x), LATENTS).scatter(1, truth.top_indices, truth.top_acts)
        torch.testing.assert_close(ours.encode(x), latents, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours.rebuild(x, latents), theirs(x, y).sae_out, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["relu", "jumprelu", "topk"])
def test_lm_saes_encodes_alike(kind, tmp_path):
    library = pytest.importorskip("llamascopium", reason="llamascopium is not installed")
    hook, typical = "blocks.2.hook_resid_post", 9.0
    config = library.SAEConfig(
        hook_point_in=hook, hook_point_out=hook, d_model=WIDTH, expansion_factor=2, act_fn=kind, top_k=K
    )
    theirs, w = library.SparseAutoEncoder(config), tensors(W_E=(WIDTH, LATENTS), W_D=(LATENTS, WIDTH), b_D=(WIDTH,))
    w |= {"b_E": torch.rand(LATENTS)} | (
        {"activation_function.log_jumprelu_threshold": torch.rand(LATENTS)} if kind == "jumprelu" else {}
    )
    theirs.load_state_dict(w)
    theirs.set_dataset_average_activation_norm({hook: typical})
    theirs.save_pretrained(tmp_path)
    config.save_hyperparameters(tmp_path)
    x = torch.randn(50, WIDTH) * 2
    ours = load_sae(SAEConfig(folder=tmp_path), "cpu")
    with torch.inference_mode():
        scaled = x * theirs.compute_norm_factor(x, hook)
        truth = theirs.encode(scaled)
        rebuilt = theirs.decode(truth) / theirs.compute_norm_factor(x, hook)
        latents = ours.encode(x)
        torch.testing.assert_close(ours.rebuild(x, latents), rebuilt, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            latents, truth * (w["W_D"].norm(dim=1) if kind == "topk" else 1), atol=1e-5, rtol=1e-5
        )
