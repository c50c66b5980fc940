"""Load a model with an SAE for its activations."""

from __future__ import annotations

from dataclasses import dataclass

from competency_gaps.config import ModelConfig, SAEConfig
from competency_gaps.errors import UserError
from competency_gaps.model.forward import hook_width
from competency_gaps.model.hooks import Hook, resolve_hook
from competency_gaps.model.load import LanguageModel, chosen_device, chosen_dtype, load_model
from competency_gaps.model.outline import Outline, read_outline
from competency_gaps.model.prompts import resolve_bos
from competency_gaps.model.size import memory_line
from competency_gaps.progress import Progress
from competency_gaps.sae.load import SparseAutoencoder, load_sae, read_sae_header


@dataclass(frozen=True)
class LoadedPair:
    """A model, an SAE for its activations, and the hook where these are read."""

    lm: LanguageModel
    sae: SparseAutoencoder
    hook: Hook
    bos_id: int | None
    """Id of the token before every text; None: there is no such token."""


def load_pair(
    model: ModelConfig,
    sae: SAEConfig,
    *,
    lm: LanguageModel | None = None,
    loaded: SparseAutoencoder | None = None,
    progress: Progress | None = None,
    outline: Outline | None = None,
) -> LoadedPair:
    """Load a model and an SAE, after every check that needs no weights.

    Parameters
    ----------
    lm, loaded
        The model and the SAE if they are loaded already; None: they are loaded.
    progress
        Shows the loading, and the download of an embedded model; None: quiet.
    outline
        The result of :func:`check_pair`; None: it is called here.

    Raises
    ------
    UserError
        If one cannot be loaded, the loaded model is another than the configuration names, or the SAE reads another
        width.
    """
    progress = progress or Progress(quiet=True)
    if lm is not None and lm.name != model.name:
        raise UserError(
            f"the loaded model is {lm.name!r}, but the configuration names {model.name!r}, which the run would record. "
            "Name the loaded one there."
        )
    if lm is None:
        if outline is None and loaded is None:
            outline = check_pair(model, sae, progress)
        if outline is not None:
            device = chosen_device(model.device)
            progress.say(memory_line(outline.model, chosen_dtype(model.dtype, device), device, model.device_map))
        with progress.stage("loading the model"):
            lm = load_model(model, progress=progress, settings=None if outline is None else outline.settings)
    if loaded is None:
        with progress.stage("loading the SAE"):
            loaded = load_sae(sae, lm.device)
    hook = resolve_hook(lm.model, loaded.hook_name)
    width = hook_width(lm, hook)
    if width != loaded.d_in:
        raise _other_width(loaded.name, loaded.d_in, lm.name, hook, width)
    return LoadedPair(lm, loaded, hook, resolve_bos(lm.tokenizer, model.bos, sae_prepends=loaded.prepend_bos))


def check_pair(model: ModelConfig, sae: SAEConfig, progress: Progress) -> Outline | None:
    """Refuse an SAE that cannot be loaded, or whose hook the model does not have, before any weights are read.

    Returns
    -------
    Outline or None
        The model without weights; None if its configuration does not suffice.

    Raises
    ------
    UserError
        If the SAE or its hook does not exist, or reads another width.
    """
    with progress.stage("checking model and SAE"):
        header = read_sae_header(sae)
        outline = read_outline(model, progress)
    if outline is not None:
        hook = resolve_hook(outline.model, header.hook_name)
        width = outline.stream_width(hook)
        if width not in (None, header.d_in):
            raise _other_width(header.name, header.d_in, model.name, hook, width)
    return outline


def _other_width(sae: str, d_in: int, model: str, hook: Hook, width: int | None) -> UserError:
    return UserError(
        f"SAE {sae!r} reads activations of width {d_in}, but {hook.path} ({hook.side}) of {model!r} is {width} wide. "
        f"Use the SAE of this model, or another sae.hook_name."
    )
