"""Runs made and opened, models and SAEs loaded, and evidence on plain arrays."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competency_gaps.api.run import Run
from competency_gaps.config import ModelConfig, RunConfig, SAEConfig, parse_config, read_yaml
from competency_gaps.progress import Progress
from competency_gaps.runs.open import open_folder

if TYPE_CHECKING:
    from competency_gaps.model.load import LanguageModel
    from competency_gaps.sae.load import SparseAutoencoder


def run(
    config: RunConfig | Mapping[str, Any] | Path | str,
    out: Path | str | None = None,
    *,
    model: LanguageModel | None = None,
    sae: SparseAutoencoder | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> Run:
    """Make a run: score the benchmarks, read the concepts, compute the metrics.

    Parameters
    ----------
    config
        A :class:`~competency_gaps.config.RunConfig`, a mapping of the same keys, or a YAML file.
    out
        The run folder; None takes the configuration's ``out``, or else a new temporary folder, and a warning says
        which. A folder that holds the same run, stopped, is resumed.
    model, sae
        A model and an SAE that are loaded already (:func:`load_model`, :func:`load_sae`), to be used for several
        runs; None loads the configuration's. What the configuration says of their names must be true of them: it is
        kept in the run.
    progress
        Shows how far it is; None: quiet.
    command
        What the manifest records as the command that made the run.

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    UserError
        If the configuration, a benchmark, the model or the SAE is wrong; the message says what to do.
    """
    from competency_gaps.sae.pair import complete_pair
    from competency_gaps.stages import pipeline

    config = read_config(config)
    folder = Path(out) if out is not None else config.out
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="competency-gaps-"))
        warnings.warn(f"no folder was given: the run is kept in {folder}", stacklevel=2)
    progress = progress or Progress(quiet=True)
    pair = None
    if model is not None or sae is not None:
        pair = complete_pair(config.model, config.sae, lm=model, loaded=sae, progress=progress)
    return as_run(pipeline.run(config, folder, progress, command, pair).path)


def read_config(config: RunConfig | Mapping[str, Any] | Path | str) -> RunConfig:
    """Check a configuration.

    Parameters
    ----------
    config
        A :class:`~competency_gaps.config.RunConfig`, a mapping of the same keys, or a YAML file.

    Raises
    ------
    UserError
        If a key or a value is wrong.
    """
    if isinstance(config, RunConfig):
        return config
    if isinstance(config, (str, Path)):
        return parse_config(RunConfig, read_yaml(Path(config)), str(config))
    return parse_config(RunConfig, dict(config), "configuration")


def open_run(path: Path | str) -> Run:
    """Open a finished run; needs no torch.

    Raises
    ------
    UserError
        If the folder is no finished run, or of an unknown schema version.
    """
    return as_run(Path(path))


def as_run(path: Path) -> Run:
    """Open a run under its absolute path: it stays the same wherever the process goes."""
    folder = open_folder(path.resolve())
    return Run(folder.path, folder.manifest)


def load_model(name: str, *, progress: Progress | None = None, **options: Any) -> LanguageModel:
    """Load a language model for several runs.

    Parameters
    ----------
    name
        ``embedded``, a folder, or a name on the hub.
    progress
        Shows a download; None: quiet.
    options
        Other keys of :class:`~competency_gaps.config.ModelConfig`: ``dtype``, ``device``, ``revision``, ...

    Raises
    ------
    UserError
        If an option is unknown or there is no such model.
    MissingExtraError
        If torch or transformers is not installed.
    """
    from competency_gaps.model import load

    return load.load_model(parse_config(ModelConfig, {"name": name, **options}, "model"), progress=progress)


def load_sae(
    folder: Path | str | None = None, *, release: str | None = None, device: str = "cpu", **options: Any
) -> SparseAutoencoder:
    """Load a sparse autoencoder for several runs.

    Parameters
    ----------
    folder
        ``embedded:...`` or a folder with ``cfg.json`` and ``sae_weights.safetensors``.
    release
        Release in SAELens' directory or a hub repository, with ``id`` among the options.
    device
        Where its weights go: the model's device.
    options
        Other keys of :class:`~competency_gaps.config.SAEConfig`: ``id``, ``hook_name``, ...

    Raises
    ------
    UserError
        If an option is unknown or there is no such SAE.
    MissingExtraError
        If torch is not installed.
    """
    from competency_gaps.sae import load

    return load.load_sae(parse_config(SAEConfig, {"folder": folder, "release": release, **options}, "sae"), device)
