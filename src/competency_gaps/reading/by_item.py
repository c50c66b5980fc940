"""Read the CAS rows of single items, and their activations on single tokens, without the rest of the shards.

Activations on tokens are tensors of their own in the shards, in the order of each row's concepts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from competency_gaps.reading.rows import ShardFile, unpack_scores
from competency_gaps.util.errors import UserError
from competency_gaps.util.shards import ShardFolder

_OPEN = 1024
"""Shards that stay open: each is mapped, and a process has only so many mappings."""


class ItemRow(NamedTuple):
    """One item's concepts."""

    concepts: np.ndarray
    """int32 of shape (active concepts,), ascending."""
    cas: np.ndarray
    """float32 of shape (active concepts,), > 0."""
    peak: np.ndarray
    """int32 of shape (active concepts, 2): character range of the token where each is strongest."""


class ItemTokens(NamedTuple):
    """The tokens of an item on which some concepts are active: one concept after the other, each in their order."""

    concept: np.ndarray
    """int64 of shape (tokens,): place of the concept among those that were asked for."""
    start: np.ndarray
    """int32 of shape (tokens,): first character in ``items.text``; start = end = 0: the token has no text."""
    end: np.ndarray
    """int32 of shape (tokens,): end of the range, exclusive. Ranges of tokens that share a character overlap."""
    activation: np.ndarray
    """float32 of shape (tokens,), > 0."""


class ItemRows:
    """The shard and row of each item, and what stands there. Some shards stay open; their tensors stay on disk.

    A shard is compared with its checksum before anything but the order of its items is read of it.

    Parameters
    ----------
    folder
        The shards.
    benchmarks
        Of each benchmark the number of its items and the names of its shards, in the order of ``items.parquet``; the
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
        self.unchecked = lru_cache(maxsize=_OPEN)(lambda number: ShardFile(folder.path(self._names[number])))
        """A shard, open, whose content is not checked yet: what it is used for reads the rest by :meth:`file`."""
        self._checked: set[int] = set()
        items = len(kept)
        self.rows: list[np.ndarray] = []
        """Per shard, int64: its rows of ``items.parquet``, in its order."""
        self.shard = np.full(items, -1, np.int32)
        """int32 of shape (items,): number of its shard; -1: the item is excluded."""
        self.position = np.zeros(items, np.int32)
        """int32 of shape (items,): row in its shard."""
        start = 0
        for size, names in benchmarks:
            for _ in names:
                self._add(start, size)
            start += size
        if (self.shard[kept] < 0).any():
            lost = f"the shards in {folder.folder} lack items of the run, so it is damaged"
            raise UserError(f"{lost}. Repeat the command that made it.")

    def __len__(self) -> int:
        return len(self._names)

    def file(self, number: int) -> ShardFile:
        """A shard, open, after a comparison with its checksum."""
        if number not in self._checked:
            self._folder.check(self._names[number])
            self._checked.add(number)
        return self.unchecked(number)

    def _add(self, start: int, size: int) -> None:
        """Add the next shard, of a benchmark's items."""
        number = len(self.rows)
        rows = self.unchecked(number).tensor("items")
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
            shard = self.unchecked(number)
            indptr = shard.tensor("indptr")
            if indptr[0] != 0 or indptr[-1] != shard.pairs or (np.diff(indptr) < 0).any():
                indptr = self.file(number).tensor("indptr")  # says that the shard is damaged
            counts[rows] = np.diff(indptr)
        return counts

    def row(self, row: int) -> ItemRow:
        """One item's row; empty if the item is excluded."""
        number, position = int(self.shard[row]), int(self.position[row])
        if number < 0:
            return ItemRow(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros((0, 2), np.int32))
        file = self.file(number)
        first, last = file.part("indptr", position, position + 2).tolist()
        concepts, shares, peaks = (file.part(name, first, last) for name in ("concepts", "cas", "peaks"))
        cas = unpack_scores(shares, file.part("scale", position, position + 1))
        start, end = file.part("token_ptr", position, position + 2).tolist()
        ranges = file.part("token_offsets", start, end)[peaks]
        return ItemRow(concepts.astype(np.int32), cas, ranges.astype(np.int32))

    def tokens(self, row: int, concepts: np.ndarray) -> ItemTokens | None:
        """Some concepts' tokens in one item.

        Parameters
        ----------
        row
            Row of ``items.parquet``.
        concepts : ndarray of int of shape (n,)

        Returns
        -------
        ItemTokens or None
            None: the item is excluded, or its shard holds no token activations.

        Raises
        ------
        UserError
            If the row does not exist, or a shard is missing or damaged.
        """
        items = len(self.shard)
        if not 0 <= row < items:
            raise UserError(f"item {row} does not exist: the run has items 0 to {items - 1}.")
        number = int(self.shard[row])
        if number < 0 or not (shard := self.file(number)).has_activations:
            return None
        at = int(self.position[row])
        first, last = shard.part("indptr", at, at + 2).tolist()
        active = shard.part("concepts", first, last)
        position = np.searchsorted(active, concepts)
        known = np.flatnonzero(position < len(active))
        known = known[active[position[known]] == concepts[known]]
        counts = shard.part("act_counts", first, last)
        ends, counts = np.cumsum(counts, dtype=np.int64)[position[known]], counts[position[known]].astype(np.int64)
        # Places of the wanted tokens among the item's: from ends - counts to ends, for each concept.
        wanted = np.arange(counts.sum()) + np.repeat(ends - np.cumsum(counts), counts)
        wanted += shard.part("act_ptr", at, at + 1)[0]
        first_token, end_token = shard.part("token_ptr", at, at + 2).tolist()
        ranges = shard.part("token_offsets", first_token, end_token)[shard.part("act_tokens", 0, None)[wanted]]
        values = shard.part("act_values", 0, None)[wanted].astype(np.float32)
        starts, ends = ranges.astype(np.int32).T
        return ItemTokens(np.repeat(known, counts), starts, ends, values)
