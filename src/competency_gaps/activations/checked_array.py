"""Arrays on disk of which parts are read, each part compared with a checksum when it is first read."""

from __future__ import annotations

import hashlib
import math
import mmap
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from competency_gaps.errors import UserError

BLOCK = 2**20
"""Bytes of a file that have one checksum: what is read of the file in order to read a number of it."""


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
        self, file: Path, checks: Mapping[str, Any] | None, dtypes: Sequence[DTypeLike], shape: tuple[int, ...] = ()
    ) -> None:
        self._file = file
        try:
            if checks is None:
                raise ValueError("nothing is known of its checksum")
            self._blocks = [str(block) for block in checks["blocks"]]
            # An empty file cannot be mapped.
            self._raw = np.memmap(file, np.uint8, "r") if file.stat().st_size else np.zeros(0, np.uint8)
            if len(self._raw) != checks["bytes"] or len(self._blocks) != -(-len(self._raw) // BLOCK):
                raise ValueError(f"it has {len(self._raw):,} bytes, and had {checks['bytes']:,}")
            self._seen = bytearray(len(self._blocks))
            self._compare(0, 1)  # the shape and type are written there
            length, self._offset, dtype = _read_header(file, [np.dtype(known) for known in dtypes], shape)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise self._damaged(str(error)) from error
        self._values: np.ndarray = self._raw[self._offset :].view(dtype).reshape(length, *shape)
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

    def pieces(self, starts: np.ndarray, ends: np.ndarray) -> Iterator[np.ndarray]:
        """Copies of several stretches of rows."""
        return (self[int(start) : int(end)] for start, end in zip(starts, ends, strict=True))

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
                held = self._raw[block * BLOCK : (block + 1) * BLOCK]
                if hashlib.sha256(held.data).hexdigest() != self._blocks[block]:
                    raise self._damaged("its content does not match its checksum")
                self._seen[block] = 1

    def _damaged(self, why: str) -> UserError:
        return UserError(
            f"{self._file} is missing or damaged: {why}. Run the command that made the run again, which makes it anew."
        )


def _read_header(file: Path, dtypes: Sequence[np.dtype], shape: tuple[int, ...]) -> tuple[int, int, np.dtype]:
    """Number of rows, the byte at which they begin, their type; raises ValueError if it is another kind of array."""
    with file.open("rb") as handle:
        version = np.lib.format.read_magic(handle)
        if version != (1, 0):
            raise ValueError(f"it is of version {version} of its format, expected (1, 0)")
        try:
            known, by_column, kind = np.lib.format.read_array_header_1_0(handle)
        except tokenize.TokenError as error:  # NumPy mends headers of Python 2 before it reads them
            raise ValueError("its header cannot be read") from error
        offset = handle.tell()
    whole = offset + kind.itemsize * math.prod(known) == file.stat().st_size
    if kind not in dtypes or not known or known[1:] != shape or (by_column and shape) or not whole:
        names = " or ".join(map(str, dtypes))
        raise ValueError(f"it is an array of {kind} and shape {known}, expected {names} and (rows, {shape})")
    return int(known[0]), offset, kind
