"""Read the activations of concepts on single tokens of items.

They are tensors of their own in the shards of CAS rows, in the order of each row's concepts: one item's activations are
read without the rest of the shard, and CAS rows without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from competency_gaps.activations.by_item import ShardIndex
from competency_gaps.activations.shard_file import ShardFile
from competency_gaps.errors import UserError


class TokenActivations(NamedTuple):
    """The tokens of an item on which a concept is active, in their order; empty if there are none."""

    start: np.ndarray
    """int32 of shape (tokens,): first character in ``items.text``; start = end = 0: the token has no text."""
    end: np.ndarray
    """int32 of shape (tokens,): end of the range, exclusive. Ranges of tokens that share a character overlap."""
    activation: np.ndarray
    """float32 of shape (tokens,), > 0."""


class TokenReader:
    """Reads the activations of single tokens of a run."""

    def __init__(self, index: ShardIndex) -> None:
        self._index = index

    def any(self) -> bool:
        """Whether any shard holds token activations."""
        if any(self._index.unchecked(number).has_activations for number in range(len(self._index))):
            return True
        if len(self._index):
            self._index.file(0)  # its list of tensors may be damaged
        return False

    def read(self, concept: int, rows: Sequence[int]) -> list[TokenActivations | None]:
        """One concept's tokens in some items.

        Parameters
        ----------
        rows
            Rows of ``items.parquet``.

        Returns
        -------
        list of TokenActivations or None, one per row
            None: the item is excluded, or its shard holds no token activations.

        Raises
        ------
        UserError
            If a row does not exist, or a shard is missing or damaged.
        """
        wanted = np.array([concept])
        read = [self.read_item(row, wanted) for row in rows]
        return [None if activations is None else activations[0] for activations in read]

    def read_item(self, row: int, concepts: np.ndarray) -> list[TokenActivations] | None:
        """Some concepts' tokens in one item.

        Parameters
        ----------
        row
            Row of ``items.parquet``.
        concepts : ndarray of int of shape (n,)

        Returns
        -------
        list of TokenActivations, one per concept, or None
            None: the item is excluded, or its shard holds no token activations.

        Raises
        ------
        UserError
            If the row does not exist, or a shard is missing or damaged.
        """
        items = len(self._index.shard)
        if not 0 <= row < items:
            raise UserError(f"item {row} does not exist: the run has items 0 to {items - 1}.")
        number = int(self._index.shard[row])
        if number < 0:
            return None
        shard = self._index.file(number)
        if not shard.has_activations:
            return None
        return _read_item(shard, int(self._index.place[row]), concepts)


def lacking(files: Iterable[Path]) -> int:
    """Number of shards without token activations."""
    return sum(not ShardFile(file).has_activations for file in files)


def _read_item(shard: ShardFile, place: int, concepts: np.ndarray) -> list[TokenActivations]:
    """Read the stretch of the item's activations in which those of all the concepts lie."""
    first, last = shard.part("indptr", place, place + 2).tolist()
    active = shard.part("concepts", first, last)
    index = np.searchsorted(active, concepts)
    known = np.flatnonzero(index < len(active))
    known = known[active[index[known]] == concepts[known]]
    nothing = np.zeros(0, np.int32)
    activations = [TokenActivations(nothing, nothing, np.zeros(0, np.float32))] * len(concepts)
    if not len(known):
        return activations
    ends = np.cumsum(shard.part("act_counts", first, first + int(index[known].max()) + 1), dtype=np.int64)
    starts = np.concatenate([[0], ends])[index[known]]
    ends = ends[index[known]]
    begin, offset = int(starts.min()), int(shard.part("act_ptr", place, place + 1)[0])
    tokens = shard.part("act_tokens", offset + begin, offset + int(ends.max())).astype(np.int64)
    values = shard.part("act_values", offset + begin, offset + int(ends.max())).astype(np.float32)
    own_first, own_last = shard.part("token_ptr", place, place + 2).tolist()
    ranges = shard.part("token_offsets", own_first, own_last)[tokens].astype(np.int32)
    for number, start, end in zip(known.tolist(), (starts - begin).tolist(), (ends - begin).tolist(), strict=True):
        activations[number] = TokenActivations(ranges[start:end, 0], ranges[start:end, 1], values[start:end])
    return activations
