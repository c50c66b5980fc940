"""The demo: what it runs, and about how long that takes on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from competency_gaps.api.make import run
from competency_gaps.api.run import Run
from competency_gaps.config import RunConfig, parse_config, read_yaml
from competency_gaps.embedded import DEMO_CONFIG, MODELS
from competency_gaps.embedded.weights import cached_wheel, local_weights
from competency_gaps.progress import Progress, minutes
from competency_gaps.text import plural

OPERATIONS = 2.5e13
"""Floating-point operations of the demo's passes, counted from its tokens and the model's size."""
_PRODUCTS = 0.4
"""Share of the time spent in matrix products, measured; the rest is attention, caches and the SAE."""
_LOADING = 30.0
"""Seconds for everything except the passes: unpacking the model, writing tables (measured on two AVX2 cores)."""


@dataclass(frozen=True)
class Outlook:
    """What the demo will do on this machine."""

    benchmarks: int
    items: int
    seconds: float
    """Estimated time without downloads."""
    precision: str
    """Data type in which the model runs here."""
    speed: float
    """Measured floating-point operations per second."""
    megabytes: int
    """To be downloaded first; 0 if everything is on this machine."""

    def lines(self, out: Path) -> list[str]:
        """The outlook in words; ``out`` is the run folder."""
        download = f", after a download of {self.megabytes} MB, needed only once" if self.megabytes else ""
        return [
            f"The demo asks SmolLM2-135M-Instruct {plural(self.items, 'item')} from {self.benchmarks} "
            f"benchmarks, reads its concepts through a sparse autoencoder, and writes a report to {out}.",
            f"That takes about {minutes(self.seconds)} here ({self.speed / 1e9:,.0f} billion operations a second in "
            f"{self.precision}){download}. If it is stopped, the same command resumes it.",
        ]


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
        Shows what the demo does and how long it takes, then its progress; None: quiet.
    command
        What the manifest records as the command that made the run.
    """
    config = demo_config(model)
    if progress is not None and not progress.quiet:
        for line in demo_outlook(config).lines(Path(out)):
            progress.say(line)
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


def demo_outlook(config: RunConfig) -> Outlook:
    """Say what the demo will do, and measure how fast this machine is, in about half a second.

    Raises
    ------
    MissingExtraError
        If torch is not installed.
    """
    from competency_gaps.model.load import chosen_device, chosen_dtype
    from competency_gaps.model.size import matmul_speed
    from competency_gaps.stages.load import load_suite

    device = chosen_device(config.model.device)
    dtype = chosen_dtype(config.model.dtype, device)
    speed = matmul_speed(device, dtype)
    seconds = OPERATIONS / (_PRODUCTS * speed) + _LOADING
    items = sum(len(suite.items) for suite in load_suite(config.benchmarks, Progress(quiet=True)).values())
    return Outlook(len(config.benchmarks), items, seconds, dtype, speed, _megabytes(config))


def _megabytes(config: RunConfig) -> int:
    """Size of the download that this machine still needs, in MB."""
    weights = MODELS.get(config.model.name)
    if weights is None or local_weights(weights) is not None or cached_wheel(weights) is not None:
        return 0
    return weights.megabytes
