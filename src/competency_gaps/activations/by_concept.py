"""A concept-major copy of the CAS rows, from which one concept's items are read without the rest.

Memory-mapped arrays on disk: the memory for writing them does not grow with the run, that for reading them by 4 bytes
for each item.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.lib.format import open_memmap
from numpy.typing import DTypeLike

from competency_gaps.activations.checked_array import BLOCK, CheckedArray, checks_of
from competency_gaps.activations.packing import WHOLE, index_type, pack_scores, unpack_scores
from competency_gaps.activations.shard_file import are_positive
from competency_gaps.activations.store import CasBlock
from competency_gaps.checked import damaged, read_document, write_document
from competency_gaps.files import no_space_left

FOLDER = "by-concept"
CHECKS = "checks.json"
"""Checksums of the arrays."""
MERGED = 8_000_000
"""About how many non-zeros are placed at once [ours]: each time, nearly every page of the arrays may be written."""
_AGAIN = "Run the command that made the run again."
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
        _make_array(part / "scale.npy", np.float32, (items,))
        _make_array(part / "item.npy", np.int32, (pairs,))
        _make_array(part / "cas.npy", np.float16, (pairs,))
        _make_array(part / "peak.npy", index_type(characters), (pairs, 2))
        free = start[:-1].copy()
        for entries in _merged(blocks(), part):
            _place(part, free, entries)
        write_document(part / CHECKS, {name: checks_of(part / f"{name}.npy") for name in _ARRAYS})
        part.rename(target)


def _make_array(file: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    """Make an array of zeros, into which values are placed later."""
    if not shape[0]:  # an empty file cannot be mapped
        np.save(file, np.zeros(shape, dtype))
        return
    open_memmap(file, "w+", dtype, shape).flush()
    _reserve(file)


def _reserve(file: Path) -> None:
    """Take the space of a file now: a disk that is full when mapped memory is written ends the process."""
    if not hasattr(os, "posix_fallocate"):
        return
    with file.open("r+b") as handle:
        try:
            os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)
        except OSError as error:  # some file systems cannot
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise


def _merged(blocks: Iterable[tuple[int, CasBlock]], folder: Path) -> Iterator[_Entries]:
    """Write the scales of blocks, and put their non-zeros together until there are ``MERGED`` of them."""
    waiting: list[_Entries] = []
    for first, block in blocks:
        if not len(block.items):  # nor has its array, which cannot be mapped then
            continue
        items, scores = block.items + first, pack_scores(block.cas)
        scale = np.load(folder / "scale.npy", mmap_mode="r+")
        scale[items] = scores.scale
        scale.flush()
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


class ByConcept:
    """Reads what :func:`write_by_concept` wrote.

    Raises
    ------
    UserError
        If the copy is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        place = self._folder = folder / FOLDER
        try:
            checks = read_document(place / CHECKS)
        except (OSError, ValueError) as error:
            raise damaged(place / CHECKS, error, _AGAIN) from error
        arrays = {
            name: CheckedArray(place / f"{name}.npy", checks.get(name), dtypes, shape)
            for name, (dtypes, shape) in _ARRAYS.items()
        }
        self._start = arrays.pop("start")[:]
        self._scale = arrays.pop("scale")[:]
        fits = len(self._start) > 0 and self._start[0] == 0 and (self._start[1:] >= self._start[:-1]).all()
        fits = fits and bool((np.isfinite(self._scale) & (self._scale >= 0)).all())
        if not fits or {len(array) for array in arrays.values()} != {int(self._start[-1])}:
            fault = ValueError("its arrays do not fit each other")
            raise damaged(place, fault, _AGAIN)
        self._item, self._shares, self._peak = arrays.values()

    def check(self) -> None:
        """Compare all arrays with their checksums; raises UserError if one is damaged."""
        for array in (self._item, self._shares, self._peak):
            for first in range(0, len(array), BLOCK):
                array[first : first + BLOCK]

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
        return ConceptColumn(item, self._scores(item, self._shares[part]), self._peak[part].astype(np.int32))

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
            item, shares = (
                np.concatenate([array[:0], *array.pieces(starts, ends)]) for array in (self._item, self._shares)
            )
        scores = self._scores(item, shares)
        if len(item) and int(item.max()) >= items:
            raise damaged(self._folder, ValueError(f"it holds items beyond the run's {items:,}"), _AGAIN)
        return sp.csr_array((scores, item, indptr), shape=(len(concepts), items))

    def _scores(self, item: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Scores in items: float32."""
        self._check_items(item)
        if len(shares) and not are_positive(shares, np.float16(WHOLE)):
            raise damaged(self._folder, ValueError("scores are not positive, too large or no numbers"), _AGAIN)
        return unpack_scores(shares, self._scale[item])

    def items(self, concept: int) -> np.ndarray:
        """One concept's items without their values: int32, rows of ``items.parquet``."""
        item = self._item[int(self._start[concept]) : int(self._start[concept + 1])]
        self._check_items(item)
        return item

    def _check_items(self, item: np.ndarray) -> None:
        if len(item) and not 0 <= int(item.min()) <= int(item.max()) < self.rows:
            raise damaged(self._folder, ValueError("its arrays do not fit each other"), _AGAIN)
