"""Machines that share nothing but a store make the run that a single machine makes."""

from __future__ import annotations

import io
import json
import os
import shutil

import polars as pl
import pytest
from rich.console import Console
from store_helpers import contents, put
from suite_helpers import make_small, never, run_small, with_answers

import competency_gaps as cg
from competency_gaps.checked import with_checksum
from competency_gaps.errors import MachineError, UserError
from competency_gaps.model.batches import OUT_OF_MEMORY
from competency_gaps.progress import Progress
from competency_gaps.runs.remote import RemoteFolder
from competency_gaps.runs.store import RunStore
from competency_gaps.stages import reading
from competency_gaps.stages.extraction import ShardReader
from core_helpers import assert_same_run, command, shard_bytes


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    make_small(monkeypatch)


@pytest.fixture(scope="module")
def config(tiny_config):
    _, sums = tiny_config["benchmarks"]
    return with_answers(tiny_config, {**sums, "limit": 24})


@pytest.fixture(scope="module")
def straight(config, tmp_path_factory):
    return run_small(config, tmp_path_factory.mktemp("straight") / "run")


@pytest.fixture(scope="module")
def published(config, straight, tmp_path_factory):
    """The folder of a store that holds the shards of a run which was made without it."""
    folder = tmp_path_factory.mktemp("published")
    shutil.copytree(straight.path, folder / "run")
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        patch.setattr(ShardReader, "read", never)
        cg.run(config, folder / "run", store=f"file://{folder}/store")
    return folder / "store"


@pytest.fixture
def filled(published, tmp_path):
    """A copy of that store, as an address."""
    shutil.copytree(published, tmp_path / "store")
    return f"file://{tmp_path}/store"


@pytest.fixture
def reads(monkeypatch):
    """Names of the shards that are read."""
    whole, names = ShardReader.read, []

    def counted(self, plan, shard, *arguments):
        names.append(shard.name)
        return whole(self, plan, shard, *arguments)

    monkeypatch.setattr(ShardReader, "read", counted)
    return names


def test_parts_of_machines_without_common_disks_are_a_run(config, straight, s3_address, tmp_path, reads):
    for number in (1, 2):
        cg.make_part(config, tmp_path / str(number) / "part", (number, 2), store=s3_address)
    every = [name for entry in straight.manifest["benchmarks"] for name in entry["shards"]]
    assert len(every) == 5 and sorted(reads) == sorted(every), "each shard is read once"
    assert {name for name in contents(s3_address) if name.startswith("shards/")} == {f"shards/{n}.json" for n in every}
    made = cg.run(config, tmp_path / "third" / "run", store=s3_address)
    assert len(reads) == 5
    assert_same_run(made, straight)


def test_a_killed_run_goes_on_elsewhere(config, straight, address, tmp_path, monkeypatch):
    whole, names, left = ShardReader.read, [], 2

    def stops(self, plan, shard, *arguments):
        if len(names) == left:
            raise KeyboardInterrupt
        names.append(shard.name)
        return whole(self, plan, shard, *arguments)

    monkeypatch.setattr(ShardReader, "read", stops)
    with pytest.raises(KeyboardInterrupt):
        cg.run(config, tmp_path / "lost", store=address)
    left = 99
    made = cg.run(config, tmp_path / "new", store=address)
    assert len(names) == len(set(names)) == 5, "nothing is read twice"
    assert_same_run(made, straight)


def test_what_was_read_without_a_store_is_put_there(config, straight, filled, tmp_path, monkeypatch):
    monkeypatch.setattr(ShardReader, "read", never)
    assert_same_run(cg.run(config, tmp_path / "other", store=filled), straight)


def test_a_damaged_object_is_computed_again(config, straight, filled, tmp_path, reads, caplog):
    held = contents(filled)
    name = next(name for name in sorted(held) if name.startswith("activations/"))
    put(filled, name, held[name][:-1] + bytes([held[name][-1] ^ 1]))
    made = cg.run(config, tmp_path / "run", store=filled)
    assert f"the content of {name} does not match its checksum" in caplog.text
    assert len(reads) == 1
    assert_same_run(made, straight)
    assert len(contents(filled)) == len(held) and name not in contents(filled)


def test_where_another_machine_was_first_its_shards_count(config, straight, filled, tmp_path, monkeypatch, reads):
    """Both have seen an empty store, and both have read all; the second in other batches, so with other rounding."""
    held = contents(filled)
    monkeypatch.setattr(RunStore, "names", lambda self: set())
    made = cg.run({**config, "batch_tokens": 100}, tmp_path / "second", store=filled)
    assert len(reads) == 5
    assert shard_bytes(made.path) == shard_bytes(straight.path)
    assert contents(filled) == held, "the second left no file behind"


def test_a_shard_for_which_memory_ran_out_is_replaced(config, straight, filled, tmp_path, monkeypatch, reads):
    before, asked, real = contents(filled), [], reading.unreadable

    def short(table):
        asked.append(1)
        return [OUT_OF_MEMORY] if len(asked) == 1 else real(table)

    monkeypatch.setattr(reading, "unreadable", short)
    made = cg.run(config, tmp_path / "large", store=filled)
    after = contents(filled)
    assert len(reads) == 1 and len(after) == len(before)
    assert after[f"shards/{reads[0]}.json"] != before[f"shards/{reads[0]}.json"]
    assert_same_run(made, straight)


def test_of_two_machines_that_replace_a_poor_shard_the_first_counts(config, filled, tmp_path, monkeypatch):
    """When the second has read it too, the first has put its own there, which is as good and of other bytes."""
    asked, held, real, whole = [], {}, reading.unreadable, RunStore.publish

    def short(table):
        asked.append(1)
        return [OUT_OF_MEMORY] if len(asked) == 1 else real(table)

    def late(store, name, made_of, folders, drafts, instead_of=()):
        monkeypatch.setattr(RunStore, "publish", whole)
        rows, answers = (folder.folder / draft.file for folder, draft in zip(folders, drafts, strict=True))
        first = [
            folders[0].draft(name, lambda part: part.write_bytes(rows.read_bytes())),
            folders[1].draft(name, lambda part: pl.read_parquet(answers).write_parquet(part, compression="gzip")),
        ]
        assert whole(store, name, made_of, folders, first, instead_of)
        held.update(contents(filled))
        return whole(store, name, made_of, folders, drafts, instead_of)

    monkeypatch.setattr(reading, "unreadable", short)
    monkeypatch.setattr(RunStore, "publish", late)
    before = contents(filled)
    made = cg.run(config, tmp_path / "second", store=filled)
    assert held and contents(filled) == held and len(held) == len(before)
    (name,) = {name for name in held if name.startswith("responses/")} - set(before)
    kind, file = name.split("/")
    assert (made.path / kind / f"{file.split('.')[0]}.parquet").read_bytes() == held[name]


def test_what_a_killed_machine_left_is_removed_after_a_day(config, straight, filled, tmp_path):
    held = contents(filled)
    name = next(name for name in sorted(held) if name.startswith("activations/"))
    left = f"{name.split('.')[0]}.0123456789abcdef.safetensors"
    put(filled, left, b"half")
    file = tmp_path / "store" / left
    os.utime(file, (0, file.stat().st_mtime - 90_000))
    spoken = io.StringIO()
    made = cg.run(config, tmp_path / "run", store=filled, progress=Progress(Console(file=spoken)))
    assert "1 file that killed writers left in file://" in spoken.getvalue()
    assert contents(filled) == held
    assert_same_run(made, straight)


def test_another_run_is_refused(config, filled, tmp_path, monkeypatch):
    monkeypatch.setattr(ShardReader, "read", never)
    held = contents(filled)
    with pytest.raises(UserError, match=r"holds a run that differs in generation\.temperature \(0\.9 and 0\.5\)\."):
        cg.run({**config, "generation": {"temperature": 0.5}}, tmp_path / "run", store=filled)
    assert contents(filled) == held


@pytest.mark.parametrize(("kind", "words"), [("responses", "responses"), ("activations", "rows")])
def test_a_shard_of_other_items_is_refused(kind, words, config, straight, filled, tmp_path, caplog):
    """Whoever writes to a store can make a marker that fits its files."""
    held = contents(filled)
    first, other = (json.loads(held[f"shards/b000-000{number}.json"]) for number in (0, 1))
    name, others = first["files"][kind]["name"], other["files"][kind]
    swapped = {**first, "files": {**first["files"], kind: {**others, "name": name}}}
    put(filled, f"{kind}/{name}", held[f"{kind}/{others['name']}"])
    put(filled, "shards/b000-0000.json", json.dumps(with_checksum(swapped)).encode())
    made = cg.run(config, tmp_path / "second", store=filled)
    assert f"its {words} are not those of the shard's items" in caplog.text
    assert_same_run(made, straight)


def test_a_store_that_fails_in_the_middle_keeps_what_is_finished(config, straight, tmp_path, monkeypatch, reads):
    address, whole, sent = f"file://{tmp_path}/store", RemoteFolder.upload, []

    def fails(self, file, name):
        sent.append(name)
        if len(sent) == 5:
            monkeypatch.setattr(self._files, "put_file", lambda *_: (_ for _ in ()).throw(ConnectionError("reset")))
        whole(self, file, name)

    with monkeypatch.context() as patch:
        patch.setattr(RemoteFolder, "upload", fails)
        with pytest.raises(MachineError, match=r"the store file://.*reset. What is finished is kept"):
            cg.run(config, tmp_path / "run", store=address)
    assert len(reads) == 4, "while the third was sent, the fourth was read"
    made = cg.run(config, tmp_path / "run", store=address)
    assert len(reads) == 4 + 3, "the two that were published are not read again"
    assert_same_run(made, straight)


def test_commands(config, s3_environment, s3_address, tmp_path):
    (tmp_path / "run.yaml").write_text(json.dumps(config))
    given = ("run", "run.yaml", "--quiet", "--out")
    done = command(*given, "part", "--shard", "1/1", "--store", s3_address, cwd=tmp_path, env=s3_environment)
    assert done.returncode == 0 and f"--store {s3_address} --out RUN" in done.stdout, done.stderr
    done = command(*given, "run", "--json", "--store", s3_address, cwd=tmp_path, env=s3_environment)
    assert done.returncode == 0 and json.loads(done.stdout)["benchmarks"], done.stderr
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert f"--store {s3_address}" in manifest["command"]
    secret = s3_environment["AWS_SECRET_ACCESS_KEY"].encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(secret in path.read_bytes() for path in files)
    assert not any(secret in held for held in contents(s3_address).values())
    done = command(*given, "x", "--store", "s3://AKIA:hush@bucket/run", cwd=tmp_path, env=s3_environment)
    assert done.returncode == 2 and "hush" not in done.stderr and "--store" in done.stderr
