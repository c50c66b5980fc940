"""Group sequences into batches of similar length, so that little padding is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

CACHED = 4
"""Tokens whose keys and values may be kept for each token of the budget, which counts as at least
``WRITTEN_AT_ONCE`` here."""
_LOGITS = 4
"""Tokens of the budget per position whose logits are kept: with a large vocabulary, logits are the largest tensor."""


WRITTEN_AT_ONCE = 4096
"""Tokens of prompts that are answered at once where nobody chose: each step reads all weights for one token of each."""


def token_budget_on(device: torch.device, chosen: int | None = None) -> int:
    """Tokens that are read at once: few on a processor, of whose caches more would run out, unless somebody chose."""
    return chosen or (512 if device.type == "cpu" else WRITTEN_AT_ONCE)


def plan_batches(
    lengths: Sequence[int] | np.ndarray, token_budget: int, *, cached: int = 0, logits: int = 0
) -> list[np.ndarray]:
    """Split sequences, sorted by length, into batches of bounded padded size.

    Parameters
    ----------
    lengths : sequence of int of shape (sequences,)
        Tokens per sequence.
    token_budget
        Largest product of rows and longest sequence in a batch. A longer sequence forms a batch of its own.
    cached
        Tokens before each sequence whose keys and values are already in memory.
    logits
        Positions of each row whose logits are kept; 0: none.

    Returns
    -------
    list of ndarray of int64
        Indices of each batch's sequences, longest first; every index occurs once. The longest batch comes first, so
        that too little memory shows at the beginning.
    """
    sizes = np.asarray(lengths)
    order = np.lexsort((np.arange(len(sizes)), -sizes))
    batches: list[np.ndarray] = []
    start = 0
    while start < len(order):
        longest = max(1, int(sizes[order[start]]))
        rows = min(token_budget // longest, CACHED * max(token_budget, WRITTEN_AT_ONCE) // (cached + longest))
        rows = max(1, min(rows, token_budget // (_LOGITS * logits)) if logits else rows)
        batches.append(order[start : start + rows])
        start += rows
    return batches


def common_start(sequences: Sequence[np.ndarray]) -> int:
    """Length of the longest common prefix of the sequences; at least one is needed."""
    shortest = min(len(sequence) for sequence in sequences)
    starts = np.stack([sequence[:shortest] for sequence in sequences])
    differs = np.flatnonzero((starts != starts[0]).any(axis=0))
    return int(differs[0]) if len(differs) else shortest


def pad(sequences: Sequence[np.ndarray], pad_id: int) -> np.ndarray:
    """Stack sequences of ids into one int64 matrix of shape (rows, longest), padded on the right."""
    longest = max(len(sequence) for sequence in sequences)
    out = np.full((len(sequences), longest), pad_id, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        out[row, : len(sequence)] = sequence
    return out
