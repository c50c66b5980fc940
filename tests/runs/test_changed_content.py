"""What a run was made of is known by its content: whatever changes under the same name is not mixed with what is there.

Also what the disk and other processes may do to a run while it is made.
"""

from __future__ import annotations

import copy
import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import competency_gaps
from competency_gaps.items.config import ModelConfig
from competency_gaps.model.load import load_model
from competency_gaps.pipeline import extraction
from competency_gaps.reading import by_concept
from competency_gaps.util.errors import MachineError, UserError
from core_helpers import assert_same_run, held_elsewhere, read_only


@pytest.fixture
def config(tiny_config, tmp_path):
    """A short run, whose model, SAE and benchmarks lie in folders of their own."""
    made = copy.deepcopy(tiny_config)
    made["model"]["name"] = str(shutil.copytree(tiny_config["model"]["name"], tmp_path / "model"))
    made["sae"]["folder"] = str(shutil.copytree(tiny_config["sae"]["folder"], tmp_path / "sae"))
    for benchmark in made["benchmarks"]:
        file = shutil.copy(benchmark["source"]["path"], tmp_path)
        benchmark["source"]["path"], benchmark["sample"] = str(file), 10
    return made


@pytest.fixture
def made(config, tmp_path):
    return competency_gaps.run(config, tmp_path / "run")


def change_weight(file: Path, name: str) -> None:
    """Change one number of a tensor, which the strided sample of weights does not hold."""
    tensors = load_file(file)
    tensors[name].view(-1)[1] += 0.5
    save_file(tensors, file, {"format": "pt"})


def refused(config, made, says: str) -> None:
    """The run is refused, and nothing of it was touched."""
    files = {path: path.stat().st_mtime_ns for path in made.path.rglob("*")}
    with pytest.raises(UserError, match=rf"holds a run that differs in .*{says}"):
        competency_gaps.run(config, made.path)
    assert {path: path.stat().st_mtime_ns for path in made.path.rglob("*")} == files


def test_a_model_of_which_one_weight_changed_in_place(config, made):
    folder = Path(config["model"]["name"])
    known = load_model(ModelConfig(name=str(folder), dtype="float32")).identity
    change_weight(folder / "model.safetensors", "model.layers.1.mlp.up_proj.weight")
    changed = load_model(ModelConfig(name=str(folder), dtype="float32")).identity
    assert changed["weights_sha256"] == known["weights_sha256"], "the sample does not show it"
    refused(config, made, r"model\.content_sha256")


def test_a_benchmark_that_was_edited_in_place(config, made):
    file = Path(config["benchmarks"][0]["source"]["path"])
    file.write_text(file.read_text().replace("number 0.", "number zero."))
    refused(config, made, r"benchmarks\.quiz")


@pytest.mark.parametrize("file", ["gate.json", "gate.parquet"])
def test_a_damaged_gate_is_measured_again(file, config, made, caplog):
    path = made.path / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    again = competency_gaps.run(config, made.path)
    assert "it will be measured again" in caplog.text
    assert_same_run(again, made)
    assert again.manifest["gate"] == made.manifest["gate"]


def test_a_second_run_of_the_folder_is_refused_at_once(config, made):
    with held_elsewhere(made.path) as other:
        for write in (
            lambda: competency_gaps.run(config, made.path),
            lambda: made.add_scores({"other": {"c0": 1.0}}),
        ):
            with pytest.raises(UserError, match=rf"is being written by process {other.pid} on "):
                write()
        assert competency_gaps.open_run(made.path).items.height == 20, "readers need no lock"
    assert competency_gaps.run(config, made.path).items.height == 20


def test_a_folder_that_cannot_be_written_is_named_at_once(tiny_config, tiny_run):
    concepts = tiny_run.concepts
    with tempfile.TemporaryDirectory() as name:
        folder = Path(shutil.copytree(tiny_run.path, Path(name) / "run"))
        Path(name).chmod(0o755)
        with read_only(folder):
            for place in (folder, folder / "new"):
                with pytest.raises(MachineError, match="cannot be written") as error:
                    competency_gaps.run(tiny_config, place)
                assert str(place) in str(error.value)
            assert competency_gaps.open_run(folder).concepts.equals(concepts)


class Disk:
    """A disk that is full at one of the writes, counted from 1 on; 0: never."""

    def __init__(self, monkeypatch, fails: int = 0) -> None:
        self.writes, self.fails, self._real = 0, fails, os.fsync
        monkeypatch.setattr(os, "fsync", self._write)

    def _write(self, handle: int) -> None:
        self.writes += 1
        if self.writes == self.fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._real(handle)


def test_a_disk_that_is_full_at_any_write_loses_nothing(config, tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "SHARD_ITEMS", 5)
    monkeypatch.setattr("competency_gaps.findings.kept.write_json", lambda *_: None)  # a cache may lose all
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        straight = competency_gaps.run(config, tmp_path / "straight")
    assert disk.writes > 20
    for number, fails in enumerate(sorted({1, 2, 6, disk.writes // 2, disk.writes - 5, disk.writes})):
        folder = tmp_path / f"full{number}"
        with monkeypatch.context() as patch:
            Disk(patch, fails)
            with pytest.raises(MachineError, match=r"the disk is full: .*is kept") as error:
                competency_gaps.run(config, folder)
        assert str(folder) in str(error.value)
        if (folder / "manifest.json").is_file():  # only the report is missing
            assert_same_run(competency_gaps.open_run(folder), straight)
        else:
            with pytest.raises(UserError, match=r"unfinished|does not exist|has no manifest"):
                competency_gaps.open_run(folder)
        assert_same_run(competency_gaps.run(config, folder), straight)


def test_lacking_room_for_mapped_memory_is_noticed_before_writing(config, made, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(by_concept, "write_array_header_1_0", full)
        with pytest.raises(MachineError, match=r"the disk is full: .*by-concept"):
            competency_gaps.run(config, made.path)
    assert_same_run(competency_gaps.run(config, made.path), made)
