"""A concept-major copy of the CAS rows, from which one concept's items are read without the rest.

Memory-mapped arrays on disk, of which each part is compared with a checksum when it is first read: the memory for
writing and for reading them grows by 4 bytes for each item of the run.
"""

from __future__ import annotations

import errno
import hashlib
import math
import mmap
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.lib.format import open_memmap
from numpy.typing import DTypeLike

from competency_gaps.reading.rows import CasBlock, index_type, pack_scores, unpack_scores
from competency_gaps.util.checked import damaged, read_document, write_document
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import no_space_left

FOLDER = "by-concept"
CHECKS = "checks.json"
"""Checksums of the arrays."""
BLOCK = 2**20
"""Bytes of a file that have one checksum: what is read of the file in order to read a number of it."""
MERGED = 8_000_000
"""About how many non-zeros are placed at once [ours]: each time, nearly every page of the arrays may be written."""
_AGAIN = "Repeat the command that made the run."
_ARRAYS: dict[str, tuple[tuple[DTypeLike, ...], tuple[int, ...]]] = {
    "start": ((np.int64,), ()),
    "scale": ((np.float32,), ()),
    "item": ((np.int32,), ()),
    "cas": ((np.float16,), ()),
    "peak": ((np.uint16, np.uint32), (2,)),
}
"""Per array, the types that it may have and the shape of a row; the last three have a row per concept and item."""


class _Entries(NamedTuple):
    """Non-zeros of some items, in the order of the items."""

    concept: np.ndarray
    """int32 of shape (non-zeros,)."""
    item: np.ndarray
    """As the next fields: what is placed, by name of the array on disk."""
    cas: np.ndarray
    peak: np.ndarray


class ConceptColumn(NamedTuple):
    """The items in which a concept is active."""

    item: np.ndarray
    """int32 of shape (active items,): rows of ``items.parquet``, ascending within a shard."""
    cas: np.ndarray
    """float32 of shape (active items,), > 0."""
    peak: np.ndarray
    """int32 of shape (active items, 2): character range of the token where the concept is strongest."""


def write_by_concept(folder: Path, blocks: Callable[[], Iterable[tuple[int, CasBlock]]], width: int) -> None:
    """Transpose a run's item-major rows into concept-major ones: one pass counts, the second places the values.

    Parameters
    ----------
    folder
        The run's folder of activations.
    blocks
        Returns, at each call, all blocks with the row of ``items.parquet`` where their benchmark starts.
    """
    target, part = folder / FOLDER, folder / f".{FOLDER}.part"
    for path in (target, part):
        shutil.rmtree(path, ignore_errors=True)
    part.mkdir(parents=True)
    counts, items, characters = np.zeros(width, np.int64), 0, 0
    for first, block in blocks():
        counts += np.bincount(block.cas.indices, minlength=width)
        items = max(items, first + 1 + int(block.items.max(initial=-1)))
        characters = max(characters, int(block.token_offsets.max(initial=0)))
    start = np.concatenate([[0], np.cumsum(counts)])
    pairs = int(start[-1])
    with no_space_left(target):
        np.save(part / "start.npy", start)
        scale = np.zeros(items, np.float32)
        _make_array(part / "item.npy", np.int32, (pairs,))
        _make_array(part / "cas.npy", np.float16, (pairs,))
        _make_array(part / "peak.npy", index_type(characters), (pairs, 2))
        free = start[:-1].copy()
        for entries in _merged(blocks(), scale):
            _place(part, free, entries)
        np.save(part / "scale.npy", scale)
        write_document(part / CHECKS, {name: checks_of(part / f"{name}.npy") for name in _ARRAYS})
        part.rename(target)


def _make_array(file: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    """Make an array of zeros, into which values are placed later; its space on the disk is taken now."""
    if not shape[0]:  # an empty file cannot be mapped
        np.save(file, np.zeros(shape, dtype))
        return
    open_memmap(file, "w+", dtype, shape).flush()
    if hasattr(os, "posix_fallocate"):  # a disk that is full only when mapped memory is written ends the process
        with file.open("r+b") as handle:
            try:
                os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)
            except OSError as error:  # some file systems cannot
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise


def _merged(blocks: Iterable[tuple[int, CasBlock]], scale: np.ndarray) -> Iterator[_Entries]:
    """Fill in the scales of blocks' items, and put non-zeros together until there are ``MERGED`` of them."""
    waiting: list[_Entries] = []
    for first, block in blocks:
        items, scores = block.items + first, pack_scores(block.cas)
        scale[items] = scores.scale
        owners = np.repeat(items.astype(np.int32), np.diff(block.cas.indptr))
        waiting.append(_Entries(block.cas.indices.astype(np.int32), owners, scores.shares, block.peak_ranges()))
        if sum(len(entries.concept) for entries in waiting) >= MERGED:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(parts: list[_Entries]) -> _Entries:
    """Concatenate parts, and let go of them."""
    joined = _Entries(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    parts.clear()
    return joined


def _place(folder: Path, free: np.ndarray, entries: _Entries) -> None:
    """Write entries to the next free places of their concepts."""
    count = len(entries.concept)
    if not count:
        return
    # SciPy's change of format is a stable counting sort: far faster than comparing.
    row = sp.csr_array((np.arange(count), entries.concept, np.array([0, count])), shape=(1, len(free)))
    by_concept = row.tocsc()
    order, counts = by_concept.data, np.diff(by_concept.indptr)
    places = np.arange(count) + np.repeat(free - by_concept.indptr[:-1], counts)
    free += counts
    for name in ("item", "cas", "peak"):
        # Mapped for these entries only: pages that stay mapped count as the process's memory.
        mapped = np.load(folder / f"{name}.npy", mmap_mode="r+")
        mapped[places] = getattr(entries, name)[order]
        mapped.flush()


def checks_of(file: Path) -> dict[str, Any]:
    """Checksums of a file's blocks, and its size, for :class:`CheckedArray`."""
    with file.open("rb") as handle:
        blocks = [hashlib.sha256(block).hexdigest() for block in iter(lambda: handle.read(BLOCK), b"")]
    return {"bytes": file.stat().st_size, "blocks": blocks}


class CheckedArray:
    """An array in a ``.npy`` file, mapped into memory.

    Parameters
    ----------
    file
        The file.
    checks
        As of :func:`checks_of`.
    dtypes
        Types that it may hold.
    shape
        Shape of a row.

    Raises
    ------
    UserError
        If the file is missing or damaged.
    """

    def __init__(
        self, file: Path, checks: Mapping[str, Any], dtypes: Sequence[DTypeLike], shape: tuple[int, ...] = ()
    ) -> None:
        self._file = file
        try:
            self._blocks: list[str] = checks["blocks"]
            # An empty file cannot be mapped.
            self._raw = np.memmap(file, np.uint8, "r") if file.stat().st_size else np.zeros(0, np.uint8)
            if len(self._raw) != checks["bytes"]:
                raise ValueError(f"it has {len(self._raw):,} bytes, expected {checks['bytes']:,}")
            self._seen = bytearray(len(self._blocks))
            self._compare(0, 1)  # the shape and type are written there
            with file.open("rb") as handle:
                np.lib.format.read_magic(handle)
                known, _, dtype = np.lib.format.read_array_header_1_0(handle)
                self._offset = handle.tell()
            if dtype not in dtypes or known[1:] != shape:
                raise ValueError(f"it is an array of {dtype} and shape {known}")
        except (OSError, ValueError) as error:
            raise self._damaged(str(error)) from error
        self._values: np.ndarray = self._raw[self._offset :].view(dtype).reshape(-1, *shape)
        self._size = dtype.itemsize * math.prod(shape)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, part: slice) -> np.ndarray:
        """A copy of some rows."""
        first, last, _ = part.indices(len(self))
        if first < last:
            self._compare(self._offset + first * self._size, self._offset + last * self._size)
        rows = np.array(self._values[first:last])
        self._release(self._offset + first * self._size, self._offset + last * self._size)
        return rows

    def _release(self, first: int, last: int) -> None:
        """Let go of the blocks that hold some bytes: mapped pages count as this process's memory until then."""
        mapped = getattr(self._raw, "_mmap", None)
        if mapped is None or first >= last or not hasattr(mmap, "MADV_DONTNEED"):
            return
        grain = max(BLOCK, mmap.PAGESIZE)
        begin, end = first // grain * grain, min(-(-last // grain) * grain, len(self._raw))
        mapped.madvise(mmap.MADV_DONTNEED, begin, end - begin)

    def _compare(self, first: int, last: int) -> None:
        """Compare the blocks that hold some bytes."""
        begin, end = first // BLOCK, -(-last // BLOCK)
        if 0 not in self._seen[begin:end]:
            return
        for block in range(begin, end):
            if not self._seen[block]:
                content = self._raw[block * BLOCK : (block + 1) * BLOCK]
                if hashlib.sha256(content.data).hexdigest() != self._blocks[block]:
                    raise self._damaged("its content does not match its checksum")
                self._seen[block] = 1

    def _damaged(self, why: str) -> UserError:
        return UserError(
            f"{self._file} is missing or damaged: {why}. Repeat the command that made the run to rebuild it."
        )


class ByConcept:
    """Reads what :func:`write_by_concept` wrote.

    Raises
    ------
    UserError
        If the copy is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        store = folder / FOLDER
        try:
            checks = read_document(store / CHECKS)
        except (OSError, ValueError) as error:
            raise damaged(store / CHECKS, error, _AGAIN) from error
        arrays = {
            name: CheckedArray(store / f"{name}.npy", checks[name], dtypes, shape)
            for name, (dtypes, shape) in _ARRAYS.items()
        }
        self._start = arrays.pop("start")[:]
        self._scale = arrays.pop("scale")[:]
        if {len(array) for array in arrays.values()} != {int(self._start[-1])}:
            raise damaged(store, ValueError("its arrays do not fit together"), _AGAIN)
        self._item, self._shares, self._peak = arrays.values()

    @property
    def rows(self) -> int:
        """Items of which something is known: those of the run, but for the last if these are excluded."""
        return len(self._scale)

    @property
    def support(self) -> np.ndarray:
        """int64 of shape (width,): items in which each concept is active."""
        return np.diff(self._start)

    def column(self, concept: int) -> ConceptColumn:
        """One concept's items, read from disk."""
        return self.columns(concept, concept + 1)

    def columns(self, first: int, last: int) -> ConceptColumn:
        """The items of concepts ``first`` to ``last - 1``, concatenated by concept (see :attr:`support`)."""
        part = slice(int(self._start[first]), int(self._start[last]))
        item = self._item[part]
        cas = unpack_scores(self._shares[part], self._scale[item])
        return ConceptColumn(item, cas, self._peak[part].astype(np.int32))

    def cas(self, concepts: np.ndarray, items: int) -> sp.csr_array:
        """Concept activation scores of some concepts.

        Parameters
        ----------
        concepts : ndarray of int of shape (asked,)
        items
            Number of items of the run.

        Returns
        -------
        csr_array of float32 of shape (asked, items)
        """
        starts, ends = self._start[concepts], self._start[np.asarray(concepts) + 1]
        indptr = np.concatenate([[0], np.cumsum(ends - starts)])
        if len(concepts) and (starts[1:] == ends[:-1]).all():  # consecutive concepts are contiguous on disk
            whole = slice(int(starts[0]), int(ends[-1]))
            item, shares = self._item[whole], self._shares[whole]
        else:
            stretches = [slice(*pair) for pair in zip(starts.tolist(), ends.tolist(), strict=True)]
            item, shares = (
                np.concatenate([array[:0], *(array[part] for part in stretches)])
                for array in (self._item, self._shares)
            )
        scores = unpack_scores(shares, self._scale[item])
        return sp.csr_array((scores, item, indptr), shape=(len(concepts), items))
