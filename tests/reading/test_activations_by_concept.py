"""The concept-major copy against the rows it was made from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from competency_gaps import open_run
from competency_gaps.concepts.collect import run_pieces
from competency_gaps.reading import by_concept
from competency_gaps.reading.by_concept import ByConcept, write_by_concept
from competency_gaps.reading.pooling import SparseRow
from competency_gaps.reading.rows import make_block
from competency_gaps.util.errors import UserError
from core_helpers import seal

WIDTH = 9


def block(rng, items):
    """Random rows: their CAS dense, and the block."""
    rows, tokens = [], []
    for _ in items:
        concepts = np.flatnonzero(rng.random(WIDTH) < 0.4).astype(np.int32)
        peaks = rng.integers(0, 5, len(concepts)).astype(np.int32)
        rows.append(SparseRow(concepts, rng.random(len(concepts)).astype(np.float32) + 0.1, peaks))
        offsets = np.stack([np.arange(5), np.arange(5) + 1], axis=1).astype(np.int32)
        tokens.append((np.arange(5, dtype=np.int32), offsets))
    return make_block(np.asarray(items), rows, [np.arange(5)] * len(rows), tokens, WIDTH)


@pytest.mark.parametrize("nonzeros", [1, 15, by_concept.GROUP_NONZEROS])
def test_every_value_is_where_a_loop_puts_it(tmp_path, monkeypatch, nonzeros):
    monkeypatch.setattr(by_concept, "GROUP_NONZEROS", nonzeros)
    rng = np.random.default_rng(0)
    parts = [(0, block(rng, [3, 1])), (0, block(rng, [0, 2, 4])), (5, block(rng, [1, 0]))]
    write_by_concept(tmp_path, lambda: parts, WIDTH)
    found = ByConcept(tmp_path)
    for concept in range(WIDTH):
        expected = []
        for first, one in parts:
            ranges = one.peak_ranges()
            for row, item in enumerate(one.items):
                for at in range(one.cas.indptr[row], one.cas.indptr[row + 1]):
                    if one.cas.indices[at] == concept:
                        expected.append((first + item, one.cas.data[at], *ranges[at]))
        column = found.column(concept)
        own = [(i, c, *p) for i, c, p in zip(column.item, column.cas, column.peak.tolist(), strict=True)]
        own, expected = sorted(own), sorted(expected)
        assert [(item, start, end) for item, _, start, end in own] == [(i, start, end) for i, _, start, end in expected]
        # The blocks are not rounded to what is stored.
        assert [cas for _, cas, _, _ in own] == pytest.approx([float(cas) for _, cas, _, _ in expected], rel=2**-11)


def test_an_empty_copy_is_read_a_missing_one_refused(tmp_path):
    write_by_concept(tmp_path, lambda: [(0, make_block(np.zeros(0, np.int64), [], [], [], WIDTH))], WIDTH)
    assert len(ByConcept(tmp_path).column(3).item) == 0
    with pytest.raises(UserError, match=r"checks\.json is damaged: No such file"):
        ByConcept(tmp_path / "elsewhere")


@pytest.mark.parametrize("name", ["../../secret", "b000/0000", "/etc/passwd", "..", "", "b\n", "x" * 300], ids=repr)
def test_a_shard_of_a_foreign_manifest_leads_nowhere_else(run, name):
    folder = run.path
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["benchmarks"][0]["shards"][0] = name
    (folder / "manifest.json").write_text(json.dumps(manifest))
    seal(folder)
    run = open_run(folder)
    benchmark = manifest["benchmarks"][0]["name"]
    for ask in (
        lambda: run.item_rows,
        lambda: run.token_activations(0, [0]),
        lambda: run.cas(benchmark),
        lambda: list(run_pieces(run)),
    ):
        with pytest.raises(UserError, match="names a shard"):
            ask()


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="this system does not say what is mapped")
def test_arrays_do_not_stay_mapped(tmp_path):
    write_by_concept(tmp_path, lambda: [(0, block(np.random.default_rng(0), range(50)))], WIDTH)
    read = ByConcept(tmp_path)
    assert len(read.column(0).item) and read.cas(np.arange(3), 50).nnz
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
