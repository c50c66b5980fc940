"""Load a sparse autoencoder with SAELens, whatever its architecture."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competency_gaps.config import SAEConfig
from competency_gaps.embedded import embedded_sae
from competency_gaps.errors import MissingExtraError, UserError, nearest
from competency_gaps.model.load import weights_hash

if TYPE_CHECKING:
    import torch
    from sae_lens import SAE


@dataclass(frozen=True)
class SparseAutoencoder:
    """A loaded SAE with what identifies it."""

    sae: SAE[Any]
    name: str
    """Folder, or ``release/id``."""
    hook_name: str
    """Where the activations are read."""
    prepend_bos: bool | None
    """Whether it was trained on inputs that start with the first token; null if it does not say."""
    folder: Path | None
    """Its folder, where reference statistics and labels may lie; null for a release."""
    identity: dict[str, Any]
    """What the manifest records."""

    @property
    def d_in(self) -> int:
        """Width of the activations it reads."""
        return int(self.sae.cfg.d_in)

    @property
    def d_sae(self) -> int:
        """Number of latents."""
        return int(self.sae.cfg.d_sae)

    def encode(self, activations: torch.Tensor) -> torch.Tensor:
        """Latents of activations, by SAELens itself.

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
        If sae-lens is not installed.
    UserError
        If there is no such folder, release or id, or it says no hook and none is configured.
    """
    try:
        from sae_lens import SAE
    except ImportError as error:
        raise MissingExtraError("sae-lens", "run", "Loading an SAE") from error
    folder: Path | None = None
    if config.folder is not None:
        text = str(config.folder)
        folder = embedded_sae(text) if text.startswith("embedded:") else Path(text).expanduser()
        name = text
        sae = _from_folder(SAE, folder, name, str(device), config.dtype)
    else:
        name = f"{config.release}/{config.id}"
        sae = _from_release(SAE, config, str(device))
    sae.eval()
    if sae.cfg.architecture() == "temporal":
        raise UserError(
            f"SAE {name!r} is temporal: its latents depend on the tokens before, but spans are encoded token by token. "
            f"Use an SAE of another architecture."
        )
    # Hooks give heads joined (see ``model.hooks.captured``), and SAELens' reshaping would join tokens as well.
    sae.turn_off_forward_pass_hook_z_reshaping()
    metadata = sae.cfg.metadata
    # SAELens' metadata answers null to any name, so each name is checked against the file's keys.
    known = dict(metadata.items())
    hook_name = config.hook_name or known.get("hook_name") or known.get("hf_hook_name")
    if not hook_name:
        raise UserError(f"SAE {name!r} does not say where its activations come from: set sae.hook_name.")
    identity = {
        "name": name,
        "architecture": sae.cfg.architecture(),
        "d_in": int(sae.cfg.d_in),
        "d_sae": int(sae.cfg.d_sae),
        "dtype": config.dtype,
        "hook_name": hook_name,
        "model_name": known.get("model_name"),
        "neuronpedia_id": known.get("neuronpedia_id"),
        "weights_sha256": weights_hash(sae),
        # Everything in the SAE's file that changes its arithmetic: normalisation, k, bias handling.
        "settings_sha256": _settings_hash(sae),
    }
    return SparseAutoencoder(sae, name, str(hook_name), known.get("prepend_bos"), folder, identity)


def _from_folder(loader: type[SAE[Any]], folder: Path, name: str, device: str, dtype: str) -> SAE[Any]:
    from safetensors import SafetensorError

    for file in ("cfg.json", "sae_weights.safetensors"):
        if not (folder / file).is_file():
            raise UserError(
                f"SAE {name!r}: {folder / file} is missing. Expected a folder saved by SAELens, "
                f"with cfg.json and sae_weights.safetensors."
            )
    try:
        return loader.load_from_disk(folder, device=device, dtype=dtype)
    except (KeyError, ValueError, RuntimeError, TypeError, SafetensorError) as error:
        raise UserError(f"SAE {name!r} cannot be loaded: {_short(error)}") from error


def _from_release(loader: type[SAE[Any]], config: SAEConfig, device: str) -> SAE[Any]:
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    directory = get_pretrained_saes_directory()
    release, sae_id = str(config.release), str(config.id)
    if release not in directory and "/" not in release:
        raise UserError(f"SAE release {release!r} is not in SAELens' directory.{nearest(release, directory)}")
    if release in directory and sae_id not in directory[release].saes_map:
        ids = list(directory[release].saes_map)
        shown = ", ".join(ids[:20]) + (f", and {len(ids) - 20} more" if len(ids) > 20 else "")
        raise UserError(f"SAE id {sae_id!r} is not in release {release!r}.{nearest(sae_id, ids)} It has: {shown}")
    try:
        return loader.from_pretrained(release, sae_id, device=device, dtype=config.dtype)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"SAE {release}/{sae_id} cannot be loaded: {_short(error)}") from error


def _settings_hash(sae: SAE[Any]) -> str:
    settings = {key: value for key, value in sae.cfg.to_dict().items() if key not in ("metadata", "device")}
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def _short(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
