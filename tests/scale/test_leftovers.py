"""What killed writers leave in a store is removed, and never what counts or may still come to count."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pytest
from store_helpers import contents, put

from competency_gaps.errors import MachineError
from competency_gaps.runs import leftovers
from competency_gaps.runs.leftovers import LEFTOVER_AGE, remove_leftovers
from competency_gaps.runs.store import RunStore
from competency_gaps.shards import ShardFolder

SHARDS = ["b000-0000", "b000-0001", "b001-0000"]
LEFT = "fedcba9876543210"


@pytest.fixture
def places(tmp_path):
    return ShardFolder(tmp_path / "activations", ".safetensors"), ShardFolder(tmp_path / "responses", ".parquet")


@pytest.fixture
def store(address, places):
    """Two finished shards of three, files of killed attempts at all, and of a shard of another run."""
    made = RunStore(address)
    for name in SHARDS[:2]:
        publish(made, name, places, b"rows of " + name.encode())
    for name in [*SHARDS, "c000-0000"]:
        put(address, f"activations/{name}.{LEFT}.safetensors", b"half")
    put(address, f"responses/{SHARDS[0]}.{LEFT}.parquet", b"half")
    put(address, f"probe/{LEFT}", b"12345678")
    put(address, "activations/notes.txt", b"of somebody else")
    return made


def publish(store, name, places, rows, instead_of=()):
    drafts = [folder.draft(name, lambda part: part.write_bytes(rows)) for folder in places]
    assert store.publish(name, "input", places, drafts, instead_of)
    return [draft.sha256 for draft in drafts]


def grow_old(address, name, seconds):
    """Let a file be as if it had been written so long ago."""
    scheme, _, place = address.partition("://")
    if scheme == "file":
        path = Path(place) / name
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - seconds))
    else:
        from fsspec.implementations.memory import MemoryFileSystem

        MemoryFileSystem.store[f"/{place}/{name}"].modified -= datetime.timedelta(seconds=seconds)


def test_of_finished_shards_what_does_not_count_is_removed(store, places, monkeypatch):
    before = contents(store.address)
    monkeypatch.setattr(leftovers, "LEFTOVER_AGE", -10.0)  # a server's clock cannot be changed, so all is old
    gone = {f"activations/{name}.{LEFT}.safetensors" for name in SHARDS[:2]}
    gone |= {f"responses/{SHARDS[0]}.{LEFT}.parquet", f"probe/{LEFT}"}
    assert remove_leftovers(store.remote, SHARDS, places) == 4
    after = contents(store.address)
    assert set(before) - set(after) == gone and set(after) <= set(before)
    assert all(store.fetch(name, "input", places) for name in SHARDS[:2])
    assert remove_leftovers(store.remote, SHARDS, places) == 0


def test_what_was_just_written_may_still_come_to_count(store, places):
    before = contents(store.address)
    assert remove_leftovers(store.remote, SHARDS, places) == 0
    assert contents(store.address) == before


@pytest.mark.parametrize("address", ["file", "memory"], indirect=True)
def test_only_what_is_older_than_a_day_is_removed(store, places):
    old = f"activations/{SHARDS[0]}.{LEFT}.safetensors"
    young = f"activations/{SHARDS[1]}.{LEFT}.safetensors"
    before = contents(store.address)
    for name in before:  # also of what counts
        grow_old(store.address, name, LEFTOVER_AGE - 3600 if name == young else LEFTOVER_AGE + 60)
    assert remove_leftovers(store.remote, SHARDS, places) == 3
    lost = {old, f"responses/{SHARDS[0]}.{LEFT}.parquet", f"probe/{LEFT}"}
    assert set(contents(store.address)) == set(before) - lost


def test_a_writer_that_replaces_a_shard_meanwhile_loses_nothing(store, places, address, monkeypatch):
    """Its files are there, and the marker still names those of the shard that it replaces."""
    name, create = SHARDS[1], store.remote.create
    held = contents(address)
    poor = [known["sha256"] for known in marker_files(held[f"shards/{name}.json"])]
    swept = []

    def late(place, content):
        if place == f"shards/{name}.json":
            swept.append(remove_leftovers(RunStore(address).remote, SHARDS, places))
        return create(place, content)

    monkeypatch.setattr(store.remote, "create", late)
    discard = store._discard_shard

    def early(*given):
        swept.append(remove_leftovers(RunStore(address).remote, SHARDS, places))
        discard(*given)

    monkeypatch.setattr(store, "_discard_shard", early)
    publish(store, name, places, b"better", poor)
    assert swept == [0, 0]
    rows, _ = store.fetch(name, "input", places)
    assert (places[0].folder / rows.file).read_bytes() == b"better"


def marker_files(raw):
    return list(json.loads(raw)["files"].values())


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"files": 5}'])
def test_without_a_marker_that_can_be_read_nothing_is_removed(store, places, content, monkeypatch):
    monkeypatch.setattr(leftovers, "LEFTOVER_AGE", -10.0)
    put(store.address, f"shards/{SHARDS[0]}.json", content)
    before = {name for name in contents(store.address) if SHARDS[0] in name}
    remove_leftovers(store.remote, SHARDS, places)
    assert {name for name in contents(store.address) if SHARDS[0] in name} == before


def test_a_store_that_removes_nothing_costs_no_run(store, places, monkeypatch, caplog):
    monkeypatch.setattr(leftovers, "LEFTOVER_AGE", -10.0)

    def refuses(*_):
        raise MachineError("access denied")

    monkeypatch.setattr(store.remote, "remove", refuses)
    assert remove_leftovers(store.remote, SHARDS, places) == 0
    assert "stay there: access denied" in caplog.text
