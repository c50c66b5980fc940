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
"""The model that comes with the package, which ``embedded`` names too."""
EMBEDDED_SAE = "embedded:smollm2-135m-instruct-l15-8k"
"""Its SAE, which ``embedded`` names too."""

MODELS = {EMBEDDED_MODEL: SMOLLM2}
"""Name of an embedded model -> the file with its weights, which is too large for this package and downloaded once."""

SAES = {EMBEDDED_SAE: EMBEDDED_SAE.removeprefix("embedded:")}
"""Name of an embedded SAE -> its folder under ``packs``."""

BENCHMARKS = {f"embedded:{path.stem}": path for path in sorted((Path(__file__).parent / "suite").glob("*.jsonl"))}
"""Name of an embedded benchmark -> its file."""

DEMO_CONFIG = Path(__file__).parent / "demo.yaml"
"""The demo's configuration."""


def embedded_model(name: str, unpack: Callable[[Path, Path], Any], progress: Progress | None = None) -> Path:
    """Folder of an embedded model, whose file of weights is downloaded and unpacked once.

    Parameters
    ----------
    unpack
        Writes what the file holds into a folder.
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
    """Folder of an embedded SAE.

    Raises
    ------
    UserError
        If the name is unknown.
    """
    return Path(__file__).parent / "packs" / _known("SAE", name, SAES)


def embedded_benchmark(name: str) -> Path:
    """File of an embedded benchmark.

    Raises
    ------
    UserError
        If the name is unknown.
    """
    return _known("benchmark", name, BENCHMARKS)


def _known(kind: str, name: str, known: Mapping[str, T]) -> T:
    if name not in known:
        raise no_such(f"there is no embedded {kind}", name, known)
    return known[name]
