"""A concept-major copy of the CAS rows, from which one concept's items are read without the rest.

The arrays are mapped from disk only while they are used, so writing and reading them takes 4 bytes of memory per item
of the run.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import DTypeLike

from competency_gaps.reading.rows import CasBlock, index_type, pack_scores, unpack_scores
from competency_gaps.util.checked import damaged, read_document, write_document
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import no_space_left

FOLDER = "by-concept"
CHECKS = "checks.json"
"""Name of the file with the arrays' checksums."""
BLOCK_BYTES = 2**20
"""Bytes of an array's file that share one checksum."""
GROUP_NONZEROS = 8_000_000
"""Approximate number of non-zeros transposed at once [ours]: each time, nearly every page of the arrays may change."""
_AGAIN = "Repeat the command that made the run."


class ConceptColumn(NamedTuple):
    """The items in which a concept is active."""

    item: np.ndarray
    """int32 of shape (active items,): rows of ``items.parquet``, ascending within a shard."""
    cas: np.ndarray
    """float32 of shape (active items,), > 0."""
    peak: np.ndarray
    """int32 of shape (active items, 2): character range of the token where the concept is strongest."""


def write_by_concept(folder: Path, blocks: Callable[[], Iterable[tuple[int, CasBlock]]], width: int) -> None:
    """Write a run's item-major rows as concept-major arrays; one pass counts, the second writes the values.

    Parameters
    ----------
    folder
        The run's folder of activations.
    blocks
        Returns, at each call, all blocks, each with the row of ``items.parquet`` where its benchmark starts.
    width
        Number of concepts.
    """
    target, part = folder / FOLDER, folder / f".{FOLDER}.part"
    for path in (target, part):
        shutil.rmtree(path, ignore_errors=True)
    part.mkdir(parents=True)
    support, items, characters = np.zeros(width, np.int64), 0, 0
    for first, block in blocks():
        support += np.bincount(block.cas.indices, minlength=width)
        items = max(items, first + 1 + int(block.items.max(initial=-1)))
        characters = max(characters, int(block.token_offsets.max(initial=0)))
    start = np.concatenate([[0], np.cumsum(support)])
    scale, free = np.zeros(items, np.float32), start[:-1].copy()
    pairs = int(start[-1])
    with no_space_left(target):
        _write_zeros(part / "item.npy", np.int32, (pairs,))
        _write_zeros(part / "cas.npy", np.float16, (pairs,))
        _write_zeros(part / "peak.npy", index_type(characters), (pairs, 2))
        group: list[tuple[int, CasBlock]] = []
        for first, block in blocks():
            group.append((first, block))
            if sum(block.cas.nnz for _, block in group) >= GROUP_NONZEROS:
                _transpose(part, group, free, scale)
                group.clear()
        if group:
            _transpose(part, group, free, scale)
        np.save(part / "start.npy", start)
        np.save(part / "scale.npy", scale)
        write_document(part / CHECKS, {file.stem: checks_of(file) for file in sorted(part.glob("*.npy"))})
        part.rename(target)


def _write_zeros(file: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    """Write an array of zeros: if the disk filled up only when mapped memory is written, the process would end."""
    remaining = int(np.prod(shape)) * np.dtype(dtype).itemsize
    with file.open("wb") as handle:
        header = {"descr": dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        write_array_header_1_0(handle, header)
        for size in [BLOCK_BYTES] * (remaining // BLOCK_BYTES) + [remaining % BLOCK_BYTES]:
            handle.write(bytes(size))


def _transpose(folder: Path, group: Sequence[tuple[int, CasBlock]], free: np.ndarray, scale: np.ndarray) -> None:
    """Write the non-zeros of blocks to the next free positions of their concepts, and the scales of their items."""
    cas = sp.csr_array(sp.vstack([block.cas for _, block in group], format="csr"))
    items = np.concatenate([first + block.items for first, block in group])
    shares, scale[items] = pack_scores(cas)
    values = {
        "item": np.repeat(items.astype(np.int32), np.diff(cas.indptr)),
        "cas": shares,
        "peak": np.concatenate([block.peak_ranges() for _, block in group]),
    }
    # SciPy's change of format is a stable counting sort, far faster than comparing.
    by_concept = sp.csr_array((np.arange(cas.nnz), cas.indices, cas.indptr), cas.shape).tocsc()
    counts = np.diff(by_concept.indptr)
    positions = np.arange(cas.nnz) + np.repeat(free - by_concept.indptr[:-1], counts)
    free += counts
    for name, array in values.items() if cas.nnz else ():
        mapped = np.load(folder / f"{name}.npy", mmap_mode="r+")
        mapped[positions] = array[by_concept.data]
        mapped.flush()


def checks_of(file: Path) -> dict[str, Any]:
    """Return the checksums of a file's blocks, and its size."""
    with file.open("rb") as handle:
        blocks = [hashlib.sha256(block).hexdigest() for block in iter(lambda: handle.read(BLOCK_BYTES), b"")]
    return {"bytes": file.stat().st_size, "blocks": blocks}


class ByConcept:
    """Reads what :func:`write_by_concept` wrote; an array is compared with its checksums at its first use.

    Raises
    ------
    UserError
        If the copy is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._compared: set[str] = set()
        try:
            self._checks = read_document(self._folder / CHECKS)
        except (OSError, ValueError) as error:
            raise damaged(self._folder / CHECKS, error, _AGAIN) from error
        self._start, self._scale = np.array(self._array("start")), np.array(self._array("scale"))

    @property
    def rows(self) -> int:
        """Number of items covered: those of the run, without excluded ones at its end."""
        return len(self._scale)

    @property
    def support(self) -> np.ndarray:
        """int64 of shape (width,): number of items in which each concept is active."""
        return np.diff(self._start)

    def column(self, concept: int) -> ConceptColumn:
        """Return the items of one concept."""
        return self.columns(concept, concept + 1)

    def columns(self, first: int, last: int) -> ConceptColumn:
        """Return the items of concepts ``first`` to ``last - 1``, concatenated by concept (see :attr:`support`)."""
        part = slice(int(self._start[first]), int(self._start[last]))
        item, shares, peak = (self._array(name)[part] for name in ("item", "cas", "peak"))
        return ConceptColumn(np.array(item), unpack_scores(shares, self._scale[item]), peak.astype(np.int32))

    def cas(self, concepts: np.ndarray, items: int) -> sp.csr_array:
        """Return the concept activation scores of some concepts.

        Parameters
        ----------
        concepts : ndarray of int of shape (n,)
        items
            Number of items of the run.

        Returns
        -------
        csr_array of float32 of shape (n, items)
        """
        counts = self.support[concepts]
        indptr = np.concatenate([[0], np.cumsum(counts)])
        positions = np.arange(indptr[-1]) + np.repeat(self._start[concepts] - indptr[:-1], counts)
        item, shares = self._array("item")[positions], self._array("cas")[positions]
        return sp.csr_array((unpack_scores(shares, self._scale[item]), item, indptr), shape=(len(concepts), items))

    def _array(self, name: str) -> np.ndarray:
        """Return an array, newly mapped from disk: pages that stay mapped would count as the process's memory."""
        file = self._folder / f"{name}.npy"
        try:
            if name not in self._compared and checks_of(file) != self._checks.get(name):
                raise ValueError("its content does not match its checksum")
            self._compared.add(name)
            array: np.ndarray = np.load(file, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise UserError(f"{file} is missing or damaged: {error}. {_AGAIN}") from error
        return array
