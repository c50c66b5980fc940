"""Parts of a run, joined, are the run; what is lacking is named."""

from __future__ import annotations

import json

import pytest
from suite_helpers import make_small, never, run_small, with_answers

import competency_gaps as cg
from competency_gaps.activations.extract import Extractor
from competency_gaps.errors import UserError
from competency_gaps.model.batches import OUT_OF_MEMORY
from competency_gaps.stages import engines
from competency_gaps.stages.extraction import ShardReader
from core_helpers import assert_same_run, command


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
    shard = part / "activations" / f"{record.own[-1]}.safetensors"
    shard.unlink()
    given = [parts[0], part, parts[2]]
    with pytest.raises(UserError, match=f"missing or damaged: .*{shard.name}"):
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
