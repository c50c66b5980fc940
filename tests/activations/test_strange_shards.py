"""A shard from a stranger, whose checksum fits: what no run writes is refused by the name of the file."""

from __future__ import annotations

import json
import struct
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

from competency_gaps.activations import shard_file
from competency_gaps.activations.by_concept import ByConcept, write_by_concept
from competency_gaps.activations.by_item import ItemRows, ShardIndex
from competency_gaps.activations.checked_array import checks_of
from competency_gaps.activations.pooling import token_row
from competency_gaps.activations.shard_file import ACTIVATIONS, ROWS, ShardFile
from competency_gaps.activations.store import CasBlock, CasStore, token_tensors
from competency_gaps.activations.tokens import TokenReader
from competency_gaps.checked import read_document, write_document
from competency_gaps.errors import UserError

WIDTH, NAME = 6, "b000-0000"
ACTIVE = [  # of each item, on each of its tokens, the concepts that are active there
    [[1, 4], [4], [], [1, 4, 5]],
    [[], [0]],
    [[2, 3], [3], [3]],
    [[], []],
]
"""The last item has no concept."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Tensors of a shard of the items above, as the package writes them."""
    store = CasStore(tmp_path_factory.mktemp("whole"), WIDTH)
    dense = np.zeros((len(ACTIVE), WIDTH), np.float32)
    rows, peaks = [], []
    for item, active in enumerate(ACTIVE):
        pairs = [(token, concept) for token, concepts in enumerate(active) for concept in concepts]
        tokens, concepts = np.array(pairs, np.int64).reshape(-1, 2).T
        rows.append(token_row(tokens, concepts, 0.5 + np.arange(len(pairs), dtype=np.float32)))
        dense[item, np.unique(concepts)] = 0.25 + np.unique(concepts)
        peaks += [int(tokens[concepts == concept][0]) for concept in np.unique(concepts)]
    lengths = [len(active) for active in ACTIVE]
    places = np.arange(sum(lengths), dtype=np.int32)
    block = CasBlock(
        items=np.array([2, 0, 3, 1]),
        cas=sp.csr_array(dense),
        peaks=np.array(peaks, np.int32),
        token_ptr=np.cumsum([0, *lengths]),
        token_ids=places + 7,
        token_offsets=np.stack([places, places + 1], axis=1),
    )
    store.write(NAME, block, token_tensors=token_tensors(rows, [np.arange(length) for length in lengths]))
    return load_file(store.shards.path(NAME))


def put(folder, content: bytes) -> CasStore:
    """Write a shard with a checksum that fits."""
    store = CasStore(folder, WIDTH)
    store.shards.write(NAME, lambda part: part.write_bytes(content))
    return store


def readers(store):
    """Everything that opens a shard, each as a function that reads all of it."""

    def index():
        return ShardIndex(store.shards, [(len(ACTIVE), [NAME])], np.ones(len(ACTIVE), bool))

    rows = range(len(ACTIVE))
    return {
        "block": lambda: store.read(NAME),
        "row": lambda: [ItemRows(index()).row(row) for row in rows],
        "concepts": lambda: ItemRows(index()).concepts(np.array(rows)),
        "few concepts": lambda: ItemRows(index()).concepts(np.array([1])),
        "tokens": lambda: [TokenReader(index()).read(concept, rows) for concept in range(WIDTH)],
        "all": lambda: store.check_rows(store.shards.path(NAME), rows),
    }


def changed(tensors, name, place, value, dtype=None):
    held = tensors[name].astype(dtype or tensors[name].dtype)
    held[place] = value
    return {**tensors, name: held}


def cut(tensors, *names):
    return {name: held[:-1] if name in names else held for name, held in tensors.items()}


ROW_FAULTS = {
    "nothing": lambda t: {},
    "no scale": lambda t: {name: held for name, held in t.items() if name != "scale"},
    "items of another type": lambda t: {**t, "items": t["items"].astype(np.int32)},
    "scores of another type": lambda t: {**t, "cas": t["cas"].astype(np.float32)},
    "starts of another type": lambda t: {**t, "indptr": t["indptr"].astype(np.float64)},
    "negative concepts": lambda t: {**t, "concepts": -t["concepts"].astype(np.int64)},
    "items of two axes": lambda t: {**t, "items": t["items"][:, None]},
    "peaks without an axis": lambda t: {**t, "peaks": t["peaks"][0]},
    "places with three ends": lambda t: {**t, "token_offsets": np.zeros((len(t["token_ids"]), 3), np.uint16)},
    "places with one end": lambda t: {**t, "token_offsets": t["token_offsets"][:, 0]},
    "few starts": lambda t: cut(t, "indptr"),
    "few peaks": lambda t: cut(t, "peaks"),
    "few scores": lambda t: cut(t, "cas"),
    "few scales": lambda t: cut(t, "scale"),
    "few tokens": lambda t: cut(t, "token_ids"),
    "an item twice": lambda t: changed(t, "items", 0, 0),
    "a negative item": lambda t: changed(t, "items", 0, -1),
    "item 2^60": lambda t: changed(t, "items", 0, 2**60),
    "starts late": lambda t: changed(t, "indptr", 0, 1),
    "starts backwards": lambda t: changed(t, "indptr", 1, 5),
    "starts below 0": lambda t: changed(t, "indptr", 1, -1),
    "starts at 2^60": lambda t: changed(t, "indptr", 1, 2**60),
    "ends early": lambda t: changed(t, "indptr", -1, 5),
    "ends late": lambda t: changed(t, "indptr", -1, 7),
    "concept outside": lambda t: changed(t, "concepts", 2, WIDTH),
    "concept 65,535": lambda t: changed(t, "concepts", 2, 65535),
    "concept 2^32 - 1": lambda t: changed(t, "concepts", 2, 2**32 - 1, np.uint32),
    "concepts unsorted": lambda t: changed(t, "concepts", slice(0, 3), [4, 1, 5]),
    "concept twice": lambda t: changed(t, "concepts", 1, 1),
    "score NaN": lambda t: changed(t, "cas", 0, np.nan),
    "score infinite": lambda t: changed(t, "cas", 0, np.inf),
    "score too large": lambda t: changed(t, "cas", 0, 65504),
    "score 0": lambda t: changed(t, "cas", 0, 0),
    "score below 0": lambda t: changed(t, "cas", 0, -1),
    "score -0": lambda t: changed(t, "cas", 0, -0.0),
    "scale NaN": lambda t: changed(t, "scale", 0, np.nan),
    "scale infinite": lambda t: changed(t, "scale", 0, np.inf),
    "scale below 0": lambda t: changed(t, "scale", 0, -1),
    "peak outside of its row": lambda t: changed(t, "peaks", 3, 2),
    "peak outside": lambda t: changed(t, "peaks", 5, 65535),
    "peak 2^32 - 1": lambda t: changed(t, "peaks", 0, 2**32 - 1, np.uint32),
    "tokens start late": lambda t: changed(t, "token_ptr", 0, 1),
    "tokens backwards": lambda t: changed(t, "token_ptr", 1, 8),
    "tokens end early": lambda t: changed(t, "token_ptr", -1, 10),
    "token of 2^24": lambda t: changed(t, "token_ids", 0, 2**24, np.uint32),
    "place at 2^31": lambda t: changed(t, "token_offsets", (0, 1), 2**31, np.uint32),
}
TOKEN_FAULTS = {
    "no values": lambda t: {name: held for name, held in t.items() if name != "act_values"},
    "only starts": lambda t: {name: held for name, held in t.items() if name in ROWS or name == "act_ptr"},
    "numbers of another type": lambda t: {**t, "act_counts": t["act_counts"].astype(np.int64)},
    "a number of 2^60": lambda t: changed(t, "act_counts", 0, 2**60, np.uint64),
    "values of another type": lambda t: {**t, "act_values": t["act_values"].astype(np.float64)},
    "tokens of two axes": lambda t: {**t, "act_tokens": t["act_tokens"][:, None]},
    "few starts": lambda t: cut(t, "act_ptr"),
    "few numbers": lambda t: cut(t, "act_counts"),
    "few values": lambda t: cut(t, "act_values"),
    "few activations": lambda t: cut(t, "act_values", "act_tokens"),
    "starts late": lambda t: changed(t, "act_ptr", 0, 1),
    "starts below 0": lambda t: changed(t, "act_ptr", 1, -(2**60)),
    "starts at 2^60": lambda t: changed(t, "act_ptr", 1, 2**60),
    "starts elsewhere": lambda t: changed(t, "act_ptr", 1, 5),
    "ends late": lambda t: changed(t, "act_ptr", -1, 99),
    "the last item's start": lambda t: changed(t, "act_ptr", 3, 10),
    "no token of a concept": lambda t: changed(t, "act_counts", slice(0, 2), [0, 5]),
    "more tokens than the row has": lambda t: changed(t, "act_counts", slice(3, 5), [3, 0]),
    "numbers of 2^32 - 1": lambda t: changed(t, "act_counts", slice(None), 2**32 - 1, np.uint32),
    "other numbers": lambda t: changed(t, "act_counts", slice(3, 5), [2, 1]),
    "fewer than there are": lambda t: changed(t, "act_counts", 5, 2),
    "token outside of its row": lambda t: changed(t, "act_tokens", 6, 2),
    "token 65,535": lambda t: changed(t, "act_tokens", 10, 65535),
    "tokens unsorted": lambda t: changed(t, "act_tokens", slice(2, 5), [1, 0, 3]),
    "token twice": lambda t: changed(t, "act_tokens", 3, 0),
    "value NaN": lambda t: changed(t, "act_values", 0, np.nan),
    "value infinite": lambda t: changed(t, "act_values", 0, np.inf),
    "value 0": lambda t: changed(t, "act_values", 0, 0),
    "value below 0": lambda t: changed(t, "act_values", 0, -1),
    "wide value NaN": lambda t: changed(t, "act_values", 10, np.nan, np.float32),
    "wide value infinite": lambda t: changed(t, "act_values", 10, np.inf, np.float32),
    "wide value below 0": lambda t: changed(t, "act_values", 0, -1, np.float32),
}


def test_what_the_package_writes_is_read(whole, tmp_path):
    store = put(tmp_path, save(whole))
    read = {name: reader() for name, reader in readers(store).items()}
    for row, held in enumerate(read["row"]):
        active = ACTIVE[[2, 0, 3, 1].index(row)]
        assert held.concepts.tolist() == sorted({concept for concepts in active for concept in concepts})
        for concept in range(WIDTH):
            tokens = read["tokens"][concept][row]
            assert len(tokens.start) == sum(concept in concepts for concepts in active)


@pytest.mark.parametrize("piece", [1, 2, 2**18])
@pytest.mark.parametrize("fault", ROW_FAULTS)
def test_rows_that_cannot_be_are_refused(fault, piece, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_file, "PIECE", piece)
    tensors = {name: np.ascontiguousarray(held) for name, held in ROW_FAULTS[fault](whole).items()}
    for name, read in readers(put(tmp_path, save(tensors))).items():
        with pytest.raises(UserError, match=rf"{NAME}\.safetensors"):
            read()
            raise AssertionError(f"{name} takes it")


@pytest.mark.parametrize("piece", [1, 2, 3, 2**18])
@pytest.mark.parametrize("fault", TOKEN_FAULTS)
def test_activations_of_tokens_that_cannot_be_are_refused(fault, piece, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_file, "PIECE", piece)
    tensors = {name: np.ascontiguousarray(held) for name, held in TOKEN_FAULTS[fault](whole).items()}
    for name, read in readers(put(tmp_path, save(tensors))).items():
        if name == "block":  # reads no activations of tokens
            continue
        with pytest.raises(UserError, match=rf"{NAME}\.safetensors"):
            read()
            raise AssertionError(f"{name} takes it")


def header(tensors, **entries) -> bytes:
    """A shard with other entries in its header."""
    content = save(tensors)
    size = int.from_bytes(content[:8], "little")
    held = json.loads(content[8 : 8 + size])
    held = {name: {**entry, **entries.get(name, {})} for name, entry in held.items() if name != "__metadata__"}
    text = json.dumps(held).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


@pytest.mark.parametrize(
    "entries",
    [
        {"cas": {"dtype": "BF16"}},
        {"act_values": {"dtype": "BF16"}},
        {"concepts": {"dtype": "I16"}},
        {"act_ptr": {"dtype": "F64"}},
        {"scale": {"dtype": "I32"}},
        {"token_ids": {"shape": [2**60]}},
        {"act_tokens": {"data_offsets": [0, 2**60]}},
        {"items": {"shape": [2**63, 2**63]}},
        {"peaks": {"shape": []}},
    ],
)
def test_a_header_that_cannot_be_is_refused(entries, whole, tmp_path):
    store = put(tmp_path, header(whole, **entries))
    for name, read in readers(store).items():
        with pytest.raises(UserError, match=rf"{NAME}\.safetensors"):
            read()
            raise AssertionError(f"{name} takes it")


BY_CONCEPT_FAULTS = {
    "starts backwards": ("start", 2, 9),
    "starts below 0": ("start", 0, -1),
    "scale NaN": ("scale", 0, np.nan),
    "scale below 0": ("scale", 0, -1),
    "item below 0": ("item", 0, -1),
    "item outside": ("item", 0, len(ACTIVE)),
    "score NaN": ("cas", 0, np.nan),
    "score 0": ("cas", 0, 0),
    "score infinite": ("cas", 0, np.inf),
}


@pytest.mark.parametrize("fault", BY_CONCEPT_FAULTS)
def test_arrays_by_concept_that_cannot_be_are_refused(fault, whole, tmp_path):
    store = put(tmp_path, save(whole))
    write_by_concept(tmp_path, lambda: ((0, block) for block in store.blocks([NAME])), WIDTH)
    assert ByConcept(tmp_path).rows == len(ACTIVE)
    array, place, value = BY_CONCEPT_FAULTS[fault]
    file = tmp_path / "by-concept" / f"{array}.npy"
    held = np.load(file)
    held[place] = value
    np.save(file, held)
    checks = read_document(tmp_path / "by-concept" / "checks.json")
    write_document(tmp_path / "by-concept" / "checks.json", {**checks, array: checks_of(file)})
    for name, read in {
        "columns": lambda: ByConcept(tmp_path).columns(0, WIDTH),
        "cas": lambda: ByConcept(tmp_path).cas(np.arange(WIDTH), len(ACTIVE)),
        "items": lambda: [ByConcept(tmp_path).items(concept) for concept in range(WIDTH)],
    }.items():
        if name == "items" and array == "cas":  # reads no scores
            continue
        with pytest.raises(UserError, match="by-concept is damaged"):
            read()
            raise AssertionError(f"{name} takes it")


def is_sound(t) -> bool:
    """Whether tensors of the right types and shapes are a shard's, by loops over rows, concepts and tokens."""
    for name, size in (("indptr", "concepts"), ("token_ptr", "token_ids"), ("act_ptr", "act_tokens")):
        starts = t[name].tolist()
        if starts[0] != 0 or starts[-1] != len(t[size]) or any(b < a for a, b in pairwise(starts)):
            return False
    if len(set(t["items"].tolist())) < len(t["items"]) or min(t["items"]) < 0 or max(t["items"]) >= 2**31:
        return False
    if not all(0 <= value < np.inf for value in t["scale"].tolist()):
        return False
    for row in range(len(t["items"])):
        pairs = range(t["indptr"][row], t["indptr"][row + 1])
        length, at = t["token_ptr"][row + 1] - t["token_ptr"][row], t["act_ptr"][row]
        concepts = [t["concepts"][pair] for pair in pairs]
        if concepts != sorted(set(concepts)) or any(concept >= WIDTH for concept in concepts):
            return False
        for pair in pairs:
            if not 0 < t["cas"][pair] <= 32768 or t["peaks"][pair] >= length:
                return False
            own = slice(at, at + int(t["act_counts"][pair]))
            tokens, values = t["act_tokens"][own].tolist(), t["act_values"][own].tolist()
            at = own.stop
            if not tokens or tokens != sorted(set(tokens)) or tokens[-1] >= length or at > t["act_ptr"][row + 1]:
                return False
            if not all(0 < value < np.inf for value in values):
                return False
        if at != t["act_ptr"][row + 1]:
            return False
    return max(t["token_ids"]) < 2**24 and t["token_offsets"].max() < 2**31


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_shard_is_refused_where_loops_would_refuse_it(data, whole, tmp_path_factory):
    tensors = {name: held.copy() for name, held in whole.items()}
    for _ in range(data.draw(st.integers(0, 3))):
        name = data.draw(st.sampled_from(sorted(ROWS | ACTIVATIONS)))
        held = tensors[name].reshape(-1)
        held[data.draw(st.integers(0, len(held) - 1))] = data.draw(st.sampled_from([*range(12), 65504]))
    file = tmp_path_factory.mktemp("drawn") / f"{NAME}.safetensors"
    file.write_bytes(save(tensors))
    before, shard_file.PIECE = shard_file.PIECE, data.draw(st.sampled_from([1, 2, 3, 5, 2**18]))
    try:
        ShardFile(file).check(WIDTH)
        refused = False
    except UserError:
        refused = True
    finally:
        shard_file.PIECE = before
    assert refused != is_sound(tensors)
