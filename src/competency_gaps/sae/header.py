"""Read and check an SAE's settings before its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competency_gaps.config import SAEConfig
from competency_gaps.embedded import embedded_sae
from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.sae.directory import check_release

if TYPE_CHECKING:
    from sae_lens import SAE


@dataclass(frozen=True)
class SaeHeader:
    """An SAE without its weights."""

    name: str
    """Folder, or ``release/id``."""
    hook_name: str
    """Where the activations are read."""
    d_in: int
    """Width of the activations it reads."""


def read_sae_header(config: SAEConfig) -> SaeHeader:
    """Check an SAE without reading its weights; of a release, only its settings are fetched.

    It refuses the same SAEs as :func:`competency_gaps.sae.load.load_sae`, with the same messages.

    Raises
    ------
    MissingExtraError
        If torch, or sae-lens where the SAE needs it, is not installed.
    UserError
        If there is no such folder, release or id, its files are damaged, it cannot be used span by span, or it says no
        hook and none is configured.
    """
    name, folder = place_of(config)
    if folder is not None:
        settings, metadata = _of_folder(folder, name)
    else:
        settings, metadata = _of_release(str(config.release), str(config.id))
    return SaeHeader(name, usable_hook(config, name, settings, metadata), int(settings["d_in"]))


def place_of(config: SAEConfig) -> tuple[str, Path | None]:
    """Name of an SAE, and its folder; None for a release."""
    if config.folder is None:
        return f"{config.release}/{config.id}", None
    name = str(config.folder)
    return name, embedded_sae(name) if name.startswith("embedded:") else Path(name).expanduser()


def usable_hook(config: SAEConfig, name: str, settings: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """The hook of an SAE: the configured hook, else the hook in the SAE's own settings.

    Raises
    ------
    UserError
        If the SAE cannot be used, or there is no hook.
    """
    if settings["architecture"] == "temporal":
        raise UserError(
            f"SAE {name!r} is temporal: its latents depend on the tokens before, but spans are encoded token by token. "
            f"Use an SAE of another architecture."
        )
    hook_name = config.hook_name or metadata.get("hook_name") or metadata.get("hf_hook_name")
    if not hook_name:
        raise UserError(f"SAE {name!r} does not say where its activations come from: set sae.hook_name.")
    return str(hook_name)


def read_cfg(folder: Path, name: str) -> dict[str, Any]:
    """The content of ``cfg.json``, if the weights are beside it.

    Raises
    ------
    UserError
        If a file is missing.
    ValueError
        If ``cfg.json`` is not JSON.
    """
    for file in ("cfg.json", "sae_weights.safetensors"):
        if not (folder / file).is_file():
            raise UserError(
                f"SAE {name!r}: {folder / file} is missing. Expected a folder saved by SAELens, "
                f"with cfg.json and sae_weights.safetensors."
            )
    content: dict[str, Any] = json.loads((folder / "cfg.json").read_text(encoding="utf-8"))
    return content


def import_saelens() -> type[SAE[Any]]:
    """SAELens' class of SAEs.

    Raises
    ------
    MissingExtraError
        If sae-lens is not installed.
    """
    try:
        from sae_lens import SAE
    except ImportError as error:
        raise MissingExtraError("sae-lens", "run", "Loading this SAE") from error
    return SAE


def cannot_be_loaded(name: str, error: BaseException) -> UserError:
    """The error for an SAE whose files are damaged."""
    first_line, _, _ = str(error).strip().partition("\n")
    return UserError(f"SAE {name} cannot be loaded: {first_line}")


def _of_folder(folder: Path, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Settings and metadata of a folder."""
    from safetensors import SafetensorError, safe_open

    try:
        from competency_gaps.sae import threshold
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "run", "Running a model") from error
    try:
        config = read_cfg(folder, name)
        # Opening reads the table of the tensors and compares it with the file's length.
        with safe_open(folder / "sae_weights.safetensors", framework="numpy"):
            pass
        if threshold.is_threshold_sae(config):
            return threshold.settings(config, "float32"), config["metadata"]
        import_saelens()
        from sae_lens.loading.pretrained_sae_loaders import get_sae_lens_config_from_disk, handle_config_defaulting

        return _checked(handle_config_defaulting(get_sae_lens_config_from_disk(folder, "cpu")))
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError, SafetensorError) as error:
        raise cannot_be_loaded(repr(name), error) from error


def _of_release(release: str, sae_id: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Settings and metadata of a release, by the form of its repository."""
    check_release(release, sae_id)
    import_saelens()
    from sae_lens.loading.pretrained_sae_loaders import load_sae_config_from_huggingface

    try:
        return _checked(load_sae_config_from_huggingface(release, sae_id))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise cannot_be_loaded(f"{release}/{sae_id}", error) from error


def _checked(config: dict[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Settings and metadata as SAELens' own class of the architecture takes them."""
    made = import_saelens().get_sae_config_class_for_architecture(config["architecture"]).from_dict(config)
    return made.to_dict(), dict(made.metadata.items())
