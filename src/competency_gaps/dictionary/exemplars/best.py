"""The best few windows of every concept, kept while texts stream by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PENDING = 200_000
"""Candidates that are gathered before they are sorted in."""


@dataclass(frozen=True)
class Candidates:
    """Windows in which concepts are active, one row per pair. Arrays of shape (rows,)."""

    concept: np.ndarray
    """int32."""
    key: np.ndarray
    """float64: what the rows of a concept compete by; the highest stay."""
    value: np.ndarray
    """float32: the pair's rank value."""
    window: np.ndarray
    """int64: number of the window, in the order of the texts."""
    peak: np.ndarray
    """float32, > 0: highest activation in the window."""
    shape: np.ndarray
    """float16 of shape (rows, window): each token's activation as a part of ``peak``, in [0, 1]."""

    def __len__(self) -> int:
        return len(self.concept)

    def take(self, rows: np.ndarray) -> Candidates:
        """Some of the rows, by mask or index."""
        return Candidates(*(getattr(self, name)[rows] for name in FIELDS))

    @staticmethod
    def empty(window: int) -> Candidates:
        """No rows."""
        types = (np.int32, np.float64, np.float32, np.int64, np.float32)
        concept, key, value, number, peak = (np.zeros(0, dtype) for dtype in types)
        return Candidates(concept, key, value, number, peak, np.zeros((0, window), np.float16))

    @staticmethod
    def join(parts: list[Candidates]) -> Candidates:
        """All rows of several."""
        return Candidates(*(np.concatenate([getattr(part, name) for part in parts]) for name in FIELDS))


FIELDS = ("concept", "key", "value", "window", "peak", "shape")


class BestOf:
    """The ``keep`` rows of highest key of each concept; of equal keys the earliest windows.

    What is kept depends on the rows alone, not on how they were cut into batches. Memory: at most
    ``concepts * keep + PENDING`` rows, and one batch.
    """

    def __init__(self, concepts: int, keep: int, window: int) -> None:
        self.keep = keep
        self._floor = np.full(concepts, -np.inf)
        self._kept = Candidates.empty(window)
        self._pending: list[Candidates] = []

    def wanted(self, concept: np.ndarray, key: np.ndarray) -> np.ndarray:
        """Which rows can still come in: bool of shape (rows,)."""
        return key >= self._floor[concept]

    def add(self, rows: Candidates) -> None:
        """Add rows."""
        self._pending.append(rows)
        if sum(len(part) for part in self._pending) > PENDING:
            self._sort_in()

    def rows(self) -> Candidates:
        """All kept rows: by concept, then the best first."""
        self._sort_in()
        return self._kept

    def restore(self, rows: Candidates) -> None:
        """Go on from rows that :meth:`rows` gave."""
        self._pending = [rows]
        self._sort_in()

    def _sort_in(self) -> None:
        if not self._pending:
            return
        rows = Candidates.join([self._kept, *self._pending])
        self._pending = []
        order = np.lexsort((rows.window, -rows.key, rows.concept))
        concept = rows.concept[order]
        first = np.searchsorted(concept, concept, side="left")
        rank = np.arange(len(order)) - first
        self._kept = rows.take(order[rank < self.keep])
        full = rank == self.keep - 1
        self._floor[concept[full]] = rows.key[order[full]]


def lottery(window: np.ndarray, concept: np.ndarray | int = 0, *, seed: int = 0) -> np.ndarray:
    """A number in [0, 1) for each pair, the same at every run: whoever keeps the highest keeps a random sample.

    The finaliser of the splitmix64 generator over the pair.
    """
    with np.errstate(over="ignore"):
        x = np.asarray(window, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = x ^ (np.asarray(concept, np.uint64) + np.uint64(seed)) * np.uint64(0xD1B54A32D192ED03)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(11)).astype(np.float64) / float(1 << 53)
