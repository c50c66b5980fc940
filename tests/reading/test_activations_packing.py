"""Rows as they are stored: against half-precision numbers of Python's own, and against the bytes on disk."""

from __future__ import annotations

import math
import struct
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from safetensors.numpy import load_file

from competency_gaps.reading.by_concept import ByConcept, write_by_concept
from competency_gaps.reading.extract import NOT_FINITE, Extractor, ItemTokens
from competency_gaps.reading.pooling import SparseRow
from competency_gaps.reading.rows import CasStore, ItemRows, make_block, pack_scores, unpack_scores

LEAST = 2.0**-149
"""The smallest float32 above 0."""


def matrix(rows: list[list[float]], width: int = 1000) -> sp.csr_array:
    indptr = np.cumsum([0, *map(len, rows)])
    concepts = np.concatenate([np.zeros(0, np.int32), *(np.arange(len(row), dtype=np.int32) for row in rows)])
    return sp.csr_array((np.array([v for row in rows for v in row], np.float32), concepts, indptr), (len(rows), width))


def stored(cas: sp.csr_array) -> np.ndarray:
    """The scores that are read after they were written."""
    shares, scale = pack_scores(cas)
    return unpack_scores(shares, np.repeat(scale, np.diff(cas.indptr)))


def half(row: list[float]) -> list[float]:
    """What is stored of a row of float32 values, by Python's half-precision numbers."""
    largest = max(row)
    shares = [struct.unpack("<e", struct.pack("<e", value / largest * 32768))[0] for value in row]
    return [max(share, 2.0**-24) / 32768 * largest for share in shares]


@pytest.mark.parametrize("largest", [1e30, 40.0, 1.0, 1e-3, 1e-28])
def test_how_far_a_score_is_off(largest):
    """At most 2^-11 of itself down to 2^-29 of the row's largest; below, less than 2^-39 of the largest; never 0."""
    rng = np.random.default_rng(0)
    row = [largest, *(largest * 2.0 ** -rng.uniform(0, 45, 999))]
    true = np.array(row, np.float32).astype(np.float64)
    read = stored(matrix([row])).astype(np.float64)
    assert read[0] == true[0] and (read > 0).all()
    error, fine = np.abs(read - true), true >= 2.0**-29 * true[0]
    assert 500 < fine.sum() < 800
    assert (error[fine] <= 2.0**-11 * true[fine]).all() and (error[fine] > 2.0**-13 * true[fine]).any()
    assert (error[~fine] < 2.0**-39 * true[0]).all()
    # float32 arithmetic may fall on the other side of a middle between two half-precision numbers.
    same = np.isclose(read, half(true.tolist()), rtol=1e-6, atol=LEAST)
    assert same.mean() > 0.99


def test_rows_without_concepts_with_one_and_with_the_smallest_numbers():
    rows = [[], [3.1], [], [1e-45, 4e-45], [1e-40, 3e-40, 1e-45], [], [1e30, 1e-30], []]
    cas = matrix(rows)
    shares, scale = pack_scores(cas)
    assert shares.dtype == np.float16 and scale.dtype == np.float32
    assert scale.tolist() == [max(np.float32(row).tolist(), default=0) for row in rows]
    read = stored(cas)
    assert read.dtype == np.float32 and (read > 0).all()
    assert read[0] == np.float32(3.1)
    assert read[1:6] == pytest.approx(cas.data[1:6].astype(float), rel=2.0**-11, abs=LEAST)
    assert read[6] == np.float32(1e30) and 0 < read[7] < 1e30 * 2.0**-38
    assert stored(matrix([[0.0], [0.0, 1.0]])).min() > 0, "a mean so small that float32 has no number for it"
    shares, scale = pack_scores(matrix([]))
    assert len(shares) == len(scale) == 0 and len(stored(matrix([[], []]))) == 0


def written(folder, width: int, longest: int, vocabulary: int, characters: int):
    """A store with a shard of three items, the second without concepts and the third of the largest indices."""
    lengths, rng = [5, 2, longest], np.random.default_rng(2)
    rows = [
        SparseRow(np.array(concepts, np.int32), rng.lognormal(0, 2, len(concepts)).astype(np.float32), np.array(peaks))
        for concepts, peaks in (([0, 3, 7], [4, 0, 2]), ([], []), ([1, width - 2, width - 1], [0, 1, longest - 1]))
    ]
    tokens = []
    for length in lengths:
        ends = np.linspace(1, characters, length).astype(np.int32)
        tokens.append((np.linspace(0, vocabulary - 1, length).astype(np.int32), np.stack([ends - 1, ends], axis=1)))
    rows = [row._replace(peaks=row.peaks.astype(np.int32)) for row in rows]
    block = make_block(np.array([2, 0, 1]), rows, [np.arange(length) for length in lengths], tokens, width)
    store = CasStore(folder, width)
    store.shards.commit("b000-0000", store.draft("b000-0000", block, {}))
    return store, block


NARROW, WIDE = (65_536, 65_536, 65_536, 65_535), (65_537, 70_000, 128_000, 90_000)


@pytest.mark.parametrize(("sizes", "dtype"), [(NARROW, np.uint16), (WIDE, np.uint32)])
def test_a_shard_is_read_as_it_was_written(sizes, dtype, tmp_path):
    store, block = written(tmp_path, *sizes)
    held = load_file(store.shards.path("b000-0000"))
    assert {held[name].dtype for name in ("concepts", "peaks", "token_ids", "token_offsets")} == {np.dtype(dtype)}
    read = store.read("b000-0000")
    for name in ("items", "peaks", "token_ptr", "token_ids", "token_offsets"):
        one, other = getattr(read, name), getattr(block, name)
        assert one.dtype == other.dtype and np.array_equal(one, other), name
    assert read.cas.data.dtype == np.float32
    assert np.array_equal(read.cas.indices, block.cas.indices) and np.array_equal(read.cas.indptr, block.cas.indptr)
    expected = [value for part in np.split(block.cas.data.astype(float), [3]) for value in half(part.tolist())]
    assert read.cas.data == pytest.approx(expected, rel=1e-6)
    assert read.cas.data != pytest.approx(block.cas.data.astype(float), rel=1e-6)
    assert np.array_equal(read.peak_tokens(), block.peak_tokens())


@pytest.mark.parametrize(("sizes", "dtype"), [(NARROW, np.uint16), (WIDE, np.uint32)])
def test_rows_by_item_and_concept_are_the_shards(sizes, dtype, tmp_path):
    store, _ = written(tmp_path, *sizes)
    read = store.read("b000-0000")
    whole, ranges = np.zeros((3, store.width), np.float32), read.peak_ranges()
    whole[read.items] = read.cas.toarray()
    by_item = ItemRows(store.shards, [(3, ["b000-0000"])], np.ones(3, bool))
    for place, item in enumerate(read.items.tolist()):
        row, part = by_item.row(item), slice(*read.cas.indptr[place : place + 2].tolist())
        assert [values.dtype for values in row] == [np.int32, np.float32, np.int32]
        assert np.array_equal(row.concepts, read.cas.indices[part]) and np.array_equal(row.cas, read.cas.data[part])
        assert np.array_equal(row.peak, ranges[part])
    write_by_concept(tmp_path, lambda: ((0, block) for block in store.blocks(["b000-0000"])), store.width)
    assert np.load(tmp_path / "by-concept" / "peak.npy").dtype == dtype
    by_concept = ByConcept(tmp_path)
    column = by_concept.columns(0, store.width)
    concepts = np.repeat(np.arange(store.width), by_concept.support)
    assert [values.dtype for values in column] == [np.int32, np.float32, np.int32]
    assert len(column.item) == 6 and np.array_equal(column.cas, whole[column.item, concepts])
    peaks = dict(zip(zip(np.repeat(read.items, np.diff(read.cas.indptr)), read.cas.indices), ranges.tolist()))  # noqa: B905
    assert column.peak.tolist() == [peaks[pair] for pair in zip(column.item, concepts, strict=True)]
    assert np.array_equal(by_concept.cas(np.arange(store.width), 3).toarray(), whole.T)


def test_an_item_whose_scores_overflow_has_no_row():
    """A finite residual stream whose latents are infinite."""

    def encode(x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x * 1e30)

    sae = SimpleNamespace(
        inputs=lambda x, span: x[torch.from_numpy(span)],
        encode=encode,
        d_sae=3,
        sae=SimpleNamespace(device=torch.device("cpu")),
    )
    for pooling in ("mean", "max"):
        extractor = Extractor(None, None, sae, pooling, 100)
        sequence = ItemTokens(0, np.arange(2, dtype=np.int32), np.zeros((2, 2), np.int32), np.ones(2, bool))
        fine, over = torch.ones(2, 3), torch.ones(2, 3) * 1e20
        (row, why) = extractor.pooled([sequence, sequence], [fine, over])
        assert why == NOT_FINITE and all(math.isfinite(value) for value in row.cas)
