"""Load a sparse autoencoder: plain ones from a folder without SAELens, all others with it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from competency_gaps.config import SAEConfig
from competency_gaps.model.load import weights_hash
from competency_gaps.sae.directory import check_release
from competency_gaps.sae.header import cannot_be_loaded, import_saelens, place_of, read_cfg, usable_hook

if TYPE_CHECKING:
    import torch
    from sae_lens import SAE


class Autoencoder(Protocol):
    """The arithmetic of an SAE, as of SAELens' SAEs and :class:`~competency_gaps.sae.threshold.ThresholdSAE`."""

    W_enc: torch.Tensor
    """(d_in, d_sae)."""
    W_dec: torch.Tensor
    """(d_sae, d_in)."""

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Latents of activations: (tokens, d_in) -> (tokens, d_sae)."""

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Activations rebuilt from latents: (tokens, d_sae) -> (tokens, d_in)."""


@dataclass(frozen=True)
class SparseAutoencoder:
    """A loaded SAE and its identity."""

    sae: Autoencoder
    name: str
    """Folder, or ``release/id``."""
    hook_name: str
    """Where the activations are read."""
    prepend_bos: bool | None
    """Whether it was trained on inputs with a BOS token; None: unknown."""
    folder: Path | None
    """Its folder, which may hold reference statistics and labels; None for a release."""
    identity: dict[str, Any]
    """What the manifest records."""

    @property
    def d_in(self) -> int:
        """Width of the activations it reads."""
        return int(self.identity["d_in"])

    @property
    def d_sae(self) -> int:
        """Number of latents."""
        return int(self.identity["d_sae"])

    def encode(self, activations: torch.Tensor) -> torch.Tensor:
        """Latents of activations.

        Normalisation and the decoder's bias belong to this step, so nothing is applied before it.

        Parameters
        ----------
        activations : torch.Tensor of shape (tokens, d_in)

        Returns
        -------
        torch.Tensor of shape (tokens, d_sae), dense, in the SAE's dtype
        """
        latents = self.sae.encode(activations.to(self.sae.device))
        return latents.to_dense() if latents.is_sparse else latents


def load_sae(config: SAEConfig, device: torch.device | str) -> SparseAutoencoder:
    """Load the SAE that a configuration names.

    Raises
    ------
    MissingExtraError
        If the SAE needs sae-lens, which is not installed.
    UserError
        If there is no such folder, release or id, or it says no hook and none is configured.
    """
    name, folder = place_of(config)
    if folder is not None:
        sae, settings, metadata = _from_folder(folder, name, str(device), config.dtype)
    else:
        sae, settings, metadata = _taken_apart(_from_release(config, str(device)))
    hook_name = usable_hook(config, name, settings, metadata)
    identity = {
        "name": name,
        "architecture": settings["architecture"],
        "d_in": int(settings["d_in"]),
        "d_sae": int(settings["d_sae"]),
        "dtype": config.dtype,
        "hook_name": hook_name,
        "model_name": metadata.get("model_name"),
        "neuronpedia_id": metadata.get("neuronpedia_id"),
        "weights_sha256": weights_hash(sae),
        # Everything in the SAE's file that changes its arithmetic: normalisation, k, bias handling.
        "settings_sha256": hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest(),
    }
    return SparseAutoencoder(sae, name, hook_name, metadata.get("prepend_bos"), folder, identity)


def _taken_apart(sae: SAE[Any]) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """An SAE of SAELens, its settings, and its metadata."""
    sae.eval()
    # Hooks give heads joined (see ``model.hooks.captured``), and SAELens' reshaping would join tokens as well.
    sae.turn_off_forward_pass_hook_z_reshaping()
    settings = {key: value for key, value in sae.cfg.to_dict().items() if key not in ("metadata", "device")}
    # SAELens' metadata gives None for any unknown name; a plain dictionary does not.
    return sae, settings, dict(sae.cfg.metadata.items())


def _from_folder(folder: Path, name: str, device: str, dtype: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The SAE of a folder, its settings, and its metadata."""
    from safetensors import SafetensorError

    from competency_gaps.sae import threshold

    try:
        config = read_cfg(folder, name)
        if threshold.is_threshold_sae(config):
            sae = threshold.read_threshold_sae(folder, config, device=device, dtype=dtype)
            return sae, threshold.settings(config, dtype), config["metadata"]
        return _taken_apart(import_saelens().load_from_disk(folder, device=device, dtype=dtype))
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError, SafetensorError) as error:
        raise cannot_be_loaded(repr(name), error) from error


def _from_release(config: SAEConfig, device: str) -> SAE[Any]:
    release, sae_id = str(config.release), str(config.id)
    check_release(release, sae_id)
    loader = import_saelens()
    try:
        return loader.from_pretrained(release, sae_id, device=device, dtype=config.dtype)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise cannot_be_loaded(f"{release}/{sae_id}", error) from error
