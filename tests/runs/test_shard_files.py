"""The two files of a shard count together or not at all, whatever they hold."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from competency_gaps.items.item import Reason
from competency_gaps.pipeline.extraction import Shard, ShardFiles
from competency_gaps.pipeline.items import excluded_table
from competency_gaps.reading.pooling import SparseRow
from competency_gaps.reading.rows import make_block
from competency_gaps.util.errors import UserError
from competency_gaps.util.shards import ShardDraft, ShardFolder

SHARD = Shard("b000-0000", [0, 1], "input")


class Stop(Exception):
    pass


@pytest.fixture
def files(tmp_path):
    made = ShardFiles(tmp_path, 4)
    made.commit(draft(made, 1.0))
    return made


def table(items=(0, 1)) -> pl.DataFrame:
    return excluded_table({item: Reason("memory_ran_out", "memory ran out even on this item alone") for item in items})


def draft(files: ShardFiles, value: float, responses: pl.DataFrame | None = None) -> ShardDraft:
    row = SparseRow(np.zeros(1, np.int32), np.full(1, value, np.float32), np.zeros(1, np.int32))
    tokens = (np.zeros(1, np.int32), np.zeros((1, 2), np.int32))
    block = make_block(np.zeros(1, np.int64), [row], [np.zeros(1, np.int64)], [tokens], 4)
    written = (table() if responses is None else responses).write_parquet
    drafts = [files.store.draft(SHARD.name, block, {}), files.responses.draft(SHARD.name, written)]
    return ShardDraft(SHARD.name, SHARD.made_of, drafts)


def test_rows_and_responses_of_different_passes_do_not_count(files, monkeypatch):
    assert files.finished(SHARD) is not None
    newer = draft(files, 2.0)

    def stops(*arguments):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(files.responses, "commit", stops)
        with pytest.raises(Stop):
            files.commit(newer)
    assert files.finished(SHARD) is None
    files.commit(draft(files, 2.0))
    assert files.finished(SHARD) is not None


@pytest.mark.parametrize(
    "responses",
    [
        table((0,)),
        table((0, 0)),
        table().drop("score"),
        table().with_columns(pl.col("score").cast(pl.String)),
        table().with_columns(item=pl.lit(None, pl.Int64)),
    ],
)
def test_responses_that_are_not_of_the_items_do_not_count(files, responses):
    files.commit(draft(files, 1.0, responses))
    assert files.finished(SHARD) is None


@pytest.mark.parametrize("stamp", ["[]", '{"sha256": 3, "made_of": ""}', '{"sha256": "x"}', "\xff"])
def test_stamps_that_cannot_be_read(tmp_path, stamp):
    folder = ShardFolder(tmp_path, ".bin")
    folder.commit("a", folder.draft("a", lambda part: part.write_bytes(b"x")))
    folder.files("a")[1].write_text(stamp, encoding="latin-1")
    with pytest.raises(UserError, match="missing or damaged"):
        folder.check("a")
    assert not folder.is_whole("a") and folder.path("a").exists(), "it is there until it is made again"


def test_a_stamp_names_the_checksum(tmp_path):
    folder = ShardFolder(tmp_path, ".bin")
    folder.commit("a", folder.draft("a", lambda part: part.write_bytes(b"x")), "input")
    held = json.loads(folder.files("a")[1].read_text())
    assert held["made_of"] == "input" and folder.checksum("a") == held["sha256"] and folder.is_whole("a", "input")
