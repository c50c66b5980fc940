"""Parts of a run, joined, are the run; what is lacking is named."""

from __future__ import annotations

import importlib.metadata
import json
import re
from contextlib import contextmanager

import pytest
from suite_helpers import make_small, never, run_small, with_answers

import competency_gaps as cg
from competency_gaps.model import load
from competency_gaps.model.batches import OUT_OF_MEMORY
from competency_gaps.pipeline import engines
from competency_gaps.pipeline.extraction import ShardReader
from competency_gaps.reading.extract import Extractor
from competency_gaps.runs import plan
from competency_gaps.util.errors import UserError
from core_helpers import assert_same_run, command, shard_bytes


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    make_small(monkeypatch)


@pytest.fixture(scope="module")
def config(tiny_config):
    return with_answers(tiny_config, *tiny_config["benchmarks"])


@pytest.fixture(scope="module")
def straight(config, tmp_path_factory):
    return run_small(config, tmp_path_factory.mktemp("straight") / "run")


@pytest.fixture(scope="module")
def parts(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        for number in (1, 2, 3):
            cg.make_part(config, folder / str(number), (number, 3))
    return [folder / str(number) for number in (1, 2, 3)]


@pytest.fixture
def other_versions(monkeypatch):
    """A context in which a transformers of another version is installed, which knows one more setting of models, and
    another package of ours."""
    real, settings = importlib.metadata.version, load._settings
    others = {"transformers": "4.0", "competency-gaps": "0.2"}

    @contextmanager
    def installed(**versions: str):
        with monkeypatch.context() as patch:
            patch.setattr(importlib.metadata, "version", lambda name: (versions or others).get(name) or real(name))
            if not versions:
                patch.setattr(load, "_settings", lambda model: {**settings(model), "new_setting": True})
            yield

    return installed


def read_with(run, package: str) -> set[str]:
    return {versions[package] for versions in run.manifest["read"]["versions"]}


def test_parts_read_with_other_versions_are_joined_without_a_model(
    config, parts, straight, tmp_path, monkeypatch, other_versions
):
    with other_versions():
        cg.make_part(config, tmp_path / "2", (2, 3))
    for name in ("load_model", "load_sae"):
        monkeypatch.setattr(f"competency_gaps.sae.load.{name}", never)
    with other_versions(**{"competency-gaps": "0.3"}):
        joined = cg.merge([parts[0], tmp_path / "2", parts[2]], tmp_path / "run")
    assert joined.items.equals(straight.items) and joined.concepts.equals(straight.concepts)
    now = importlib.metadata.version
    assert read_with(joined, "transformers") == {"4.0", now("transformers")}
    assert read_with(joined, "competency-gaps") == {"0.2", now("competency-gaps")}


def test_reading_goes_on_under_other_versions_if_that_is_accepted(
    config, straight, tmp_path, monkeypatch, other_versions
):
    folder = tmp_path / "run"
    cg.make_part(config, folder, (1, 4))
    kept = shard_bytes(folder)
    with monkeypatch.context() as patch, pytest.raises(UserError, match=r"differs in format \(\d+ and 99\)"):
        patch.setattr(plan, "FORMAT", 99)
        cg.run(config, folder)
    now = importlib.metadata.version("transformers")
    said = rf"transformers {re.escape(now)}, here 4.0: .*--set accept_versions=true"
    with other_versions(), pytest.raises(UserError, match=said):
        cg.run(config, folder)
    assert shard_bytes(folder) == kept
    with other_versions(**{"competency-gaps": "0.3"}):
        cg.make_part(config, folder, (1, 4))
    with other_versions():
        run = cg.run({**config, "accept_versions": True}, folder)
        assert read_with(run, "transformers") == {"4.0", now}
    run = cg.run(config, folder)
    assert run.items.equals(straight.items), "what is read needs no leave"


def test_parts_joined_are_the_run(parts, straight, tmp_path, monkeypatch):
    for folder in parts:
        assert not (folder / "manifest.json").exists() and not (folder / "items.parquet").exists()
    monkeypatch.setattr(ShardReader, "read", never)
    monkeypatch.setattr(Extractor, "rows", never)
    joined = cg.merge(parts[::-1], tmp_path / "run")
    assert_same_run(joined, straight)
    assert joined.manifest["gate"] == straight.manifest["gate"]
    assert_same_run(cg.merge(parts, tmp_path / "run"), straight)


def test_items_that_ran_out_of_memory_are_joined(parts, straight, tmp_path, monkeypatch):
    """A process of its own would read them again; joining reads nothing."""
    monkeypatch.setattr(ShardReader, "read", never)
    monkeypatch.setattr(engines, "unreadable", lambda table: [OUT_OF_MEMORY])
    assert_same_run(cg.merge(parts, tmp_path / "run"), straight)


def test_a_missing_part_is_named(parts, tmp_path):
    with pytest.raises(UserError, match="of the run's parts, 2/3 is missing"):
        cg.merge([parts[0], parts[2]], tmp_path / "run")
    with pytest.raises(UserError, match="one or more different folders"):
        cg.merge([parts[0], parts[0]], tmp_path / "run")
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_missing_shard_is_named_and_read_again(config, parts, straight, tmp_path):
    part = tmp_path / "2"
    record = cg.make_part(config, part, (2, 3))
    shard = part / "activations" / f"{record.members[-1]}.safetensors"
    shard.unlink()
    given = [parts[0], part, parts[2]]
    with pytest.raises(UserError, match=f"missing or damaged: {shard.stem} of {part}"):
        cg.merge(given, tmp_path / "run")
    cg.make_part(config, part, (2, 3))
    assert_same_run(cg.merge(given, tmp_path / "run"), straight)


def test_parts_of_another_run_are_refused(config, parts, tmp_path):
    other = {**config, "generation": {"temperature": 0.5}}
    cg.make_part(other, tmp_path / "other", (3, 3))
    with pytest.raises(UserError, match=r"part of another run.*generation.temperature \(0.5 and 0.9\)"):
        cg.merge([*parts[:2], tmp_path / "other"], tmp_path / "run")
    cg.make_part(config, tmp_path / "half", (1, 2))
    with pytest.raises(UserError, match="is part 1/2"):
        cg.merge([*parts, tmp_path / "half"], tmp_path / "run")
    with pytest.raises(UserError, match="holds part 1/2, not 2/2"):
        cg.make_part(config, tmp_path / "half", (2, 2))


def test_a_part_is_an_unfinished_run(config, straight, tmp_path):
    cg.make_part(config, tmp_path / "run", (1, 4))
    with pytest.raises(UserError, match="unfinished"):
        cg.open_run(tmp_path / "run")
    assert_same_run(cg.run(config, tmp_path / "run"), straight)


def test_commands(config, tmp_path):
    (tmp_path / "run.yaml").write_text(json.dumps(config))
    done = command("run", "run.yaml", "--shard", "1/1", "--out", "part", "--quiet", cwd=tmp_path)
    assert done.returncode == 0 and "cgaps merge PART... --out RUN" in done.stdout, done.stderr
    done = command("merge", "part", "--out", "run", "--quiet", "--json", cwd=tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout)["benchmarks"], done.stderr
