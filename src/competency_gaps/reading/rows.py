"""The CAS rows on disk: one safetensors file per shard of a benchmark's items.

Rows of concept activation scores are stored in few bytes: 2 for a score, 2 for an index wherever it fits.
A score is stored as float16, in 32,768ths of the largest score of its row, which is stored once as float32:
``CAS = share / 32768 * scale``. So float16 is precise over nine orders of magnitude below the largest score:

- down to ``2^-29`` of the row's largest score, the stored score is off by at most ``2^-11`` (0.05%) of itself;
- below, by less than ``2^-39`` of the row's largest score;
- a score above 0 is stored as one above 0.

Scores that were read from disk are stored again as the same scores, so that copies of a row are equal.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from competency_gaps.model.load import versions
from competency_gaps.reading.pooling import SparseRow, TokenRow
from competency_gaps.util.errors import UserError
from competency_gaps.util.shards import Draft, ShardFolder

ROWS = ("items", "indptr", "concepts", "cas", "scale", "peaks", "token_ptr", "token_ids", "token_offsets")
"""Tensors of a shard: which there are, and in which types, is in ``docs/run-folder.md``."""
ACTIVATIONS = ("act_ptr", "act_counts", "act_tokens", "act_values")
"""Those of the activations of single tokens: a shard has all of them or none."""
_READ_WITH = "read_with"
"""Key, in a shard's metadata, of the versions of the packages that read it."""
_TYPES = {"U16": np.uint16, "U32": np.uint32, "I64": np.int64, "F16": np.float16, "F32": np.float32}

WHOLE = 2.0**15
"""What the largest score of a row is stored as: a large float16, so that the range below it is wide."""
SMALLEST_VALUE = np.float16(2.0**-24)
"""The smallest float16 above 0."""
_LEAST_SCORE = np.nextafter(np.float32(0), np.float32(1))
"""The smallest float32 above 0."""


class PackedScores(NamedTuple):
    """The scores of a CAS matrix as they are stored."""

    shares: np.ndarray
    """float16 of shape (non-zeros,), > 0: scores in 32,768ths of their row's scale."""
    scale: np.ndarray
    """float32 of shape (rows,): the largest score of each row; 0 in a row without concepts."""


def pack_scores(cas: sp.csr_array) -> PackedScores:
    """Round scores to what is stored.

    Parameters
    ----------
    cas : csr_array of float32
        Finite scores.
    """
    counts = np.diff(cas.indptr)
    filled = np.flatnonzero(counts)
    scores = np.asarray(cas.data, np.float32)
    scale = np.zeros(len(counts), np.float32)
    if len(filled):
        scale[filled] = np.maximum(np.maximum.reduceat(scores, cas.indptr[filled]), _LEAST_SCORE)
    shares = (scores / np.repeat(scale, counts) * np.float32(WHOLE)).astype(np.float16)
    return PackedScores(np.maximum(shares, SMALLEST_VALUE), scale)


def unpack_scores(shares: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Scores as float32 of shape (n,), all above 0.

    Parameters
    ----------
    shares : ndarray of float of shape (n,)
        As they are stored.
    scale : ndarray of float32 of shape (n,) or (1,)
        The scale of each share's row.
    """
    return np.maximum(shares.astype(np.float32, copy=False) * np.float32(1 / WHOLE) * scale, _LEAST_SCORE)


def index_type(largest: int) -> type[np.unsignedinteger]:
    """The type of stored indices of which none is above ``largest``: uint16 up to 65,535, else uint32."""
    return np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32


def narrow(indices: np.ndarray) -> np.ndarray:
    """Indices, >= 0, in the type in which they are stored."""
    return indices.astype(index_type(int(indices.max(initial=0))))


@dataclass(frozen=True)
class CasBlock:
    """CAS rows of some items of a benchmark, with the tokens on which concepts peak.

    Scores that were read from disk are rounded (:func:`pack_scores`), so all that is computed
    of a run starts from blocks that :class:`CasStore` has read.
    """

    items: np.ndarray
    """int64 of shape (rows,): positions of the items in their benchmark."""
    cas: sp.csr_array
    """float32 of shape (rows, SAE width)."""
    peaks: np.ndarray
    """int32 of shape (non-zeros,): index of the token, among the row's tokens, where the concept is strongest."""
    token_ptr: np.ndarray
    """int64 of shape (rows + 1,): start of each row's tokens in the arrays below."""
    token_ids: np.ndarray
    """int32 of shape (tokens,)."""
    token_offsets: np.ndarray
    """int32 of shape (tokens, 2): character range of each token in the item's text."""

    def peak_tokens(self) -> np.ndarray:
        """int32 of shape (non-zeros,): token id of each peak."""
        rows = np.repeat(np.arange(len(self.items)), np.diff(self.cas.indptr))
        return self.token_ids[self.token_ptr[rows] + self.peaks]

    def peak_ranges(self) -> np.ndarray:
        """int32 of shape (non-zeros, 2): character range of each peak."""
        rows = np.repeat(np.arange(len(self.items)), np.diff(self.cas.indptr))
        return self.token_offsets[self.token_ptr[rows] + self.peaks]


def make_block(
    items: np.ndarray,
    rows: list[SparseRow],
    first_tokens: list[np.ndarray],
    tokens: list[tuple[np.ndarray, np.ndarray]],
    width: int,
) -> CasBlock:
    """Stack sparse rows into a block.

    Parameters
    ----------
    first_tokens : list of ndarray of int64
        Per row, the positions of the span's tokens among all its tokens; they turn peaks within the span into positions
        among all tokens.
    tokens : list of (ids, offsets)
        Per row, all its tokens.
    """
    indptr = np.concatenate([[0], np.cumsum([len(row.concepts) for row in rows])]).astype(np.int64)
    cas = sp.csr_array(
        (_join([r.cas for r in rows], np.float32), _join([r.concepts for r in rows], np.int32), indptr),
        shape=(len(rows), width),
    )
    peaks = _join([first[row.peaks] for row, first in zip(rows, first_tokens, strict=True)], np.int32)
    token_ptr = np.concatenate([[0], np.cumsum([len(ids) for ids, _ in tokens])]).astype(np.int64)
    offsets = np.concatenate([o for _, o in tokens]) if tokens else np.zeros((0, 2), np.int32)
    token_ids = _join([ids for ids, _ in tokens], np.int32)
    return CasBlock(np.asarray(items, np.int64), cas, peaks, token_ptr, token_ids, offsets.astype(np.int32))


_HALF = (2.0**-10, 65504.0)
"""Range of a shard's largest activation in which float16 is finite and precise enough for display."""


def token_tensors(rows: Sequence[TokenRow], places: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors of a shard that hold the activations of single tokens.

    Activations are rounded to float16, and to at least its smallest positive number. They stay float32 in a shard whose
    largest activation is outside float16's range, as on the first token of some models, or too small for its precision.

    Parameters
    ----------
    rows
        One per item.
    places : sequence of ndarray of int64
        Per item, the positions of the span's tokens among all its tokens.
    """
    small = [np.zeros(0, np.float32), *(row.values for row in rows)]
    values = np.concatenate(small)
    if len(values) and _HALF[0] <= float(values.max()) <= _HALF[1]:
        values = np.maximum(values.astype(np.float16), SMALLEST_VALUE)
    tokens = [first[row.tokens] for row, first in zip(rows, places, strict=True)]
    return {
        "act_ptr": np.cumsum([0, *(len(row.values) for row in rows)]).astype(np.int64),
        "act_counts": narrow(_join([row.counts for row in rows], np.int64)),
        "act_tokens": narrow(_join(tokens, np.int64)),
        "act_values": values,
    }


class ShardFile:
    """An open shard; its tensors stay on disk.

    Raises
    ------
    UserError
        If it is missing or no safetensors file, or its tensors are not those of rows, or do not fit together.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            with safe_open(file, framework="numpy") as file_:
                names = {*file_.keys()}
                self.has_activations = not names.isdisjoint(ACTIVATIONS)
            missing = {*ROWS, *(ACTIVATIONS if self.has_activations else ())} - names
            if missing:
                raise ValueError(f"it has no {', '.join(sorted(missing))}")
            self._tensors = _mapped(file)
            self.rows, self.pairs = self._check_shapes()
            """Number of its items, and of pairs of an item and a concept that is active in it."""
        except (OSError, ValueError, SafetensorError) as error:
            raise UserError(
                f"{file} is missing or damaged: {error}. Repeat the command that made its folder."
            ) from error

    def part(self, name: str, first: int, last: int | None) -> np.ndarray:
        """The rows ``first`` to ``last - 1`` of a tensor, or all from the first: a view, read when it is used."""
        return self._tensors[name][first:last]

    def tensor(self, name: str) -> np.ndarray:
        """Read a tensor as a whole."""
        return self._tensors[name].copy()

    def _check_shapes(self) -> tuple[int, int]:
        """Number of rows and of pairs; raises ValueError if tensors do not fit together."""
        shapes = {name: tensor.shape for name, tensor in self._tensors.items()}
        for name in ("items", "indptr"):  # they are read before the checksum is compared
            if (kind := self._tensors[name].dtype) != np.int64:
                raise ValueError(f"its {name} have the type {kind}, expected int64")
        lengths = ((*shapes.get(name, ()), 0)[0] for name in ("items", "concepts", "token_ids", "act_tokens"))
        rows, pairs, tokens, activations = lengths
        expected = {
            **{"items": (rows,), "concepts": (pairs,), "token_ids": (tokens,), "act_tokens": (activations,)},
            **dict.fromkeys(("indptr", "token_ptr", "act_ptr"), (rows + 1,)),
            **dict.fromkeys(("cas", "peaks", "act_counts"), (pairs,)),
            **{"scale": (rows,), "token_offsets": (tokens, 2), "act_values": (activations,)},
        }
        for name, shape in shapes.items():
            if shape != expected[name]:
                raise ValueError(f"its {name} have the shape {shape}, which does not fit its other tensors")
        return rows, pairs


def _mapped(file: Path) -> dict[str, np.ndarray]:
    """Views of a shard's tensors: slices by safetensors take ten times as long, and an export reads many short ones."""
    with file.open("rb") as opened:
        start = 8 + int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(start - 8))
        content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    header = {name: header[name] for name in (*ROWS, *ACTIVATIONS) if name in header}
    for name, entry in header.items():
        if entry["dtype"] not in _TYPES:
            raise ValueError(f"its {name} have the type {entry['dtype']}, expected one of {', '.join(_TYPES)}")
    return {
        name: np.ndarray(entry["shape"], _TYPES[entry["dtype"]], content, start + entry["data_offsets"][0])
        for name, entry in header.items()
    }


class CasStore:
    """Reads and writes the CAS blocks of a run."""

    def __init__(self, folder: Path, width: int) -> None:
        self.shards = ShardFolder(folder, ".safetensors")
        self.width = width

    def draft(self, name: str, block: CasBlock, token_tensors: Mapping[str, np.ndarray]) -> Draft:
        """Write one shard, with the activations of single tokens if there are any; it does not count yet."""
        scores = pack_scores(block.cas)
        tensors = {
            "items": block.items,
            "indptr": np.asarray(block.cas.indptr, np.int64),
            "concepts": narrow(block.cas.indices),
            "cas": scores.shares,
            "scale": scores.scale,
            "peaks": narrow(block.peaks),
            "token_ptr": block.token_ptr,
            "token_ids": narrow(block.token_ids),
            "token_offsets": narrow(block.token_offsets),
            **token_tensors,
        }
        tensors = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
        return self.shards.draft(name, lambda part: save_file(tensors, part, {_READ_WITH: json.dumps(versions())}))

    def read_with(self, name: str) -> str:
        """Versions of the packages that read a finished shard, as JSON."""
        with safe_open(self.shards.path(name), framework="numpy") as file_:
            return str(file_.metadata()[_READ_WITH])

    def read(self, name: str) -> CasBlock:
        """Read one shard, without the activations of single tokens.

        Raises
        ------
        UserError
            If it is missing or damaged.
        """
        shard = ShardFile(self.shards.check(name))
        tensors = {key: shard.tensor(key) for key in ROWS}
        if len(tensors["concepts"]) and int(tensors["concepts"].max()) >= self.width:
            raise UserError(
                f"{shard.file} comes from an SAE with more than {self.width:,} concepts, so not from this run. "
                "Repeat the command that made its folder."
            )
        wide = {key: tensors[key].astype(np.int32) for key in ("concepts", "peaks", "token_ids", "token_offsets")}
        scores = unpack_scores(tensors["cas"], np.repeat(tensors["scale"], np.diff(tensors["indptr"])))
        cas = sp.csr_array((scores, wide.pop("concepts"), tensors["indptr"]), shape=(shard.rows, self.width))
        return CasBlock(tensors["items"], cas, token_ptr=tensors["token_ptr"], **wide)

    def blocks(self, names: Iterable[str]) -> Iterator[CasBlock]:
        """Read shards one at a time."""
        yield from (self.read(name) for name in names)


def _join(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)
