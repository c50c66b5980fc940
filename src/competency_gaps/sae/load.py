"""Check and load a sparse autoencoder, plain ones from a folder without SAELens, all others with it; and its model.

What an SAE encodes of a text is each token's activation, or the average over the tokens around it [ours]. A token's
activation in a small model says mostly which token it is. Averaged over a stretch of text, what the tokens have in
common remains: the topic, the task, the way of talking. An SAE trained on averages says so in its metadata
(``average_over``), and everything that is encoded with it is averaged in the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from competency_gaps.config import ModelConfig, SAEConfig
from competency_gaps.embedded import embedded_sae
from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.model.forward import hook_width
from competency_gaps.model.hooks import Hook, resolve_hook, stream_width
from competency_gaps.model.load import (
    LanguageModel,
    chosen_device,
    chosen_dtype,
    content_hash,
    load_model,
    read_outline,
    weights_hash,
)
from competency_gaps.model.prompts import resolve_bos
from competency_gaps.model.size import memory_line
from competency_gaps.progress import Progress
from competency_gaps.sae.find import check_release
from competency_gaps.sae.texts import TokenPiece
from competency_gaps.text import shorten

if TYPE_CHECKING:
    import torch
    from sae_lens import SAE
    from transformers import PretrainedConfig, PreTrainedModel

_CHECKED = {
    bool: ("apply_b_dec_to_input", "rescale_acts_by_decoder_norm"),
    str: ("architecture", "dtype", "device", "normalize_activations", "reshape_activations"),
    int: ("d_in", "d_sae"),
}
"""Settings of an SAE's ``cfg.json`` by their type, where they are given."""


def stretch_starts(tokens: int, over: int) -> np.ndarray:
    """Where the stretch of each token begins: the ``over`` tokens around it, moved inside the text at its ends.

    Returns
    -------
    ndarray of int64 of shape (tokens,); all 0 if the text has at most ``over`` tokens
    """
    return np.clip(np.arange(tokens) - over // 2, 0, max(0, tokens - over))


def local_mean(activations: torch.Tensor, over: int) -> torch.Tensor:
    """Average the activations of a text over the stretch around each token.

    Each activation is divided by its norm before: models park attention on single tokens whose activations are some
    hundred times as large as others.

    Parameters
    ----------
    activations : torch.Tensor of shape (tokens, d_in)
        Of one text, in order.
    over
        Tokens of a stretch; 1 leaves the activations as they are.

    Returns
    -------
    torch.Tensor of shape (tokens, d_in)
        Over the stretches that begin at :func:`stretch_starts`; over the whole text if it is shorter than one.
    """
    import torch

    if over == 1 or not len(activations):
        return activations
    starts = torch.from_numpy(stretch_starts(len(activations), over)).to(activations.device)
    unit = torch.nn.functional.normalize(activations.float(), dim=1)
    means = torch.nn.functional.avg_pool1d(unit.T[None], min(over, len(activations)), stride=1)[0].T
    return means.to(activations.dtype)[starts]


class Autoencoder(Protocol):
    """The arithmetic of an SAE, as of SAELens' SAEs and :class:`~competency_gaps.sae.threshold.ThresholdSAE`."""

    W_enc: torch.Tensor
    """(d_in, d_sae)."""
    W_dec: torch.Tensor
    """(d_sae, d_in)."""

    @property
    def device(self) -> torch.device:
        """Device of the weights."""

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

    @property
    def average_over(self) -> int:
        """Tokens over which activations are averaged before they are encoded; 1: they are not."""
        return int(self.identity["average_over"])

    def encoded(self, piece: TokenPiece) -> np.ndarray:
        """Tokens of a piece that are encoded: all but start markers; of an SAE of averages the text's own.

        Averages over the words of a chat template would be of neither.

        Returns
        -------
        ndarray of bool of shape (tokens,)
        """
        return ~piece.bos if self.average_over == 1 else piece.own

    def inputs(self, activations: torch.Tensor, chosen: np.ndarray) -> torch.Tensor:
        """What is encoded of a text's chosen tokens.

        Parameters
        ----------
        activations : torch.Tensor of shape (at least tokens, d_in)
            At the hook; what follows the text is padding.
        chosen : ndarray of bool of shape (tokens,)
            Averages are over these tokens alone.

        Returns
        -------
        torch.Tensor of shape (chosen tokens, d_in), on the device of the activations
        """
        import torch

        mask = torch.from_numpy(chosen).to(activations.device)
        return local_mean(activations[: len(chosen)][mask], self.average_over)

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Latents of what :meth:`inputs` gave.

        Normalisation and the decoder's bias belong to this step, so nothing is applied before it.

        Parameters
        ----------
        inputs : torch.Tensor of shape (tokens, d_in)

        Returns
        -------
        torch.Tensor of shape (tokens, d_sae), dense, in the SAE's dtype
        """
        latents = self.sae.encode(inputs.to(self.sae.device))
        return latents.to_dense() if latents.is_sparse else latents


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
    outline: tuple[PreTrainedModel, PretrainedConfig] | None = None,
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
            progress.say(memory_line(outline[0], chosen_dtype(model.dtype, device), device, model.device_map))
        with progress.stage("loading the model"):
            lm = load_model(model, progress=progress, settings=None if outline is None else outline[1])
    if loaded is None:
        with progress.stage("loading the SAE"):
            loaded = load_sae(sae, lm.device)
    hook = resolve_hook(lm.model, loaded.hook_name)
    width = hook_width(lm, hook)
    if width != loaded.d_in:
        raise _other_width(loaded.name, loaded.d_in, lm.name, hook, width)
    return LoadedPair(lm, loaded, hook, resolve_bos(lm.tokenizer, model.bos, sae_prepends=loaded.prepend_bos))


def check_pair(
    model: ModelConfig, sae: SAEConfig, progress: Progress
) -> tuple[PreTrainedModel, PretrainedConfig] | None:
    """Refuse an SAE that cannot be loaded, or whose hook the model does not have, before any weights are read.

    Returns
    -------
    tuple or None
        The model without weights, as of :func:`~competency_gaps.model.load.read_outline`.

    Raises
    ------
    UserError
        If the SAE or its hook does not exist, or reads another width.
    """
    with progress.stage("checking model and SAE"):
        header = read_sae_header(sae)
        outline = read_outline(model, progress)
    if outline is not None:
        hook = resolve_hook(outline[0], header.hook_name)
        width = stream_width(outline[0], hook)
        if width not in (None, header.d_in):
            raise _other_width(header.name, header.d_in, model.name, hook, width)
    return outline


def _other_width(sae: str, d_in: int, model: str, hook: Hook, width: int | None) -> UserError:
    return UserError(
        f"SAE {sae!r} reads activations of width {d_in}, but {hook.path} ({hook.side}) of {model!r} is {width} wide. "
        f"Use the SAE of this model, or another sae.hook_name."
    )


@dataclass(frozen=True)
class SaeHeader:
    """An SAE without its weights."""

    name: str
    """Folder, or ``release/id``."""
    folder: Path | None
    """None for a release."""
    hook_name: str
    """Where the activations are read."""
    settings: Mapping[str, Any]
    """Everything in the SAE's file that changes its arithmetic: normalisation, k, bias handling."""
    metadata: Mapping[str, Any]

    @property
    def d_in(self) -> int:
        """Width of the activations it reads."""
        return int(self.settings["d_in"])


def read_sae_header(config: SAEConfig) -> SaeHeader:
    """Check an SAE without reading its weights; of a release, only its settings are fetched.

    It refuses the same SAEs as :func:`load_sae`, with the same messages.

    Raises
    ------
    MissingExtraError
        If torch, or sae-lens where the SAE needs it, is not installed.
    UserError
        If there is no such folder, release or id, its files are damaged, it cannot be used span by span, or it names no
        hook and none is configured.
    """
    return _read(config, None)[0]


def load_sae(config: SAEConfig, device: torch.device | str) -> SparseAutoencoder:
    """Load the SAE that a configuration names.

    Raises
    ------
    MissingExtraError
        If the SAE needs sae-lens, which is not installed.
    UserError
        If there is no such folder, release or id, or it names no hook and none is configured.
    """
    header, sae = _read(config, str(device))
    assert sae is not None
    settings, metadata = header.settings, header.metadata
    identity = {
        "name": header.name,
        "architecture": settings["architecture"],
        "d_in": header.d_in,
        "d_sae": int(settings["d_sae"]),
        "dtype": config.dtype,
        "average_over": settings.get("average_over", 1),
        "hook_name": header.hook_name,
        "model_name": metadata.get("model_name"),
        "neuronpedia_id": metadata.get("neuronpedia_id"),
        "weights_sha256": weights_hash(sae),
        "content_sha256": content_hash(sae),
        "settings_sha256": hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest(),
    }
    return SparseAutoencoder(sae, header.name, header.hook_name, metadata.get("prepend_bos"), header.folder, identity)


def _read_cfg(folder: Path, name: str) -> dict[str, Any]:
    """The content of ``cfg.json``, after a check that the weights exist and are complete."""
    from safetensors import safe_open

    for file in ("cfg.json", "sae_weights.safetensors"):
        if not (folder / file).is_file():
            raise UserError(
                f"SAE {name!r}: {folder / file} is missing. Expected a folder saved by SAELens, "
                f"with cfg.json and sae_weights.safetensors."
            )
    content: dict[str, Any] = json.loads((folder / "cfg.json").read_text(encoding="utf-8"))
    # Opening reads the table of the tensors and compares it with the file's length.
    with safe_open(folder / "sae_weights.safetensors", framework="numpy"):
        faults = [key for kind, keys in _CHECKED.items() for key in keys if type(content.get(key, kind())) is not kind]
        if "topk" in str(content.get("architecture")):
            content.setdefault("k", 100)  # as SAELens takes it
        sizes = {key: content[key] for key in ("d_in", "d_sae", "k") if key in content}
        faults += [key for key, size in sizes.items() if type(size) is not int or not 0 < size < 2**31]
        if not faults and sizes.get("k", 1) > sizes.get("d_sae", 2**31):
            faults = ["k"]
    if faults:
        value = shorten(repr(content[faults[0]]), 60)
        raise UserError(f"SAE {name!r}: cfg.json gives {faults[0]} = {value}, which SAELens would not write.")
    return content


def _read(config: SAEConfig, device: str | None) -> tuple[SaeHeader, Autoencoder | None]:
    """Read an SAE, without its weights if ``device`` is None."""
    try:
        from safetensors import SafetensorError

        from competency_gaps.sae import threshold
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "run", "Running a model") from error
    name, folder = f"{config.release}/{config.id}", None
    if config.folder is not None:
        name = str(config.folder)
        folder = embedded_sae(name) if name.startswith("embedded:") else Path(name).expanduser()
    else:
        check_release(str(config.release), str(config.id))
    sae: Autoencoder | None = None
    try:
        content = {} if folder is None else _read_cfg(folder, name)
        if folder is not None and threshold.is_threshold_sae(content):
            settings, metadata = threshold.settings(content, config.dtype), content["metadata"]
            if device is not None:
                sae = threshold.read_threshold_sae(folder, content, device=device, dtype=config.dtype)
        elif device is None:
            settings, metadata = _saelens_settings(config, folder)
        else:
            sae, settings, metadata = _saelens_sae(config, folder, device)
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, SafetensorError) as error:
        first_line, _, _ = str(error).strip().partition("\n")
        raise UserError(f"SAE {name!r} cannot be loaded: {first_line}") from error
    if settings["architecture"] == "temporal":
        raise UserError(
            f"SAE {name!r} is temporal: its latents depend on the tokens before, but spans are encoded token by token. "
            f"Use an SAE of another architecture."
        )
    hook_name = config.hook_name or metadata.get("hook_name") or metadata.get("hf_hook_name")
    if not hook_name:
        raise UserError(f"SAE {name!r} does not say where its activations come from: set sae.hook_name.")
    over = _average_over(metadata, name)
    if over > 1:
        settings = {**settings, "average_over": over}
    return SaeHeader(name, folder, str(hook_name), settings, metadata), sae


def _average_over(metadata: Mapping[str, Any], name: str) -> int:
    over = metadata.get("average_over", 1)
    if not isinstance(over, int) or isinstance(over, bool) or over < 1:
        raise UserError(
            f"SAE {name!r}: its metadata gives average_over = {over!r}. Expected the number of tokens over which "
            f"activations are averaged before they are encoded, a whole number from 1."
        )
    return over


def _saelens() -> type[SAE[Any]]:
    try:
        from sae_lens import SAE
    except ImportError as error:
        raise MissingExtraError("sae-lens", "run", "Loading this SAE") from error
    return SAE


def _saelens_settings(config: SAEConfig, folder: Path | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and metadata as SAELens' own class of the architecture takes them."""
    saelens = _saelens()
    from sae_lens.loading import pretrained_sae_loaders as loaders

    if folder is None:
        content = loaders.load_sae_config_from_huggingface(str(config.release), str(config.id))
    else:
        content = loaders.handle_config_defaulting(loaders.get_sae_lens_config_from_disk(folder, "cpu"))
    made = saelens.get_sae_config_class_for_architecture(content["architecture"]).from_dict(content)
    return made.to_dict(), dict(made.metadata.items())


def _saelens_sae(config: SAEConfig, folder: Path | None, device: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """An SAE of SAELens, its settings, and its metadata."""
    saelens = _saelens()
    if folder is None:
        sae = saelens.from_pretrained(str(config.release), str(config.id), device=device, dtype=config.dtype)
    else:
        sae = saelens.load_from_disk(folder, device=device, dtype=config.dtype)
    sae.eval()
    # Hooks give heads joined (see ``model.hooks.captured``), and SAELens' reshaping would join tokens as well.
    sae.turn_off_forward_pass_hook_z_reshaping()
    settings = {key: value for key, value in sae.cfg.to_dict().items() if key not in ("metadata", "device")}
    # SAELens' metadata gives None for any unknown name; a plain dictionary does not.
    return sae, settings, dict(sae.cfg.metadata.items())
