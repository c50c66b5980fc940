"""Fetch with the installed tools: pip or the hub's client, each as a monitored process.

Growing files show a process's progress. It can be killed when no more bytes arrive, and it reads the user's own
settings for mirrors, proxies and certificates.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from competency_gaps.errors import CompetencyGapsError
from competency_gaps.progress import Bar, Progress

POLL = 0.2
"""Seconds between two measurements of the growing files."""
STALLED = 90.0
"""Seconds without a new byte after which a download is abandoned."""
_REASON_LINES = 6
_REASON_WIDTH = 240

_HUB_CODE = """
import sys
from huggingface_hub import hf_hub_download
repository, file, revision, folder = sys.argv[1:]
try:
    hf_hub_download(repository, file, revision=revision, local_dir=folder, etag_timeout=10, token=False)
except Exception as error:  # a traceback would not fit into the lines that are shown
    sys.exit(f"{type(error).__name__}: {error}")
"""


class FetchError(CompetencyGapsError):
    """One way of fetching failed; the message says which and why."""


def pip_download(requirement: str, wheel: str, size: int, work: Path, progress: Progress) -> Path:
    """Fetch a wheel file with pip; ``requirement`` is a line of a requirements file, with its hash.

    Raises
    ------
    FetchError
        If pip is not installed, or cannot download it, or its SHA-256 is wrong.
    """
    if importlib.util.find_spec("pip") is None:
        raise FetchError("pip: it is not installed in this Python.")
    into, listed = work / "pip", work / "requirements.txt"
    listed.write_text(f"{requirement}\n", encoding="utf-8")
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--retries", "2", "--timeout", "30", "--dest", str(into), "--requirement", str(listed)]
    _run("pip", command, work, size, progress)
    if not (into / wheel).is_file():
        raise FetchError(f"pip: downloaded {[path.name for path in into.iterdir()]}, expected {wheel}.")
    return into / wheel


def hub_download(repository: str, revision: str, file: str, size: int, work: Path, progress: Progress) -> Path:
    """Fetch a file from the Hugging Face hub.

    Raises
    ------
    FetchError
        If the hub's client is not installed, or the hub cannot be reached.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise FetchError("Hugging Face hub: the package 'huggingface-hub' is not installed.")
    into = work / "hub"
    _run(
        "Hugging Face hub",
        [sys.executable, "-P", "-c", _HUB_CODE, repository, file, revision, str(into)],
        work,
        size,
        progress,
    )
    return into / file


def _run(tool: str, command: list[str], work: Path, size: int, progress: Progress) -> None:
    """Run a command that fetches ``size`` bytes into ``work``, with a bar."""
    temporary = work / "tmp"
    temporary.mkdir(exist_ok=True)
    settings = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1"}
    environment = {**os.environ, **settings, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))}
    megabytes = max(1, round(size / 1e6))
    # Errors are raised inside the stage, so that it does not look finished.
    with tempfile.TemporaryFile(dir=work) as errors, progress.stage("download", total=megabytes, unit="MB") as bar:
        try:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
            )
        except OSError as error:
            raise FetchError(f"{tool}: {command[0]} cannot be run: {error.strerror}.") from error
        try:
            ended = _watch(process, work, bar, size, megabytes)
        finally:
            process.kill()  # does nothing to a process that has ended
            process.wait()
        if not ended:
            raise FetchError(f"{tool}: nothing arrived for {STALLED:.0f} seconds.")
        if process.returncode:
            errors.seek(0)
            reason = _last_lines(errors.read().decode(errors="replace"))
            raise FetchError(f"{tool}: {reason or f'exit status {process.returncode}'}")


def _watch(process: subprocess.Popen[bytes], work: Path, bar: Bar, size: int, megabytes: int) -> bool:
    """Show the bytes that arrive until the process ends (True) or stalls (False)."""
    before = largest = _bytes_in(work)
    shown, last_change = 0.0, time.monotonic()
    while True:
        ended = process.poll() is not None  # before measuring the files, so that the last measurement is complete
        current = _bytes_in(work)
        if current > largest:
            largest, last_change = current, time.monotonic()
        # While a tool copies the file, there are two of it: do not count more than all.
        arrived = megabytes * min(1.0, (largest - before) / size)
        bar.advance(arrived - shown)
        shown = arrived
        if ended or time.monotonic() - last_change > STALLED:
            return ended
        os.utime(work)  # marks it as in use, not left over from a killed process
        time.sleep(POLL)


def _bytes_in(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(path) / name).stat().st_size
            except OSError:  # moved in the meantime
                continue
    return total


def _last_lines(text: str) -> str:
    """The last lines that a tool wrote, without user names and passwords in addresses."""
    lines = [line.strip() for line in re.sub(r"://[^/\s@]+@", "://", text).splitlines() if line.strip()]
    return "\n".join(line[:_REASON_WIDTH] for line in lines[-_REASON_LINES:])
