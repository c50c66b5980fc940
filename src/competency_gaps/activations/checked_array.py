"""Arrays on disk of which parts are read, each part compared with a checksum when it is first read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

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
        As of :func:`checks_of`; None: there are none, and nothing is compared.

    Raises
    ------
    UserError
        If the file is missing or damaged.
    """

    def __init__(self, file: Path, checks: Mapping[str, Any] | None) -> None:
        self._file = file
        try:
            self._raw = np.memmap(file, np.uint8, "r")
            self._blocks: list[str] | None = None
            if checks is not None:
                self._blocks = [str(block) for block in checks["blocks"]]
                if len(self._raw) != checks["bytes"] or len(self._blocks) != -(-len(self._raw) // BLOCK):
                    raise self._damaged(f"it has {len(self._raw):,} bytes, and had {checks['bytes']:,}")
                self._seen = bytearray(len(self._blocks))
                self._compare(0, 1)  # the shape and type are written there
            # An empty array cannot be mapped; a small one is read and compared as a whole anyway.
            whole = np.load(file, mmap_mode="r" if len(self._raw) > BLOCK else None)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise self._damaged(str(error)) from error
        self._values: np.ndarray = whole
        self._offset = len(self._raw) - whole.nbytes
        self._size = whole.nbytes // len(whole) if len(whole) else 1

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, part: slice) -> np.ndarray:
        """A copy of some rows."""
        first, last, _ = part.indices(len(self))
        if first < last:
            self._compare(self._offset + first * self._size, self._offset + last * self._size)
        return np.array(self._values[first:last])

    def pieces(self, starts: np.ndarray, ends: np.ndarray) -> Iterator[np.ndarray]:
        """Copies of several stretches of rows."""
        return (self[int(start) : int(end)] for start, end in zip(starts, ends, strict=True))

    def _compare(self, first: int, last: int) -> None:
        """Compare the blocks that hold some bytes."""
        if self._blocks is None:
            return
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
