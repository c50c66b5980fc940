"""Load and check a sparse autoencoder, alone or with its model: plain ones from a folder without SAELens, others with
it.

An SAE encodes each token's activation, or the average over the tokens around it [ours]. A token's activation in a small
model says mostly which token it is. Averaged over a stretch of text, what the tokens have in common remains: the topic,
the task, the way of talking. An SAE trained on averages says so in its metadata (``average_over``), and everything that
is encoded with it is averaged in the same way.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from competency_gaps.embedded import embedded_sae
from competency_gaps.items.config import ModelConfig, SAEConfig
from competency_gaps.model.hooks import Hook, hook_width, resolve_hook
from competency_gaps.model.load import LanguageModel, chosen_device, content_hash, load_model, weights_hash
from competency_gaps.model.prompts import resolve_bos
from competency_gaps.sae.checkpoints import fetch_checkpoint, find_format, read_checkpoint
from competency_gaps.sae.find import check_release, listed, trained_on
from competency_gaps.sae.texts import TokenPiece
from competency_gaps.util.errors import UserError, needed
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import one_line, shorten

if TYPE_CHECKING:
    import torch

    from competency_gaps.sae.threshold import ThresholdSAE

_CFG_TYPES = {
    bool: ("apply_b_dec_to_input", "rescale_acts_by_decoder_norm"),
    str: ("architecture", "dtype", "device", "normalize_activations", "reshape_activations"),
    int: ("d_in", "d_sae"),
}
"""By type: optional settings of ``cfg.json`` that must have it."""


def stretch_starts(tokens: int, over: int) -> np.ndarray:
    """Return the start of each token's stretch: the ``over`` tokens around it, shifted to lie within the text.

    Returns
    -------
    ndarray of int64 of shape (tokens,); all 0 if the text has at most ``over`` tokens
    """
    return np.clip(np.arange(tokens) - over // 2, 0, max(0, tokens - over))


def local_mean(activations: torch.Tensor, over: int) -> torch.Tensor:
    """Return a text's activations, each averaged over the stretch around its token.

    Each activation is first divided by its norm: models park attention on single tokens whose activations are some
    hundred times as large as others.

    Parameters
    ----------
    activations : torch.Tensor of shape (tokens, d_in)
        Of one text, in order.
    over
        Tokens of a stretch; 1 returns the activations unchanged.

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


@dataclass(frozen=True)
class SparseAutoencoder:
    """A loaded SAE and its identity."""

    sae: ThresholdSAE
    """Or an SAE of SAELens, which has the same attributes and arithmetic."""
    name: str
    """Folder, or ``release/id``."""
    hook_name: str
    """Hook at which the activations are read."""
    prepend_bos: bool | None
    """Whether it was trained on inputs with a BOS token; None if unknown."""
    folder: Path | None
    """Its folder, which may contain reference statistics and labels; None for a release."""
    identity: dict[str, Any]
    """What the manifest records about it."""

    @property
    def d_in(self) -> int:
        """Width of the activations it reads."""
        return int(self.identity["d_in"])

    @property
    def d_sae(self) -> int:
        """Number of latents."""
        return int(self.identity["d_sae"])

    @property
    def output_hook_name(self) -> str | None:
        """Hook of the output that a transcoder rebuilds; None if it is no transcoder, or does not say."""
        name: str | None = self.identity.get("output_hook_name")
        return name

    @property
    def is_transcoder(self) -> bool:
        """Whether it predicts an MLP's output from the MLP's input."""
        return self.output_hook_name is not None or "transcoder" in self.identity["architecture"]

    @property
    def average_over(self) -> int:
        """Number of tokens over which activations are averaged before they are encoded; 1 if they are not."""
        return int(self.identity["average_over"])

    def encoded(self, piece: TokenPiece) -> np.ndarray:
        """Return which tokens of a piece are encoded: all but start markers; for an SAE of averages, only the text's
        own.

        Averages that mix text and chat template would describe neither.

        Returns
        -------
        ndarray of bool of shape (tokens,)
        """
        return ~piece.bos if self.average_over == 1 else piece.in_body

    def inputs(self, activations: torch.Tensor, chosen: np.ndarray) -> torch.Tensor:
        """Return what the SAE encodes for a text's chosen tokens: their activations, or local averages of these.

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

        places = np.flatnonzero(chosen)
        if len(places) and places[-1] - places[0] < len(places):
            # A view: for a mask or numbers, a GPU would have to finish all that it does.
            stretch = activations[places[0] : places[-1] + 1]
        else:
            stretch = activations[torch.from_numpy(places).to(activations.device)]
        return local_mean(stretch, self.average_over)

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the latents of what :meth:`inputs` returned.

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

    def rebuild(self, inputs: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Return decoded latents: (tokens, d_in), or (tokens, output width) for a transcoder.

        A skip transcoder adds a linear map of its input.
        """
        decoded, skip = self.sae.decode(latents), getattr(self.sae, "W_skip", None)
        return decoded if skip is None else decoded + inputs @ skip.T


@dataclass(frozen=True)
class LoadedPair:
    """A model, an SAE for its activations, and the hook where these are read."""

    lm: LanguageModel
    sae: SparseAutoencoder
    hook: Hook
    bos_id: int | None
    """Id of the token before every text; None if there is no such token."""


def load_pair(
    model: ModelConfig,
    sae: SAEConfig,
    *,
    lm: LanguageModel | None = None,
    progress: Progress | None = None,
) -> LoadedPair:
    """Return an SAE and its model, checked to fit; the SAE, which is small and may be misspelt, is loaded first.

    Parameters
    ----------
    lm
        The model if it is already loaded; None: it is loaded here.
    progress
        Shows the loading, and the download of an embedded model; None: quiet.

    Raises
    ------
    UserError
        If either cannot be loaded, the loaded model is not the configured one, or the SAE reads activations of another
        width.
    """
    progress = progress or Progress(quiet=True)
    if lm is not None and lm.name != model.name:
        raise UserError(
            f"the loaded model is {lm.name!r}, but the configuration names {model.name!r}, which the run would record. "
            "Name the loaded model there."
        )
    entry = None if sae.release is None else listed(sae.release, str(sae.id))
    if entry is not None and (other := trained_on(entry.model, model.name)):
        progress.say(
            f"SAE {entry.name!r} was {other}: it may explain this model less. The run measures that before it goes on."
        )
    with progress.stage("loading the SAE"):
        loaded = load_sae(sae, chosen_device(model.device) if lm is None else lm.device)
    if lm is None:
        with progress.stage("loading the model"):
            lm = load_model(model, progress=progress)
    hook = resolve_hook(lm.model, loaded.hook_name)
    _compare_hooks(loaded, lm, hook, progress)
    width = hook_width(lm, hook)
    if width != loaded.d_in:
        raise UserError(
            f"SAE {loaded.name!r} reads activations of width {loaded.d_in}, but {hook.path} ({hook.side}) of "
            f"{lm.name!r} is {width} wide. Use the SAE of this model, or another sae.hook_name."
        )
    if loaded.output_hook_name is not None:
        output = resolve_hook(lm.model, loaded.output_hook_name)
        width, decoded = hook_width(lm, output), loaded.sae.W_dec.shape[1]
        if width != decoded:
            raise UserError(
                f"transcoder {loaded.name!r} rebuilds outputs of width {decoded}, but {output.path} of {lm.name!r} is "
                f"{width} wide. Use the transcoder of this model."
            )
    return LoadedPair(lm, loaded, hook, resolve_bos(lm.tokenizer, model.bos, sae_prepends=loaded.prepend_bos))


def _compare_hooks(sae: SparseAutoencoder, lm: LanguageModel, hook: Hook, progress: Progress) -> None:
    """Warn if the configuration makes an SAE read another hook than it was trained at."""
    trained_hook = sae.identity["own_hook_name"]
    if trained_hook is None or trained_hook == sae.hook_name:
        return
    with suppress(UserError):
        trained = resolve_hook(lm.model, trained_hook)
        if (trained.path, trained.side) == (hook.path, hook.side):
            return
    progress.say(
        f"Warning: SAE {sae.name!r} was trained at {trained_hook}, but sae.hook_name makes it read {sae.hook_name}."
    )


def load_sae(config: SAEConfig, device: torch.device | str) -> SparseAutoencoder:
    """Return the SAE that a configuration names.

    Raises
    ------
    MissingExtraError
        If the SAE needs sae-lens, which is not installed.
    UserError
        If there is no such folder, release or id, or it names no hook and none is configured.
    """
    name, folder = str(config.folder or f"{config.release}/{config.id}"), sae_folder(config)
    sae, settings, metadata = _read(config, name, folder, str(device))
    if settings["architecture"] == "temporal":
        raise UserError(
            f"SAE {name!r} is temporal: its latents depend on earlier tokens, but spans are encoded token by token. "
            f"Use an SAE of another architecture."
        )
    own_hook = _trained_at(metadata)
    hook_name = config.hook_name or own_hook
    if not hook_name:
        raise UserError(f"SAE {name!r} does not say where its activations come from: set sae.hook_name.")
    over = _average_over(metadata, name)
    if over > 1:
        settings = {**settings, "average_over": over}
    identity = {
        "name": name,
        "architecture": settings["architecture"],
        "d_in": int(settings["d_in"]),
        "d_sae": int(settings["d_sae"]),
        "dtype": config.dtype,
        "average_over": over,
        "hook_name": hook_name,
        "own_hook_name": own_hook,
        "stated_l0": _stated_l0(config, metadata),
        "model_name": metadata.get("model_name"),
        "neuronpedia_id": metadata.get("neuronpedia_id"),
        "weights_sha256": weights_hash(sae),
        "content_sha256": content_hash(sae),
        "settings_sha256": hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest(),
    }
    if output := metadata.get("hook_name_out") or metadata.get("hf_hook_name_out"):
        identity["output_hook_name"] = output
    return SparseAutoencoder(sae, name, str(hook_name), metadata.get("prepend_bos"), folder, identity)


def _trained_at(metadata: Mapping[str, Any]) -> str | None:
    """Return the name of the hook at which an SAE was trained; None if its metadata names none.

    SAELens calls the input of Gemma Scope 2's transcoders by the name of the stream before the norm; their authors
    give the norm's output.
    """
    name, path = (str(metadata.get(key) or "") for key in ("hook_name", "hf_hook_name"))
    if name.endswith(".hook_mlp_in") and path.endswith("norm.output"):
        return name.replace("hook_mlp_in", "mlp.hook_in")
    return name or path or None


def _read_cfg(folder: Path, name: str) -> dict[str, Any]:
    """Return the content of ``cfg.json``, after checking that the weights exist and are complete."""
    from safetensors import safe_open

    for file in ("cfg.json", "sae_weights.safetensors"):
        if not (folder / file).is_file():
            raise UserError(
                f"SAE {name!r}: {folder / file} is missing. Expected a folder saved by SAELens (cfg.json and "
                f"sae_weights.safetensors), sparsify (cfg.json, sae.safetensors), dictionary_learning (config.json, "
                f"ae.pt), Llama Scope (hyperparams.json, checkpoints/final.safetensors) or lm-saes (config.json, "
                f"sae_weights.safetensors)."
            )
    content: dict[str, Any] = json.loads((folder / "cfg.json").read_text(encoding="utf-8"))
    # Opening reads the table of the tensors and compares it with the file's length.
    with safe_open(folder / "sae_weights.safetensors", framework="numpy"):
        faults = [
            key for kind, keys in _CFG_TYPES.items() for key in keys if type(content.get(key, kind())) is not kind
        ]
        if "topk" in str(content.get("architecture")):
            content.setdefault("k", 100)  # as SAELens takes it
        sizes = {key: content[key] for key in ("d_in", "d_sae", "k") if key in content}
        faults += [key for key, size in sizes.items() if type(size) is not int or not 0 < size < 2**31]
        if not faults and sizes.get("k", 1) > sizes.get("d_sae", 2**31):
            faults = ["k"]
    if faults:
        value = shorten(repr(content[faults[0]]), 60)
        raise UserError(f"SAE {name!r}: cfg.json has {faults[0]} = {value}, which SAELens never writes.")
    return content


def _read(config: SAEConfig, name: str, folder: Path | None, device: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return an SAE, the settings that change its arithmetic, and its metadata."""
    with needed(None, "run", "Running a model"):
        from safetensors import SafetensorError

        from competency_gaps.sae import threshold
    try:
        if folder is None:
            check_release(str(config.release), str(config.id))
        checkpoint = folder
        if folder is None and "/" in str(config.release):
            checkpoint = fetch_checkpoint(str(config.release), str(config.id))
        if checkpoint is not None and find_format(checkpoint):
            sae = read_checkpoint(checkpoint, name, device=device, dtype=config.dtype)
        else:
            content = {} if folder is None else _read_cfg(folder, name)
            if folder is not None and threshold.is_threshold_sae(content):
                sae = threshold.read_threshold_sae(folder, content, device=device, dtype=config.dtype)
                return sae, threshold.settings(content, config.dtype), content["metadata"]
            sae = _saelens_sae(config, folder, device)
        sae.eval()
        # Hooks give heads joined (see ``model.hooks.captured``), and SAELens' reshaping would join tokens as well.
        sae.turn_off_forward_pass_hook_z_reshaping()
        settings = {key: value for key, value in sae.cfg.to_dict().items() if key not in ("metadata", "device")}
        # SAELens' metadata gives None for any unknown name; a plain dictionary does not.
        return sae, settings, dict(sae.cfg.metadata.items())
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, SafetensorError) as error:
        missing = " is missing" if isinstance(error, KeyError) else ""
        raise UserError(f"SAE {name!r} cannot be loaded: {one_line(error)}{missing}") from error


def sae_folder(config: SAEConfig) -> Path | None:
    """Return the folder of a configured SAE, or None for an SAE of a release."""
    if config.folder is None:
        return None
    name = str(config.folder)
    return embedded_sae(name) if name.startswith("embedded:") else Path(name).expanduser()


def _stated_l0(config: SAEConfig, metadata: Mapping[str, Any]) -> float | None:
    """Return the L0 that the SAE's authors state in its file or SAELens' directory; None if unknown."""
    stated = metadata.get("l0")
    if stated is None and config.release is not None:
        entry = listed(config.release, str(config.id))
        stated = entry and entry.l0
    if not isinstance(stated, (int, float)) or isinstance(stated, bool) or not 0 < stated < math.inf:
        return None
    return float(stated)


def _average_over(metadata: Mapping[str, Any], name: str) -> int:
    """Return the number of tokens that the SAE averages, as its metadata states it; 1 if it does not."""
    over = metadata.get("average_over", 1)
    if not isinstance(over, int) or isinstance(over, bool) or over < 1:
        raise UserError(
            f"SAE {name!r}: its metadata gives average_over = {over!r}. Expected the number of tokens over which "
            f"activations are averaged before they are encoded, a whole number from 1."
        )
    return over


def _saelens_sae(config: SAEConfig, folder: Path | None, device: str) -> Any:
    """Return an SAE loaded with SAELens, from a folder or (None) from a release."""
    with needed("sae-lens", "run", "Loading this SAE"):
        from sae_lens import SAE
    if folder is None:
        return SAE.from_pretrained(str(config.release), str(config.id), device=device, dtype=config.dtype)
    return SAE.load_from_disk(folder, device=device, dtype=config.dtype)
