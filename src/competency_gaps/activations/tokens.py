"""Activations of single tokens: which tokens of an item a concept is active on, and how strongly.

They lie in the shards of the CAS rows, value for value behind the row's concepts, so that one item's are read without
the rest of the shard, and who reads CAS rows does not read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from competency_gaps.activations.by_item import ShardIndex, open_shard
from competency_gaps.errors import UserError

_HALF = (2.0**-10, 65504.0)
"""Between these, a shard's largest activation leaves float16 precise enough to be shown beside it, and finite."""
_LEAST = np.float16(2.0**-24)
"""The smallest float16 above 0."""
_SHORT = 65536
"""So many tokens of an item can be numbered in 16 bits."""


class TokenRow(NamedTuple):
    """One item's activations, concept after concept, each concept's in the order of its tokens."""

    counts: np.ndarray
    """int32 of shape (active concepts,), >= 1: on how many tokens each is active."""
    tokens: np.ndarray
    """int32 of shape (activations,): index, inside the span, of the token."""
    values: np.ndarray
    """float32 of shape (activations,), > 0."""


class TokenActivations(NamedTuple):
    """The tokens of one item on which one concept is active, in their order; empty where it is active on none."""

    start: np.ndarray
    """int32 of shape (tokens,): first character in ``items.text``; start and end 0: the token stands for no text."""
    end: np.ndarray
    """int32 of shape (tokens,): behind the last character. Tokens that share a character have ranges that overlap."""
    activation: np.ndarray
    """float32 of shape (tokens,), > 0."""


def token_row(tokens: np.ndarray, concepts: np.ndarray, values: np.ndarray) -> TokenRow:
    """Sort activations that come token after token by concept.

    Parameters
    ----------
    tokens, concepts, values : ndarray of shape (activations,)
        Tokens ascend.
    """
    order = np.argsort(concepts, kind="stable")
    counts = np.unique(concepts, return_counts=True)[1]
    return TokenRow(counts.astype(np.int32), tokens[order].astype(np.int32), values[order].astype(np.float32))


def token_tensors(rows: Sequence[TokenRow], places: Sequence[np.ndarray], longest: int) -> dict[str, np.ndarray]:
    """What a shard holds of its items' tokens.

    Activations are rounded to float16. Those of a shard whose largest is beyond its range, as on the first token of
    some models, or so small that rounding would be seen, stay float32. An activation that would become 0 becomes the
    smallest float16.

    Parameters
    ----------
    rows
        One per item.
    places : sequence of ndarray of int64
        Per item, the positions of its span's tokens among its tokens.
    longest
        Tokens of the longest item.
    """
    small = [np.zeros(0, np.float32), *(row.values for row in rows)]
    values = np.concatenate(small)
    if len(values) and _HALF[0] <= float(values.max()) <= _HALF[1]:
        values = np.maximum(values.astype(np.float16), _LEAST)
    index = np.uint16 if longest <= _SHORT else np.int32
    tokens = [place[row.tokens].astype(index) for row, place in zip(rows, places, strict=True)]
    return {
        "act_ptr": np.cumsum([0, *(len(row.values) for row in rows)]).astype(np.int64),
        "act_counts": np.concatenate([np.zeros(0, np.int32), *(row.counts for row in rows)]),
        "act_tokens": np.concatenate([np.zeros(0, index), *tokens]),
        "act_values": values,
    }


class TokenReader:
    """Reads the activations of single tokens of a run.

    Parameters
    ----------
    index
        Where the items lie.
    """

    def __init__(self, index: ShardIndex) -> None:
        self._index = index

    def any(self) -> bool:
        """Whether any shard holds activations of tokens."""
        return any(_has_tokens(shard) for shard in self._index.files)

    def read(self, concept: int, rows: Sequence[int]) -> list[TokenActivations | None]:
        """One concept's tokens in some items.

        Parameters
        ----------
        rows
            Rows of ``items.parquet``.

        Returns
        -------
        list of TokenActivations or None, one per row
            None: the item is excluded, or its shard keeps no activations of tokens.

        Raises
        ------
        UserError
            If a row does not exist, or a shard is missing or damaged.
        """
        items = len(self._index.shard)
        for row in rows:
            if not 0 <= row < items:
                raise UserError(f"item {row} does not exist: the run has items 0 to {items - 1}.")
        found: list[TokenActivations | None] = []
        for row in rows:
            number = int(self._index.shard[row])
            kept = number >= 0 and _has_tokens(self._index.files[number])
            found.append(_read_one(self._index.files[number], int(self._index.place[row]), concept) if kept else None)
        return found


def lacking(files: Iterable[Path]) -> int:
    """How many shards keep no activations of tokens."""
    return sum(not _has_tokens(open_shard(file)) for file in files)


def _read_one(shard: Any, place: int, concept: int) -> TokenActivations:
    first, last = _part(shard, "indptr", place, place + 2).tolist()
    concepts = _part(shard, "concepts", first, last)
    at = int(np.searchsorted(concepts, concept))
    if at == len(concepts) or concepts[at] != concept:
        nothing = np.zeros(0, np.int32)
        return TokenActivations(nothing, nothing, np.zeros(0, np.float32))
    counts = _part(shard, "act_counts", first, first + at + 1)
    start = int(_part(shard, "act_ptr", place, place + 1)[0]) + int(counts[:-1].sum(dtype=np.int64))
    end = start + int(counts[-1])
    tokens = _part(shard, "act_tokens", start, end).astype(np.int64)
    own_first, own_last = _part(shard, "token_ptr", place, place + 2).tolist()
    ranges = _part(shard, "token_offsets", own_first, own_last)[tokens]
    return TokenActivations(ranges[:, 0], ranges[:, 1], _part(shard, "act_values", start, end).astype(np.float32))


def _part(shard: Any, name: str, start: int, end: int) -> np.ndarray:
    """Some of a tensor, read from disk now."""
    part: np.ndarray = shard.get_slice(name)[start:end]
    return part


def _has_tokens(shard: Any) -> bool:
    return "act_ptr" in shard.keys()  # noqa: SIM118 - no dictionary: it has keys() only
