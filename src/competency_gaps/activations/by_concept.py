"""A concept-major copy of the CAS rows, from which one concept's items are read without the rest.

Memory-mapped arrays on disk: the memory for writing and reading them does not grow with the run.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.lib.format import open_memmap

from competency_gaps.activations.checked_array import BLOCK, CheckedArray, checks_of
from competency_gaps.activations.store import CasBlock
from competency_gaps.checked import damaged, read_document, write_document
from competency_gaps.files import no_space_left

FOLDER = "by-concept"
CHECKS = "checks.json"
"""Checksums of the arrays."""
_AGAIN = "Run the command that made the run again."
_ARRAYS = {"item": (np.int32, ()), "cas": (np.float32, ()), "peak": (np.int32, (2,))}


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
    counts = np.zeros(width, np.int64)
    for _, block in blocks():
        counts += np.bincount(block.cas.indices, minlength=width)
    start = np.concatenate([[0], np.cumsum(counts)])
    with no_space_left(target):
        np.save(part / "start.npy", start)
        for name, (dtype, shape) in _ARRAYS.items():
            if start[-1]:
                open_memmap(part / f"{name}.npy", "w+", dtype, (int(start[-1]), *shape)).flush()
                _reserve(part / f"{name}.npy")
            else:
                np.save(part / f"{name}.npy", np.zeros((0, *shape), dtype))
        free = start[:-1].copy()
        for first, block in blocks():
            _place(part, free, first, block)
        write_document(part / CHECKS, {name: checks_of(part / f"{name}.npy") for name in ("start", *_ARRAYS)})
        part.rename(target)


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


def _place(folder: Path, free: np.ndarray, first: int, block: CasBlock) -> None:
    """Write a block's values to the next free places of their concepts."""
    concepts = np.asarray(block.cas.indices)
    order = np.argsort(concepts, kind="stable")
    counts = np.bincount(concepts, minlength=len(free))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.repeat(free, counts) + rank
    free += counts
    items = np.repeat(block.items + first, np.diff(block.cas.indptr))
    values = {"item": items, "cas": block.cas.data, "peak": block.peak_ranges()}
    if not len(places):
        return
    for name, value in values.items():
        # Mapped for this block only: pages that stay mapped count as the process's memory.
        mapped = np.load(folder / f"{name}.npy", mmap_mode="r+")
        mapped[places] = value[order]
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
        kinds = {"start": (np.int64, ()), **_ARRAYS}
        arrays = {
            name: CheckedArray(place / f"{name}.npy", checks.get(name), dtype, shape)
            for name, (dtype, shape) in kinds.items()
        }
        self._start = arrays.pop("start")[:]
        fits = len(self._start) > 0 and self._start[0] == 0 and not (np.diff(self._start) < 0).any()
        if not fits or {len(array) for array in arrays.values()} != {int(self._start[-1])}:
            fault = ValueError("its arrays do not fit each other")
            raise damaged(place, fault, _AGAIN)
        self._arrays = list(arrays.values())

    def check(self) -> None:
        """Compare all arrays with their checksums; raises UserError if one is damaged."""
        for array in self._arrays:
            for first in range(0, len(array), BLOCK):
                array[first : first + BLOCK]

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
        return ConceptColumn(*(array[part] for array in self._arrays))

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
        item, value = self._arrays[0], self._arrays[1]
        indptr = np.concatenate([[0], np.cumsum(ends - starts)])
        if len(concepts) and (starts[1:] == ends[:-1]).all():  # consecutive concepts are contiguous on disk
            whole = slice(int(starts[0]), int(ends[-1]))
            parts = value[whole], item[whole]
        else:
            parts = (
                np.concatenate([value[:0], *value.pieces(starts, ends)]),
                np.concatenate([item[:0], *item.pieces(starts, ends)]),
            )
        if len(parts[1]) and not 0 <= int(parts[1].min()) <= int(parts[1].max()) < items:
            raise damaged(self._folder, ValueError(f"it holds items beyond the run's {items:,}"), _AGAIN)
        return sp.csr_array((*parts, indptr), shape=(len(concepts), items))

    def items(self, concept: int) -> np.ndarray:
        """One concept's items without their values: int32, rows of ``items.parquet``."""
        return self._arrays[0][int(self._start[concept]) : int(self._start[concept + 1])]
