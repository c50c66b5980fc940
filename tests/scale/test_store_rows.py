"""What a stranger puts into a store with a marker that fits it is compared with the shard's items."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from competency_gaps.stages.shared import SharedShards
from safetensors.numpy import load, save
from store_helpers import contents, put

from competency_gaps.activations.store import CasBlock, CasStore
from competency_gaps.checked import with_checksum
from competency_gaps.errors import UserError
from competency_gaps.items.item import Reason
from competency_gaps.runs.store import RunStore
from competency_gaps.stages.extraction import Shard, ShardDraft, ShardFiles
from competency_gaps.stages.items import excluded_table

SHARD = Shard("b000-0000", [7, 2, 5], "input")
MARKER = f"shards/{SHARD.name}.json"


@pytest.fixture
def filled(tmp_path):
    """The address of a store with a shard of three items, of which the last was not read."""
    cas = sp.csr_array(np.array([[0, 3, 0.5, 0], [1, 0, 0, 2]], np.float32))
    tokens = np.array([[0, 1], [1, 4], [4, 6], [0, 2], [2, 3]], np.int32)
    block = CasBlock(
        np.array([7, 2]),
        cas,
        np.array([0, 2, 1, 0], np.int32),
        np.array([0, 3, 5]),
        np.arange(5, dtype=np.int32),
        tokens,
    )
    files = ShardFiles(tmp_path / "own", 4)
    table = excluded_table({item: Reason("not_finite", "a log-probability is not finite") for item in SHARD.members})
    rows = files.store.draft(SHARD.name, block, {})
    responses = files.responses.draft(SHARD.name, table.write_parquet)
    address = f"file://{tmp_path}/store"
    assert SharedShards(RunStore(address), files).publish(ShardDraft(SHARD.name, SHARD.made_of, rows, responses))
    return address


def fetch(address, folder):
    return SharedShards(RunStore(address), ShardFiles(folder, 4)).fetch(SHARD)


def forge(address, kind, content):
    """Put other content into a store's file, with a marker that fits it."""
    marker = json.loads(contents(address)[MARKER])
    entry = marker["files"][kind]
    put(address, f"{kind}/{entry['name']}", content)
    entry |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    put(address, MARKER, json.dumps(with_checksum(marker)).encode())


def changed(tensors, name, place, value):
    held = tensors[name].copy()
    held[place] = value
    return {**tensors, name: held}


STRANGE = {
    "no rows": lambda t: {"x": t["items"]},
    "one missing": lambda t: {name: held for name, held in t.items() if name != "scale"},
    "another item": lambda t: changed(t, "items", 0, 3),
    "2^60 items": lambda t: changed(t, "items", 0, 2**60),
    "an item twice": lambda t: changed(t, "items", 0, 2),
    "negative": lambda t: changed(t, "items", 0, -1),
    "other type": lambda t: {**t, "items": t["items"].astype(np.float64)},
    "two axes": lambda t: {**t, "items": t["items"][:, None]},
    "concept outside": lambda t: changed(t, "concepts", 0, 4),
    "rows backwards": lambda t: changed(t, "indptr", 1, 9),
    "NaN": lambda t: changed(t, "scale", 0, np.nan),
    "infinite": lambda t: changed(t, "scale", 0, np.inf),
    "negative scale": lambda t: changed(t, "scale", 0, -1),
    "NaN share": lambda t: changed(t, "cas", 0, np.nan),
    "negative share": lambda t: changed(t, "cas", 0, -1),
    "overflow": lambda t: changed(changed(t, "scale", 0, 3e38), "cas", 0, 65504),
    "few scales": lambda t: {**t, "scale": t["scale"][:1]},
    "peak outside": lambda t: changed(t, "peaks", 3, 2),
    "few peaks": lambda t: {**t, "peaks": t["peaks"][:3]},
    "tokens backwards": lambda t: changed(t, "token_ptr", 1, 6),
    "tokens end early": lambda t: changed(t, "token_ptr", 2, 4),
    "few offsets": lambda t: {**t, "token_offsets": t["token_offsets"][:4]},
    "token of 2^31": lambda t: changed({**t, "token_ids": t["token_ids"].astype(np.uint32)}, "token_ids", 0, 2**31),
    "token of 2^30": lambda t: changed({**t, "token_ids": t["token_ids"].astype(np.uint32)}, "token_ids", 0, 2**30),
}


def test_what_was_put_there_comes_back(filled, tmp_path):
    draft = fetch(filled, tmp_path / "b")
    assert draft is not None and MARKER in contents(filled)


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_rows_are_removed(kind, filled, tmp_path, caplog):
    tensors = load(next(held for name, held in contents(filled).items() if name.startswith("activations/")))
    forge(filled, "activations", save({k: np.ascontiguousarray(v) for k, v in STRANGE[kind](tensors).items()}))
    assert fetch(filled, tmp_path / "b") is None
    assert f"{MARKER} in {filled} cannot be used" in caplog.text
    assert contents(filled) == {}
    assert not [path for path in (tmp_path / "b").rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", [b"", b"rows", (2**62).to_bytes(8, "little") + b"{}"])
def test_files_that_hold_no_rows_are_removed(content, filled, tmp_path):
    forge(filled, "activations", content)
    assert fetch(filled, tmp_path / "b") is None and contents(filled) == {}


def test_a_table_on_which_polars_panics_is_removed(filled, tmp_path, monkeypatch, caplog):
    def panics(*arguments, **options):
        raise pl.exceptions.PanicException("assertion failed")

    for name in ("read_parquet", "read_parquet_schema"):
        monkeypatch.setattr(pl, name, panics)
    assert fetch(filled, tmp_path / "b") is None
    assert "its responses are not those of the shard's items" in caplog.text and contents(filled) == {}


def test_a_run_of_a_stranger_is_refused_by_the_name_of_the_file(filled, tmp_path):
    store = CasStore(tmp_path / "own" / "activations", 4)
    tensors = load(next(held for name, held in contents(filled).items() if name.startswith("activations/")))
    store.shards.write("b000-0001", lambda part: part.write_bytes(save(changed(tensors, "peaks", 3, 2))))
    with pytest.raises(UserError, match=r"b000-0001\.safetensors is damaged: a concept peaks on a token"):
        store.read("b000-0001")
