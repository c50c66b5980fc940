"""A concept-major copy of the CAS rows, from which one concept's items are read without the rest.

Memory-mapped arrays on disk: the memory for writing and reading them does not grow with the run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.lib.format import open_memmap

from competency_gaps.activations.store import CasBlock
from competency_gaps.errors import UserError
from competency_gaps.files import no_space_left

FOLDER = "by-concept"
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
            else:
                np.save(part / f"{name}.npy", np.zeros((0, *shape), dtype))
        free = start[:-1].copy()
        for first, block in blocks():
            _place(part, free, first, block)
        part.rename(target)


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
        try:
            self._start = np.load(folder / FOLDER / "start.npy")
            files = [folder / FOLDER / f"{name}.npy" for name in _ARRAYS]
            # An empty array cannot be memory-mapped.
            self._arrays = [np.load(file, mmap_mode="r") if self._start[-1] else np.load(file) for file in files]
        except (OSError, ValueError) as error:
            raise UserError(
                f"{folder / FOLDER} is missing or damaged: {error}. Run 'cgaps run' on the folder again."
            ) from error

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
        return ConceptColumn(*(np.array(array[part]) for array in self._arrays))

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
            parts = np.array(value[whole]), np.array(item[whole])
        else:
            pieces = [slice(int(a), int(b)) for a, b in zip(starts, ends, strict=True)]
            nothing = slice(0, 0)
            parts = (
                np.concatenate([value[nothing], *(value[piece] for piece in pieces)]),
                np.concatenate([item[nothing], *(item[piece] for piece in pieces)]),
            )
        return sp.csr_array((*parts, indptr), shape=(len(concepts), items))

    def items(self, concept: int) -> np.ndarray:
        """One concept's items without their values: int32, rows of ``items.parquet``."""
        return np.array(self._arrays[0][self._start[concept] : self._start[concept + 1]])
