"""Read checkpoints of other trainers of SAEs: dictionary_learning, sparsify, OpenMOSS' Llama Scope, and its successor
lm-saes.

The converters at the end return SAELens' configuration and tensors, each with the arithmetic of the trainer's
``encode``. SAELens' loaders of these formats fetch from the hub only, or (sparsify) transpose the decoder wrongly and
always read the residual stream.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from competency_gaps.util.errors import UserError, needed

if TYPE_CHECKING:
    import torch

_FILES = {
    "dictionary_learning": ("config.json", "ae.pt"),
    "sparsify": ("cfg.json", "sae.safetensors"),
    "Llama Scope": ("hyperparams.json", "checkpoints/final.safetensors"),
    "lm-saes": ("config.json", "sae_weights.safetensors"),
}
"""By format: the file with its settings and the file with its weights."""
_NEEDED = {
    "hyperparams.json": "checkpoints/final.safetensors",
    "config.json": "ae.pt (dictionary_learning) or sae_weights.safetensors (lm-saes)",
}
"""By file with settings: the file that must be beside it."""
_LEARNED = {
    "AutoEncoder": "standard",
    "AutoEncoderNew": "standard",
    "GatedAutoEncoder": "gated",
    "JumpReluAutoEncoder": "jumprelu",
    "AutoEncoderTopK": "topk",
    "BatchTopKSAE": "jumprelu",
    "MatryoshkaBatchTopKSAE": "jumprelu",
}
"""SAELens' architectures by class of dictionary_learning."""


class Converted(NamedTuple):
    """An SAE as SAELens' settings and tensors."""

    settings: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    metadata: dict[str, Any]
    skip: torch.Tensor | None = None
    """In a skip transcoder, the linear map of its input: (d_out, d_in); else None."""


def find_format(folder: Path) -> str | None:
    """Return the format of a checkpoint's folder, or None if this module does not read it.

    Raises
    ------
    UserError
        If the settings of one of the formats are there, but not the weights.
    """
    has_cfg = (folder / "cfg.json").is_file()
    for name, (settings, weights) in _FILES.items():
        # With cfg.json the weights are SAELens' and config.json belongs to the repository.
        if (folder / weights).is_file() and (folder / settings).is_file() and not (name == "lm-saes" and has_cfg):
            return name
    for settings, weights in _NEEDED.items():
        if (folder / settings).is_file() and not has_cfg:
            raise UserError(f"SAE {str(folder)!r} has {settings} but not {weights}. Expected both: copy it as well.")
    return None


def fetch_checkpoint(repo: str, inside: str) -> Path | None:
    """Fetch a folder of a hub repository; return it if it holds a checkpoint of one of these formats, else None."""
    with needed("huggingface-hub", "run", "Fetching this SAE"):
        from huggingface_hub import snapshot_download

    files = [f"{inside}/{file}".removeprefix("./") for pair in _FILES.values() for file in pair]
    folder = Path(snapshot_download(repo, allow_patterns=[*files, "config.json"])) / inside
    return folder if find_format(folder) else None


def read_checkpoint(folder: Path, name: str, *, device: str, dtype: str) -> Any:
    """Return an SAE of SAELens from a checkpoint's folder, with the trainer's metadata.

    Raises
    ------
    UserError
        If weights and settings do not fit together, or the trainer's settings are not supported.
    ValueError
        If the weights are damaged, or more latents are to be active than exist.
    """
    with needed("sae-lens", "run", "Loading this SAE"):
        import torch
        from sae_lens import SAE

    form = find_format(folder)
    settings_file, weights_file = _FILES[str(form)]
    settings = json.loads((folder / settings_file).read_text(encoding="utf-8"))
    converted = _CONVERTERS[str(form)](settings, _read_weights(folder / weights_file, name), folder)
    sizes, tensors = [converted.settings["d_in"], converted.settings["d_sae"]], converted.tensors
    if (maps := list(tensors["W_enc"].shape)) != sizes:
        raise UserError(
            f"SAE {name!r}: its encoder maps {maps[0]} to {maps[1]} dimensions. Expected {sizes[0]} to {sizes[1]}, as "
            f"{settings_file} says: use the weights and the settings of one SAE."
        )
    if not 0 < (k := converted.settings.get("k", 1)) <= sizes[1]:
        raise ValueError(f"k = {k} of {sizes[1]} latents")
    config = {
        **{"dtype": dtype, "device": device, "normalize_activations": "none", "reshape_activations": "none"},
        **converted.settings,
        "metadata": {"sae_lens_version": version("sae-lens"), **converted.metadata},
    }
    content = (config, tensors)
    sae = SAE.load_from_disk(folder, device=device, dtype=dtype, converter=lambda *_, **__: content)
    if converted.skip is not None:
        sae.register_parameter("W_skip", torch.nn.Parameter(converted.skip.to(sae.device, sae.dtype)))
    return sae


def _read_weights(file: Path, name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a weights file, floats as float32; nothing in the file is run."""
    import torch
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            tensors = load_file(file)
        else:
            tensors = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"SAE {name!r}: {file.name} holds more than tensors, which could run code. Expected the tensors that "
            f"dictionary_learning saves; nothing in it was run. Ask its authors for the state_dict alone."
        ) from error
    except (EOFError, KeyError) as error:
        raise ValueError(f"{file.name} is damaged") from error
    return {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}


def _from_dictionary_learning(settings: Mapping[str, Any], weights: dict[str, torch.Tensor], _: Path) -> Converted:
    """Return an SAE of dictionary_learning, whose ``config.json`` names the class.

    A trained BatchTopK SAE encodes with its learned threshold.
    """
    trainer = settings["trainer"]
    kind = trainer["dict_class"]
    if kind not in _LEARNED:
        raise UserError(f"dictionary_learning's {kind!r} is not read. Expected one of {', '.join(_LEARNED)}.")
    linear = "encoder.weight" in weights
    tensors = {
        "W_enc": weights["encoder.weight"].T if linear else weights["W_enc"],
        "W_dec": weights["decoder.weight"].T if linear else weights["W_dec"],
        "b_dec": weights[next((key for key in ("bias", "decoder_bias", "decoder.bias") if key in weights), "b_dec")],
    }
    for theirs, ours in (("gate_bias", "b_gate"), ("mag_bias", "b_mag"), ("r_mag", "r_mag")):
        if theirs in weights:
            tensors[ours] = weights[theirs]
    if _LEARNED[kind] != "gated":
        tensors["b_enc"] = weights["encoder.bias"] if linear else weights["b_enc"]
    if kind == "AutoEncoder":  # the library scales decoder vectors to length 1 when it loads them
        norms = tensors["W_dec"].norm(dim=1)
        tensors |= {"W_enc": tensors["W_enc"] * norms, "b_enc": tensors["b_enc"] * norms}
        tensors["W_dec"] = tensors["W_dec"] / norms[:, None]
    if _LEARNED[kind] == "jumprelu":
        tensors["threshold"] = weights["threshold"].expand(tensors["W_enc"].shape[1]).clamp(min=0).clone()
    subtracts = kind not in ("AutoEncoderNew", "JumpReluAutoEncoder")
    form = {"architecture": _LEARNED[kind], "apply_b_dec_to_input": subtracts}
    form |= {"d_in": trainer["activation_dim"], "d_sae": trainer["dict_size"]}
    if form["architecture"] == "topk":
        form["k"] = int(weights["k"] if "k" in weights else trainer["k"])
    layer, module = trainer.get("layer"), str(trainer.get("submodule_name") or "")
    site = next((hook for word, hook in (("mlp", "mlp_out"), ("att", "attn_out")) if word in module), "resid_post")
    hook = None if layer is None else f"blocks.{layer}.hook_{site}"
    l0 = trainer.get("k") if "TopK" in kind else None
    return Converted(form, tensors, {"hook_name": hook, "model_name": trainer.get("lm_name"), "l0": l0})


def _from_sparsify(settings: Mapping[str, Any], weights: dict[str, torch.Tensor], folder: Path) -> Converted:
    """Return an SAE or transcoder of sparsify; the folder is named after the module that it reads."""
    if settings.get("activation", "topk") != "topk":
        raise UserError(f"sparsify's activation {settings['activation']!r} is not read. Expected 'topk'.")
    d_in, transcodes = settings["d_in"], bool(settings.get("transcode"))
    d_sae = settings.get("num_latents") or d_in * settings["expansion_factor"]
    form = {"architecture": "topk", "k": settings["k"], "d_in": d_in, "d_sae": d_sae}
    tensors = {"W_enc": weights["encoder.weight"].T, "b_enc": weights["encoder.bias"]}
    tensors |= {"W_dec": weights["W_dec"], "b_dec": weights["b_dec"]}
    metadata: dict[str, Any] = {"l0": settings["k"]}
    module = re.fullmatch(r"(?:.*\.)?(?:layers|h|blocks)\.(\d+)(?:\.(mlp|self_attn|attn|attention))?", folder.name)
    if module:
        part = {None: "hook_resid_post", "mlp": "mlp.hook_out"}.get(module[2], "hook_attn_out")
        metadata["hook_name"] = f"blocks.{module[1]}.{part}"
        if transcodes and part == "mlp.hook_out":
            metadata |= {"hook_name": f"blocks.{module[1]}.mlp.hook_in", "hook_name_out": metadata["hook_name"]}
    run = folder.parent / "config.json"
    if run.is_file():
        metadata["model_name"] = json.loads(run.read_text(encoding="utf-8")).get("model")
    return Converted({**form, "apply_b_dec_to_input": not transcodes}, tensors, metadata, weights.get("W_skip"))


def _from_scope(settings: Mapping[str, Any], weights: dict[str, torch.Tensor], _: Path) -> Converted:
    """Return an SAE of Llama Scope, with the scaling of inputs folded into its weights.

    Inputs are scaled by ``f = sqrt(d_model) / their mean norm``, outputs are scaled back. The threshold is for unscaled
    inputs and decoder vectors of length 1, as the library uses it after training; the latents are those of scaled
    inputs, as in SAELens.
    """
    import torch

    _check_scope(settings, ("relu", "jumprelu"))
    scale = 1.0
    if settings["norm_activation"] == "dataset-wise":
        scale = settings["d_model"] ** 0.5 / settings["dataset_average_activation_norm"]["in"]
    encoder, decoder = weights["encoder.weight"], weights["decoder.weight"]
    bias = weights.get("decoder.bias", torch.zeros(len(decoder)))
    b_enc = weights["encoder.bias"] - (encoder @ bias if settings.get("apply_decoder_bias_to_pre_encoder") else 0)
    tensors = {"W_enc": encoder.T * scale, "b_enc": b_enc, "W_dec": decoder.T / scale, "b_dec": bias / scale}
    form = {"architecture": "standard", "d_in": settings["d_model"], "d_sae": settings["d_sae"]}
    if settings["act_fn"] == "jumprelu":
        norms = decoder.norm(dim=0) if settings.get("sparsity_include_decoder_norm") else torch.ones(decoder.shape[1])
        form["architecture"] = "jumprelu"
        tensors["threshold"] = settings["jump_relu_threshold"] * scale / norms
    return Converted({**form, "apply_b_dec_to_input": False}, tensors, {"hook_name": settings["hook_point_in"]})


def _from_lm_saes(settings: Mapping[str, Any], weights: dict[str, torch.Tensor], _: Path) -> Converted:
    """Return an SAE of lm-saes, with the scaling of inputs folded into its weights as for Llama Scope.

    Before the activation function, the library multiplies latents by their decoder's norm. A top-k SAE compares and
    returns them multiplied.
    """
    import torch

    _check_scope(settings, ("relu", "jumprelu", "topk"))
    hook, norm, kind = settings["hook_point_in"], settings["norm_activation"], settings["act_fn"]
    if norm not in ("inference", "dataset-wise"):
        raise UserError(f"lm-saes' normalisation {norm!r} is not read. Expected 'inference' or 'dataset-wise'.")
    typical = float(weights[f"dataset_average_activation_norm.{hook}"])
    scale = settings["d_model"] ** 0.5 / typical if norm == "dataset-wise" else 1.0
    encoder, decoder, b_enc = weights["W_E"] * scale, weights["W_D"] / scale, weights["b_E"]
    norms = weights["W_D"].norm(dim=1) if settings["sparsity_include_decoder_norm"] else torch.ones(len(b_enc))
    form = {"architecture": {"relu": "standard"}.get(kind, kind), "d_in": settings["d_model"], "d_sae": len(b_enc)}
    if kind == "topk":
        form["k"], encoder, b_enc, decoder = settings["top_k"], encoder * norms, b_enc * norms, decoder / norms[:, None]
    b_dec = weights.get("b_D", torch.zeros(settings["d_model"])) / scale
    tensors = {"W_enc": encoder, "b_enc": b_enc, "W_dec": decoder, "b_dec": b_dec}
    if kind == "jumprelu":
        tensors["threshold"] = weights["activation_function.log_jumprelu_threshold"].exp() / norms
    return Converted({**form, "apply_b_dec_to_input": False}, tensors, {"hook_name": hook, "l0": form.get("k")})


def _check_scope(settings: Mapping[str, Any], kinds: tuple[str, ...]) -> None:
    """Raise UserError for OpenMOSS' transcoders, gated encoders, and activation functions other than ``kinds``."""
    places = settings.get("hook_point_in"), settings.get("hook_point_out")
    if settings.get("sae_type", "sae") != "sae" or places[0] != places[1] or settings.get("use_glu_encoder"):
        raise UserError("of OpenMOSS' dictionaries only SAEs without a gate are read, no transcoders and no others.")
    if settings["act_fn"] not in kinds:
        expected = ", ".join(map(repr, kinds))
        raise UserError(f"OpenMOSS' activation {settings['act_fn']!r} is not read. Expected one of {expected}.")


_CONVERTERS = {
    "dictionary_learning": _from_dictionary_learning,
    "sparsify": _from_sparsify,
    "Llama Scope": _from_scope,
    "lm-saes": _from_lm_saes,
}
