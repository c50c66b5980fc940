"""Read the CAS rows of single items from a run's shards, without the rest of the shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from competency_gaps.activations.store import open_shard

_WHOLE = 0.25
"""Share of a shard's rows from which the whole shard is read: each slice costs some microseconds."""


class ItemRow(NamedTuple):
    """One item's concepts."""

    concepts: np.ndarray
    """int32 of shape (active concepts,), ascending."""
    cas: np.ndarray
    """float32 of shape (active concepts,), > 0."""
    peak: np.ndarray
    """int32 of shape (active concepts, 2): character range of the token where each is strongest."""


class ShardIndex:
    """The shard and row of each item. Shards are opened once; their tensors stay on disk.

    Parameters
    ----------
    shards
        Files of each benchmark's shards, by the row of ``items.parquet`` where the benchmark starts.
    items
        Number of rows of ``items.parquet``.

    Raises
    ------
    UserError
        If a shard is missing or damaged.
    """

    def __init__(self, shards: Mapping[int, Sequence[Path]], items: int) -> None:
        self.files = [open_shard(file) for files in shards.values() for file in files]
        self.rows = []
        """Per shard, int64: its rows of ``items.parquet``, in its order."""
        self.shard = np.full(items, -1, np.int32)
        """int32 of shape (items,): index in ``files``; -1: the item is excluded."""
        self.place = np.zeros(items, np.int32)
        """int32 of shape (items,): row in its shard."""
        starts = [start for start, files in shards.items() for _ in files]
        for number, (start, file) in enumerate(zip(starts, self.files, strict=True)):
            rows = file.get_tensor("items") + start
            self.rows.append(rows)
            self.shard[rows] = number
            self.place[rows] = np.arange(len(rows))


class ItemRows:
    """Reads rows of items; keeps a few numbers per item in memory."""

    def __init__(self, index: ShardIndex) -> None:
        self._index = index
        items = len(index.shard)
        self._first = np.zeros(items, np.int64)
        self.counts = np.zeros(items, np.int32)
        """int32 of shape (items,): number of concepts active in each item; 0 if excluded."""
        for rows, file in zip(index.rows, index.files, strict=True):
            indptr = file.get_tensor("indptr")
            self._first[rows] = indptr[:-1]
            self.counts[rows] = np.diff(indptr)

    def concepts(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The concepts active in some items.

        Parameters
        ----------
        rows : ndarray of int of shape (n,)
            Rows of ``items.parquet``.

        Returns
        -------
        tuple of ndarray
            ``indptr``, int64 of shape (n + 1,), and ``indices``, int32: concepts of each row, ascending.
        """
        indptr = np.concatenate([[0], np.cumsum(self.counts[rows], dtype=np.int64)])
        indices = np.empty(int(indptr[-1]), np.int32)
        shards = self._index.shard[rows]
        order = np.argsort(shards, kind="stable")
        numbers, starts = np.unique(shards[order], return_index=True)
        # Of an empty array, np.split gives one empty part.
        for number, places in zip(numbers.tolist(), np.split(order, starts[1:])[: len(starts)], strict=True):
            if number < 0:
                continue
            first = self._first[rows[places]]
            last = first + self.counts[rows[places]]
            held = self._held(number, len(places))
            for place, a, b in zip(places.tolist(), first.tolist(), last.tolist(), strict=True):
                indices[indptr[place] : indptr[place + 1]] = held[a:b]
        return indptr, indices

    def row(self, row: int) -> ItemRow:
        """One item's row; empty if the item is excluded."""
        number, count = int(self._index.shard[row]), int(self.counts[row])
        if number < 0 or not count:
            return ItemRow(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros((0, 2), np.int32))
        file, first, place = self._index.files[number], int(self._first[row]), int(self._index.place[row])
        concepts, cas, peaks = (file.get_slice(name)[first : first + count] for name in ("concepts", "cas", "peaks"))
        start, end = file.get_slice("token_ptr")[place : place + 2].tolist()
        return ItemRow(concepts, cas, file.get_slice("token_offsets")[start:end][peaks])

    def _held(self, number: int, asked: int) -> Any:
        """A shard's concepts: an array if many rows are asked for, else a slice on disk."""
        file = self._index.files[number]
        whole = asked >= _WHOLE * len(self._index.rows[number])
        return file.get_tensor("concepts") if whole else file.get_slice("concepts")
