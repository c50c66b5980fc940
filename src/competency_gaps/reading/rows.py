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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from competency_gaps.model.load import versions
from competency_gaps.reading.pooling import SparseRow, TokenRow
from competency_gaps.util.errors import UserError
from competency_gaps.util.shards import Draft, ShardFolder

ROWS = ("items", "indptr", "concepts", "cas", "scale", "peaks", "token_ptr", "token_ids", "token_offsets")
"""Tensors of a shard; ``docs/run-folder.md`` has their types and meaning."""
_READ_WITH = "read_with"
"""Key, in a shard's metadata, of the versions of the packages that read it."""
_OPEN_SHARDS = 1024
"""Most shards that stay open: each is mapped, and a process may have only so many mappings."""

LARGEST_STORED_SCORE = 2.0**15
"""Value that the largest score of a row is stored as: a large float16, so that the range below it is wide."""
SMALLEST_VALUE = np.float16(2.0**-24)
"""The smallest float16 above 0."""
_LEAST_SCORE = np.nextafter(np.float32(0), np.float32(1))
"""The smallest float32 above 0."""


def pack_scores(cas: sp.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Round scores to what is stored.

    Parameters
    ----------
    cas : csr_array of float32
        Finite scores.

    Returns
    -------
    shares : ndarray of float16 of shape (non-zeros,), > 0
        Scores in 32,768ths of their row's scale.
    scale : ndarray of float32 of shape (rows,)
        The largest score of each row; 0 in a row without concepts.
    """
    counts = np.diff(cas.indptr)
    filled = np.flatnonzero(counts)
    scores = np.asarray(cas.data, np.float32)
    scale = np.zeros(len(counts), np.float32)
    if len(filled):
        scale[filled] = np.maximum(np.maximum.reduceat(scores, cas.indptr[filled]), _LEAST_SCORE)
    shares = (scores / np.repeat(scale, counts) * np.float32(LARGEST_STORED_SCORE)).astype(np.float16)
    return np.maximum(shares, SMALLEST_VALUE), scale


def unpack_scores(shares: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return scores from their stored form, as float32 of shape (n,), all above 0.

    Parameters
    ----------
    shares : ndarray of float of shape (n,)
        As they are stored.
    scale : ndarray of float32 of shape (n,) or (1,)
        The scale of each share's row.
    """
    return np.maximum(
        shares.astype(np.float32, copy=False) * np.float32(1 / LARGEST_STORED_SCORE) * scale, _LEAST_SCORE
    )


def index_type(largest: int) -> type[np.unsignedinteger]:
    """Return the stored type of indices up to ``largest``: uint16 up to 65,535, else uint32."""
    return np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32


def narrow(indices: np.ndarray) -> np.ndarray:
    """Return indices, all >= 0, in their stored type."""
    return indices.astype(index_type(int(indices.max(initial=0))))


@dataclass(frozen=True)
class CasBlock:
    """CAS rows of some items of a benchmark, with the tokens on which concepts peak.

    Scores read from disk are rounded (:func:`pack_scores`), so everything in a run is computed from blocks that
    :class:`CasStore` has read.
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
        """Return the token id of each peak: int32 of shape (non-zeros,)."""
        rows = np.repeat(np.arange(len(self.items)), np.diff(self.cas.indptr))
        return self.token_ids[self.token_ptr[rows] + self.peaks]

    def peak_ranges(self) -> np.ndarray:
        """Return the character range of each peak: int32 of shape (non-zeros, 2)."""
        rows = np.repeat(np.arange(len(self.items)), np.diff(self.cas.indptr))
        return self.token_offsets[self.token_ptr[rows] + self.peaks]


def make_block(
    items: np.ndarray,
    rows: list[SparseRow],
    first_tokens: list[np.ndarray],
    tokens: list[tuple[np.ndarray, np.ndarray]],
    width: int,
) -> CasBlock:
    """Return sparse rows as one block.

    Parameters
    ----------
    items : ndarray of int
        Position of each row's item in its benchmark.
    first_tokens : list of ndarray of int64
        Per row, the positions of the span's tokens among all its tokens; they turn peaks within the span into positions
        among all tokens.
    tokens : list of (ids, offsets)
        Per row, all its tokens.
    width
        Number of concepts.
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


_FLOAT16_RANGE = (2.0**-10, 65504.0)
"""Range of a shard's largest activation within which float16 is finite and precise enough for display."""


def token_tensors(rows: Sequence[TokenRow], places: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the tensors of a shard with the activations of single tokens, by name.

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
    if len(values) and _FLOAT16_RANGE[0] <= float(values.max()) <= _FLOAT16_RANGE[1]:
        values = np.maximum(values.astype(np.float16), SMALLEST_VALUE)
    tokens = [first[row.tokens] for row, first in zip(rows, places, strict=True)]
    return {
        "act_ptr": np.cumsum([0, *(len(row.values) for row in rows)]).astype(np.int64),
        "act_counts": narrow(_join([row.counts for row in rows], np.int64)),
        "act_tokens": narrow(_join(tokens, np.int64)),
        "act_values": values,
    }


class ShardFile:
    """An open shard, whose tensors are read from disk where they are asked for.

    Raises
    ------
    UserError
        If it is missing or no safetensors file, or a tensor that is asked for is not there.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        with self._readable():
            self._tensors: Any = safe_open(file, framework="numpy")

    @property
    def has_activations(self) -> bool:
        """Whether it holds the activations of single tokens."""
        return "act_ptr" in {*self._tensors.keys()}

    def tensor(self, name: str) -> np.ndarray:
        """Return a whole tensor, read from disk."""
        with self._readable():
            tensor: np.ndarray = self._tensors.get_tensor(name)
        return tensor

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Raise UserError if the body cannot read the file."""
        try:
            yield
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"{self.file} is missing or damaged: {error}. Repeat the command that made its folder."
            ) from error


class CasStore:
    """Reads and writes the CAS blocks of a run."""

    def __init__(self, folder: Path, width: int) -> None:
        self.shards = ShardFolder(folder, ".safetensors")
        self.width = width

    def draft(self, name: str, block: CasBlock, token_tensors: Mapping[str, np.ndarray]) -> Draft:
        """Write one shard as a draft, with the activations of single tokens if there are any; return the draft."""
        shares, scale = pack_scores(block.cas)
        tensors = {
            "items": block.items,
            "indptr": np.asarray(block.cas.indptr, np.int64),
            "concepts": narrow(block.cas.indices),
            "cas": shares,
            "scale": scale,
            "peaks": narrow(block.peaks),
            "token_ptr": block.token_ptr,
            "token_ids": narrow(block.token_ids),
            "token_offsets": narrow(block.token_offsets),
            **token_tensors,
        }
        tensors = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
        return self.shards.draft(name, lambda part: save_file(tensors, part, {_READ_WITH: json.dumps(versions())}))

    def read_with(self, name: str) -> str:
        """Return the versions of the packages that a finished shard was read with, as JSON."""
        with safe_open(self.shards.path(name), framework="numpy") as file_:
            return str(file_.metadata()[_READ_WITH])

    def read(self, name: str) -> CasBlock:
        """Return the block of one shard, without the activations of single tokens.

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
        cas = sp.csr_array((scores, wide.pop("concepts"), tensors["indptr"]), shape=(len(tensors["items"]), self.width))
        return CasBlock(tensors["items"], cas, token_ptr=tensors["token_ptr"], **wide)

    def blocks(self, names: Iterable[str]) -> Iterator[CasBlock]:
        """Yield the blocks of shards, read one at a time."""
        yield from (self.read(name) for name in names)


class ItemRow(NamedTuple):
    """The concepts active in an item."""

    concepts: np.ndarray
    """int32 of shape (active concepts,), ascending."""
    cas: np.ndarray
    """float32 of shape (active concepts,), > 0."""
    peak: np.ndarray
    """int32 of shape (active concepts, 2): character range of the token where each is strongest."""


class TokenActivations(NamedTuple):
    """The tokens of an item on which some concepts are active, sorted by concept and then by token."""

    concept: np.ndarray
    """int64 of shape (tokens,): index of the concept among the requested ones."""
    start: np.ndarray
    """int32 of shape (tokens,): first character in ``items.text``; start = end = 0 for a token without text."""
    end: np.ndarray
    """int32 of shape (tokens,): end of the range, exclusive. Ranges of tokens that share a character overlap."""
    activation: np.ndarray
    """float32 of shape (tokens,), > 0."""


class ItemRows:
    """Reads single items' concepts and token activations; some shards stay open, but their tensors stay on disk.

    A shard is compared with its checksum before anything but the order of its items is read from it.

    Parameters
    ----------
    folder
        The shards.
    benchmarks
        Per benchmark, the number of its items and the names of its shards, in the order of ``items.parquet``; the
        numbers add up to all items.
    kept : ndarray of bool of shape (items,)
        Items that are not excluded: each has a row in a shard.

    Raises
    ------
    UserError
        If a shard is missing or damaged.
    """

    def __init__(self, folder: ShardFolder, benchmarks: Sequence[tuple[int, Sequence[str]]], kept: np.ndarray) -> None:
        self._folder = folder
        self._names = [name for _, names in benchmarks for name in names]
        self.unchecked = lru_cache(maxsize=_OPEN_SHARDS)(lambda number: ShardFile(folder.path(self._names[number])))
        """Returns an open shard by its number, its content not yet compared with its checksum; see :meth:`file`."""
        self._checked: set[int] = set()
        items = len(kept)
        self.rows: list[np.ndarray] = []
        """Per shard, int64: the rows of ``items.parquet`` that its items have, in its order."""
        self.shard = np.full(items, -1, np.int32)
        """int32 of shape (items,): number of the item's shard; -1 if it is excluded."""
        self.position = np.zeros(items, np.int32)
        """int32 of shape (items,): the item's row in its shard."""
        start = 0
        for size, names in benchmarks:
            for _ in names:
                self._add(start, size)
            start += size
        if (self.shard[kept] < 0).any():
            lost = f"the shards in {folder.folder} lack items of the run, so it is damaged"
            raise UserError(f"{lost}. Repeat the command that made it.")

    @property
    def has_activations(self) -> bool:
        """Whether any shard has the activations of single tokens."""
        return any(self.unchecked(number).has_activations for number in range(len(self._names)))

    def file(self, number: int) -> ShardFile:
        """Return an open shard by its number, after comparing it with its checksum."""
        if number not in self._checked:
            self._folder.check(self._names[number])
            self._checked.add(number)
        return self.unchecked(number)

    def _add(self, start: int, size: int) -> None:
        """Record where the items of the next shard are; UserError if they are unknown or repeated."""
        number = len(self.rows)
        rows = self.unchecked(number).tensor("items").ravel().astype(np.int64)
        if len(rows) and (not 0 <= rows.min() <= rows.max() < size or (self.shard[rows + start] >= 0).any()):
            self.file(number)  # says so if it is damaged
            path = self._folder.path(self._names[number])
            raise UserError(
                f"{path} has unknown or repeated items, so the run is damaged. Repeat the command that made it."
            )
        self.rows.append(rows + start)
        self.shard[rows + start] = number
        self.position[rows + start] = np.arange(len(rows))

    @cached_property
    def counts(self) -> np.ndarray:
        """int32 of shape (items,): number of concepts active in each item; 0 if excluded."""
        counts = np.zeros(len(self.shard), np.int32)
        for number, rows in enumerate(self.rows):
            counts[rows] = np.diff(self.unchecked(number).tensor("indptr"))
        return counts

    def row(self, row: int) -> ItemRow:
        """Return the concepts active in one item; empty if the item is excluded."""
        number, position = int(self.shard[row]), int(self.position[row])
        if number < 0:
            return ItemRow(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros((0, 2), np.int32))
        tensor = self.file(number).tensor
        pairs, tokens = (slice(*tensor(name)[position : position + 2].tolist()) for name in ("indptr", "token_ptr"))
        cas = unpack_scores(tensor("cas")[pairs], tensor("scale")[position : position + 1])
        ranges = tensor("token_offsets")[tokens][tensor("peaks")[pairs]]
        return ItemRow(tensor("concepts")[pairs].astype(np.int32), cas, ranges.astype(np.int32))

    def tokens(self, row: int, concepts: np.ndarray) -> TokenActivations | None:
        """Return the tokens of one item on which some concepts are active.

        Parameters
        ----------
        row
            Row of ``items.parquet``.
        concepts : ndarray of int of shape (n,)

        Returns
        -------
        TokenActivations or None
            None if the item is excluded, or its shard has no token activations.

        Raises
        ------
        UserError
            If the row does not exist, or a shard is missing or damaged.
        """
        items = len(self.shard)
        if not 0 <= row < items:
            raise UserError(f"item {row} does not exist: the run has items 0 to {items - 1}.")
        number, position = int(self.shard[row]), int(self.position[row])
        if number < 0 or not (shard := self.file(number)).has_activations:
            return None
        tensor = shard.tensor
        pairs, tokens = (slice(*tensor(name)[position : position + 2].tolist()) for name in ("indptr", "token_ptr"))
        active, counts = tensor("concepts")[pairs], tensor("act_counts")[pairs].astype(np.int64)
        ends = tensor("act_ptr")[position] + np.cumsum(counts)
        nearest = np.searchsorted(active, concepts)
        known = np.flatnonzero(nearest < len(active))
        known = known[active[nearest[known]] == concepts[known]]
        ends, counts = ends[nearest[known]], counts[nearest[known]]
        wanted = np.arange(counts.sum()) + np.repeat(ends - np.cumsum(counts), counts)
        ranges = tensor("token_offsets")[tokens][tensor("act_tokens")[wanted]]
        starts, stops = ranges.astype(np.int32).T
        values = tensor("act_values")[wanted].astype(np.float32)
        return TokenActivations(np.repeat(known, counts), starts, stops, values)


def _join(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    """Return concatenated arrays, possibly none."""
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)
