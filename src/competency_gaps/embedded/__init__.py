"""The model, SAE and suite that come with the package, by name.

``embedded:NAME`` is accepted wherever a model, an SAE folder or a benchmark's file is expected; a model may also be
named ``embedded``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from competency_gaps.embedded.weights import SMOLLM2, unpacked_weights
from competency_gaps.util.errors import no_such
from competency_gaps.util.progress import Progress

T = TypeVar("T")

EMBEDDED_MODEL = "embedded:smollm2-135m-instruct"
"""The bundled model; ``embedded`` stands for it."""
EMBEDDED_SAE = "embedded:smollm2-135m-instruct-l15-8k"
"""The bundled model's SAE; ``embedded`` stands for it."""

MODELS = {EMBEDDED_MODEL: SMOLLM2}
"""File with the weights, by name of an embedded model; too large for this package, it is downloaded once."""

SAES = {EMBEDDED_SAE: EMBEDDED_SAE.removeprefix("embedded:")}
"""Folder under ``packs``, by name of an embedded SAE."""

BENCHMARKS = {f"embedded:{path.stem}": path for path in sorted((Path(__file__).parent / "suite").glob("*.jsonl"))}
"""File, by name of an embedded benchmark."""

DEMO_CONFIG = Path(__file__).parent / "demo.yaml"
"""File with the demo's configuration."""


def embedded_model(name: str, unpack: Callable[[Path, Path], Any], progress: Progress | None = None) -> Path:
    """Return the folder of an embedded model; its file of weights is downloaded and unpacked once.

    Parameters
    ----------
    unpack
        Writes the content of the file into a folder.
    progress
        Shows a download; None: nothing is shown.

    Raises
    ------
    UserError
        If the name is unknown, or the file is not on this machine and cannot be fetched.
    MachineError
        If the disk is full.
    """
    return unpacked_weights(_known("model", name, MODELS), unpack, progress or Progress(quiet=True))


def embedded_sae(name: str) -> Path:
    """Return the folder of an embedded SAE.

    Raises
    ------
    UserError
        If the name is unknown.
    """
    return Path(__file__).parent / "packs" / _known("SAE", name, SAES)


def embedded_benchmark(name: str) -> Path:
    """Return the file of an embedded benchmark.

    Raises
    ------
    UserError
        If the name is unknown.
    """
    return _known("benchmark", name, BENCHMARKS)


def _known(kind: str, name: str, known: Mapping[str, T]) -> T:
    """Return the value of a name; UserError if the name is unknown."""
    if name not in known:
        raise no_such(f"there is no embedded {kind}", name, known)
    return known[name]
