"""A model and an SAE that belong together, loaded."""

from __future__ import annotations

from dataclasses import dataclass

from competency_gaps.config import ModelConfig, SAEConfig
from competency_gaps.errors import UserError
from competency_gaps.model.forward import hook_width
from competency_gaps.model.hooks import Hook, resolve_hook
from competency_gaps.model.load import LanguageModel, load_model
from competency_gaps.model.prompts import resolve_bos
from competency_gaps.progress import Progress
from competency_gaps.sae.load import SparseAutoencoder, load_sae


@dataclass(frozen=True)
class Pair:
    """A model, an SAE on its activations, and where these are read."""

    lm: LanguageModel
    sae: SparseAutoencoder
    hook: Hook
    bos_id: int | None
    """Token before every text; null: none."""


def load_pair(model: ModelConfig, sae: SAEConfig, *, progress: Progress | None = None) -> Pair:
    """Load both.

    Parameters
    ----------
    progress
        Shows the loading, and the download of an embedded model; None: quiet.

    Raises
    ------
    UserError
        If one cannot be loaded, or the SAE reads another width.
    """
    progress = progress or Progress(quiet=True)
    with progress.stage("loading the model"):
        lm = load_model(model, progress=progress)
    with progress.stage("loading the SAE"):
        loaded = load_sae(sae, lm.device)
    hook = resolve_hook(lm.model, loaded.hook_name)
    width = hook_width(lm, hook)
    if width != loaded.d_in:
        raise UserError(
            f"SAE {loaded.name!r} reads activations of width {loaded.d_in}, but {hook.path} ({hook.side}) of "
            f"{lm.name!r} is {width} wide. Use the SAE of this model, or another sae.hook_name."
        )
    return Pair(lm, loaded, hook, resolve_bos(lm.tokenizer, model.bos, sae_prepends=loaded.prepend_bos))
