"""Which sparse autoencoder reads the model, and how one is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from competency_gaps.config.base import Config
from competency_gaps.config.model import ModelConfig
from competency_gaps.errors import UserError


class SAEConfig(Config):
    """A sparse autoencoder that SAELens can load."""

    release: str | None = None
    """Release in SAELens' directory, or a hub repository."""
    id: str | None = None
    """SAE inside the release."""
    folder: Path | str | None = None
    """Folder with ``cfg.json`` and ``sae_weights.safetensors``, or ``embedded:...``."""
    hook_name: str | None = None
    """Where the activations are read; None: at the SAE's own hook."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of the encoder."""
    dictionary: Path | None = None
    """Folder with labels and themes of its concepts; None: the SAE's own folder, if it holds any."""
    force: bool = False
    """Run even if the sanity gate finds that the SAE does not fit the activations."""
    gate_tokens: Annotated[int, Field(ge=256)] = 16384
    """Tokens of the run that the sanity gate reads."""

    @model_validator(mode="after")
    def _one_place(self) -> SAEConfig:
        if (self.folder is None) == (self.release is None):
            raise ValueError("give either 'folder', or 'release' with 'id'")
        if self.release is not None and self.id is None:
            raise ValueError("'release' needs 'id', the SAE inside the release")
        return self


def sae_place(name: str) -> dict[str, str]:
    """Keys of :class:`SAEConfig` for an SAE that is named in one text: a folder, ``RELEASE/ID`` or ``embedded:NAME``.

    Raises
    ------
    UserError
        If it is none of these.
    """
    if name.startswith("embedded:") or Path(name).expanduser().is_dir():
        return {"folder": name}
    release, slash, sae_id = name.partition("/")
    if not slash:
        raise UserError(f"SAE {name!r}: expected a folder, RELEASE/ID of SAELens' directory, or embedded:NAME.")
    return {"release": release, "id": sae_id}


class TrainingConfig(Config):
    """How ``cgaps train-sae`` makes an SAE; what is not set here is SAELens' default."""

    model: ModelConfig
    texts: Annotated[list[Path], Field(min_length=1)]
    """Parquet, JSONL or plain-text files; columns ``text`` and/or ``messages``."""
    heldout: list[Path] = []
    """Files for the figures of the card and the reference statistics; never trained on."""
    heldout_tokens: Annotated[int, Field(gt=0)] = 300_000
    """Tokens of them that are read."""
    hook_name: str
    architecture: Literal["batchtopk", "topk", "jumprelu"] = "batchtopk"
    d_sae: Annotated[int, Field(gt=1)] = 4096
    """Number of latents."""
    k: Annotated[int, Field(gt=0)] = 32
    """Active latents per token (``batchtopk``: on average; not used by ``jumprelu``)."""
    l0_coefficient: float = 1.0
    """Weight of the sparsity penalty (``jumprelu`` only)."""
    tokens: Annotated[int, Field(gt=0)] = 5_000_000
    """Distinct tokens whose activations are trained on."""
    epochs: Annotated[float, Field(gt=0)] = 1.0
    """Passes over these activations."""
    context: Annotated[int, Field(gt=1)] = 256
    """Longest piece of a document that the model reads at once, in tokens."""
    template_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the chat documents whose template tokens are trained on: they are the same everywhere."""
    batch: Annotated[int, Field(gt=0)] = 2048
    """Tokens per training step."""
    lr: Annotated[float, Field(gt=0)] = 5e-4
    warm_up: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of the steps in which the learning rate rises."""
    decay: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Share of the steps, at the end, in which the learning rate falls to 0."""
    dead_after: Annotated[int, Field(gt=0)] = 100_000
    """Tokens after which a silent latent counts as dead and gets the auxiliary loss."""
    autocast: bool = True
    """Train in bfloat16 where the machine is fast in it; the weights stay float32."""
    save_dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    seed: int = 0
