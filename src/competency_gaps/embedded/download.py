"""Download files with pip or the hub's client, each run as a separate process.

They follow the user's own settings for mirrors, proxies and certificates, and give up when nothing arrives.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

from competency_gaps.util.errors import CompetencyGapsError
from competency_gaps.util.progress import Progress

STANDARD_ERROR = 2
"""File descriptor of standard error."""
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
    """One way of downloading failed; the message says which and why."""


def pip_download(requirement: str, wheel: str, work: Path, progress: Progress) -> Path:
    """Download a wheel with pip, and return its path.

    Parameters
    ----------
    requirement
        A line of a requirements file, with its hash.
    wheel
        Name of the wheel file.
    work
        Folder for all that is written.

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
    _run("pip", command, work, progress)
    if not (into / wheel).is_file():
        raise FetchError(f"pip: downloaded {[path.name for path in into.iterdir()]}, expected {wheel}.")
    return into / wheel


def hub_download(repository: str, revision: str, file: str, work: Path, progress: Progress) -> Path:
    """Download a file from the Hugging Face hub into ``work``, and return its path.

    Raises
    ------
    FetchError
        If the hub's client is not installed, or the hub cannot be reached.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise FetchError("Hugging Face hub: the package 'huggingface-hub' is not installed.")
    into = work / "hub"
    command = [sys.executable, "-P", "-c", _HUB_CODE, repository, file, revision, str(into)]
    _run("Hugging Face hub", command, work, progress)
    return into / file


def _run(tool: str, command: list[str], work: Path, progress: Progress) -> None:
    """Run a command that downloads a file into ``work``; FetchError if it fails."""
    temporary = work / "tmp"
    temporary.mkdir(exist_ok=True)
    settings = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1"}
    environment = {**os.environ, **settings, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if progress.quiet else STANDARD_ERROR,  # pip shows a bar in a terminal
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise FetchError(f"{tool}: {command[0]} cannot be run: {error.strerror}.") from error
    if done.returncode:
        reason = _last_lines(done.stderr.decode(errors="replace"))
        raise FetchError(f"{tool}: {reason or f'exit status {done.returncode}'}")


def _last_lines(text: str) -> str:
    """Return the last lines that a tool wrote, without user names and passwords in addresses."""
    lines = [line.strip() for line in re.sub(r"://[^/\s@]+@", "://", text).splitlines() if line.strip()]
    return "\n".join(line[:_REASON_WIDTH] for line in lines[-_REASON_LINES:])
