"""A random sample of windows with all that is active in each: where hard negatives and co-firing come from."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class PoolRows:
    """The sampled windows, in the order of the texts."""

    window: np.ndarray
    """int64 of shape (windows,)."""
    peaks: sp.csr_array
    """float32 of shape (windows, concepts): highest activation of each concept in each window."""


class Pool:
    """The windows whose lottery numbers are highest, at most ``size`` of them."""

    def __init__(self, concepts: int, size: int) -> None:
        self.concepts = concepts
        self.size = size
        self._heap: list[tuple[float, int, np.ndarray, np.ndarray]] = []

    def add(self, window: int, number: float, concept: np.ndarray, peak: np.ndarray) -> None:
        """Offer a window with its active concepts."""
        if len(self._heap) < self.size:
            heapq.heappush(self._heap, (number, window, concept.astype(np.int32), peak))
        elif number > self._heap[0][0]:
            heapq.heapreplace(self._heap, (number, window, concept.astype(np.int32), peak))

    def rows(self) -> PoolRows:
        """The sample."""
        held = sorted(self._heap, key=lambda one: one[1])
        indptr = np.cumsum([0, *(len(one[2]) for one in held)])
        concept = np.concatenate([one[2] for one in held]) if held else np.zeros(0, np.int32)
        peak = np.concatenate([one[3] for one in held]) if held else np.zeros(0, np.float32)
        peaks = sp.csr_array((peak.astype(np.float32), concept, indptr), shape=(len(held), self.concepts))
        return PoolRows(np.asarray([one[1] for one in held], np.int64), peaks)

    def restore(self, rows: PoolRows, numbers: np.ndarray) -> None:
        """Go on from what :meth:`rows` gave, with each window's lottery number."""
        parts = zip(rows.peaks.indptr[:-1], rows.peaks.indptr[1:], strict=True)
        self._heap = [
            (float(number), int(window), rows.peaks.indices[a:b].astype(np.int32), rows.peaks.data[a:b])
            for number, window, (a, b) in zip(numbers, rows.window, parts, strict=True)
        ]
        heapq.heapify(self._heap)
