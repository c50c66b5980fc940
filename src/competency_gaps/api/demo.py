"""The demo: a small model on the benchmarks that come along."""

from __future__ import annotations

from pathlib import Path

from competency_gaps.api.make import run
from competency_gaps.api.run import Run
from competency_gaps.embedded import DEMO_CONFIG, MODELS
from competency_gaps.embedded.weights import local_weights
from competency_gaps.items.config import RunConfig, parse_config, read_yaml
from competency_gaps.util.progress import Progress


def run_demo(
    out: Path | str = "demo-run", *, model: Path | None = None, progress: Progress | None = None, command: str = ""
) -> Run:
    """Run the demo, or resume it.

    Parameters
    ----------
    out
        The run folder.
    model
        The model's ``.gguf`` file; None: the embedded model's, fetched if necessary.
    progress
        Shows what the demo does and how far it is; None: quiet.
    command
        What the manifest records as the command that made the run.
    """
    config = demo_config(model)
    if progress is not None:
        progress.say(announcement(config, out))
    return run(config, out, progress=progress, command=command)


def demo_config(model: Path | None = None) -> RunConfig:
    """The demo's configuration, for :func:`competency_gaps.run`.

    Parameters
    ----------
    model
        The model's ``.gguf`` file; None: the embedded model's, fetched if necessary.
    """
    data = read_yaml(DEMO_CONFIG)
    if model is not None:
        data["model"]["name"] = str(model)
    return parse_config(RunConfig, data, "the demo's configuration")


def announcement(config: RunConfig, out: Path | str) -> str:
    """What the demo is going to do."""
    weights = MODELS.get(config.model.name)
    download = ""
    if weights is not None and local_weights(weights) is None:
        download = f"It first downloads {weights.megabytes} MB, once. "
    return (
        f"The demo runs SmolLM2-135M-Instruct on {len(config.benchmarks)} benchmarks, reads its concepts through a "
        f"sparse autoencoder, and writes a report to {out}. {download}If interrupted, repeat the command to resume."
    )
