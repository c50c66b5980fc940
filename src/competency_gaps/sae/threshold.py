"""SAEs of one matrix product and a threshold, read from a folder that SAELens saved, without SAELens.

Most published SAEs end up in this form: ReLU, JumpReLU, and BatchTopK and Matryoshka SAEs once they are trained.
SAELens brings some sixty packages, one of which has to be built, and takes seconds to import; the demo needs none of
that. Tests compare every number with SAELens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

_ARCHITECTURES = {"standard": False, "jumprelu": True}
"""Whether an architecture has thresholds; without, a latent is active above 0."""
_DEFAULTS = {"normalize_activations": "none", "reshape_activations": "none", "apply_b_dec_to_input": True}
"""Settings that change the arithmetic, with SAELens' defaults."""
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
_KEYS = {*_DEFAULTS, "architecture", "d_in", "d_sae", "device", "dtype", "metadata"}


def is_threshold_sae(config: Mapping[str, Any]) -> bool:
    """Return whether the content of a ``cfg.json`` describes an SAE that this module reads.

    A key that this module does not know may change the arithmetic, and files from before SAELens 6 have other keys:
    both are left to SAELens.
    """
    metadata = config.get("metadata")
    version = str(metadata.get("sae_lens_version")) if isinstance(metadata, dict) else ""
    return (
        re.match(r"([6-9]|\d{2,})\.", version) is not None
        and config.get("architecture") in _ARCHITECTURES
        and config.keys() <= _KEYS
        and config.get("reshape_activations", "none") == "none"
        and config.get("normalize_activations", "none") == "none"
    )


class ThresholdSAE(torch.nn.Module):  # type: ignore[misc]
    """An SAE whose latents are ``h * (h > max(0, threshold))`` with ``h = (x - b) @ W_enc + b_enc``.

    The names of the parameters are SAELens', so that a hash of the weights is the same.

    Parameters
    ----------
    weights : dict of torch.Tensor
        ``W_enc`` (d_in, d_sae), ``b_enc`` (d_sae,), ``W_dec`` (d_sae, d_in), ``b_dec`` (d_in,) and, for JumpReLU,
        ``threshold`` (d_sae,).
    subtract_bias
        Whether ``b`` is ``b_dec``; else 0.
    """

    def __init__(self, weights: Mapping[str, torch.Tensor], *, subtract_bias: bool) -> None:
        super().__init__()
        for name, value in weights.items():
            self.register_parameter(name, torch.nn.Parameter(value, requires_grad=False))
        self.subtract_bias = subtract_bias

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.W_enc.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights and of the latents."""
        return self.W_enc.dtype

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the latents of activations: (tokens, d_in) -> (tokens, d_sae), >= 0."""
        x = x.to(self.dtype)
        hidden = (x - self.b_dec if self.subtract_bias else x) @ self.W_enc
        hidden += self.b_enc
        hidden.relu_()
        if hasattr(self, "threshold"):
            hidden *= hidden > self.threshold
        return hidden

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the activations rebuilt from latents: (tokens, d_sae) -> (tokens, d_in)."""
        return latents @ self.W_dec + self.b_dec


def read_threshold_sae(folder: Path, config: Mapping[str, Any], *, device: str, dtype: str) -> ThresholdSAE:
    """Return the SAE in a folder whose ``cfg.json`` is ``config``.

    Raises
    ------
    KeyError
        If a setting is missing.
    ValueError
        If a tensor is missing or not expected, or has another shape than ``d_in`` and ``d_sae`` say.
    SafetensorError
        If the file is damaged.
    """
    d_in, d_sae = int(config["d_in"]), int(config["d_sae"])
    shapes = {"W_enc": (d_in, d_sae), "b_enc": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    if _ARCHITECTURES[config["architecture"]]:
        shapes["threshold"] = (d_sae,)
    with safe_open(folder / "sae_weights.safetensors", framework="pt", device=device) as file:
        there = set(file.keys())
        if there != shapes.keys():
            raise ValueError(f"its weights are {sorted(there)}, expected {sorted(shapes)}")
        weights = {name: file.get_tensor(name).to(_DTYPES[dtype]) for name in shapes}
    for name, shape in shapes.items():
        if weights[name].shape != shape:
            raise ValueError(f"{name} has the shape {tuple(weights[name].shape)}, expected {shape}")
    return ThresholdSAE(weights, subtract_bias=bool(config.get("apply_b_dec_to_input", True)))


def settings(config: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Return the settings that change the arithmetic, as in SAELens' configuration."""
    sizes = {key: config[key] for key in ("architecture", "d_in", "d_sae")}
    return {**{key: config.get(key, value) for key, value in _DEFAULTS.items()}, **sizes, "dtype": dtype}
