"""SAEs of every architecture of SAELens, small and random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

WIDTH, LATENTS = 32, 64

INFERENCE = {
    "standard": {},
    "gated": {},
    "topk": {"k": 5},
    "jumprelu": {},
    "transcoder": {"d_out": WIDTH},
    "skip_transcoder": {"d_out": WIDTH},
    "jumprelu_transcoder": {"d_out": WIDTH},
    "jumprelu_skip_transcoder": {"d_out": WIDTH},
}
"""Architectures whose latents are never negative and depend on their own token only."""
LEFT_OUT = {"abstopk": "signed", "matching_pursuit": "signed", "temporal": "reads sequences"}


def build(
    architecture: str,
    folder: Path,
    *,
    hook: str = "blocks.2.hook_resid_post",
    seed: int = 0,
    metadata: dict[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """Save a random SAE of one architecture, about a quarter of its latents active per token."""
    from sae_lens.registry import get_sae_class
    from sae_lens.saes.sae import SAEMetadata

    kind, config = get_sae_class(architecture)
    options = {**INFERENCE.get(architecture, {}), **settings}
    about = SAEMetadata(hook_name=hook, model_name="tiny", **(metadata or {}))
    sae = kind(config(**{"d_in": WIDTH, "d_sae": LATENTS, "metadata": about, **options}))
    randomise(sae, seed)
    sae.save_model(folder)
    return folder


def randomise(sae: torch.nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.3 if parameter.dim() > 1 else 0.2))
            if name == "threshold":
                parameter.copy_(torch.rand(parameter.shape, generator=generator) * 0.5 + 0.1)


def trained(kind: str, folder: Path) -> Path:
    """A BatchTopK or Matryoshka SAE as its trainer saves it for use: as a JumpReLU SAE with the learned threshold."""
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.saes.matryoshka_batchtopk_sae import (
        MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
    )
    from sae_lens.saes.sae import SAEMetadata

    metadata = SAEMetadata(hook_name="blocks.2.hook_resid_post", model_name="tiny")
    if kind == "batchtopk":
        sae = BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(d_in=WIDTH, d_sae=LATENTS, k=5, metadata=metadata))
    else:
        config = MatryoshkaBatchTopKTrainingSAEConfig(
            d_in=WIDTH, d_sae=LATENTS, k=5, matryoshka_widths=[16, 64], metadata=metadata
        )
        sae = MatryoshkaBatchTopKTrainingSAE(config)
    randomise(sae, 1)
    with torch.no_grad():
        sae.topk_threshold.fill_(0.4)
    folder.mkdir(parents=True, exist_ok=True)
    sae.save_inference_model(folder)
    return folder


def random_sae(folder: Path, hook: str) -> Path:
    """Sparse enough for the gate, but it explains nothing: its decoder has nothing to do with its encoder."""
    from sae_lens import SAE

    build("standard", folder, hook=hook)
    sae = SAE.load_from_disk(folder)
    with torch.no_grad():
        sae.W_dec.mul_(5)
    sae.save_model(folder)
    return folder
