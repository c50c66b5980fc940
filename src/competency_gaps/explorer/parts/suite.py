"""A run's benchmarks beside each other: what each covers, how far two overlap, what each adds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.records.run import Added, Overlap

Matrix = Sequence[Sequence[float | None]]


class Suite:
    """What is compared between benchmarks."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @cached_property
    def covered(self) -> np.ndarray:
        """bool of shape (benchmarks, concepts): ranked concepts that each benchmark covers."""
        ranked = self._context.concepts["ranked"].to_numpy()
        rows = [
            (self._context.benchmark_concepts(place, ["chi_bench"])["chi_bench"].fill_null(0.0) > 0).to_numpy() & ranked
            for place in range(len(self._context.names))
        ]
        return np.stack(rows) if rows else np.zeros((0, len(ranked)), bool)

    @cached_property
    def order(self) -> list[Added]:
        """Benchmarks in the order of what they add."""
        return redundancy(self.covered, self._context.names)

    @cached_property
    def overlap(self) -> Overlap:
        """How far two benchmarks cover the same concepts."""
        place, size = self._context.place, len(self._context.names)
        jaccard, cosine, spearman = ([[None] * size for _ in range(size)] for _ in range(3))
        matrices = Overlap(jaccard, cosine, spearman, [[0] * size for _ in range(size)])
        # A pair may be listed once or in both orders.
        for row in self._context.run.overlap.iter_rows(named=True):
            a, b = place[row["benchmark_a"]], place[row["benchmark_b"]]
            for name, matrix in vars(matrices).items():
                matrix[a][b] = matrix[b][a] = row[name]
        return matrices


class Twin(NamedTuple):
    """The benchmark whose profile is nearest to another's."""

    benchmark: int
    jaccard: float
    """Of their covered concepts, in [0, 1]."""
    cosine: float | None
    """Of their coverage, in [0, 1]; None: one covers nothing."""


def redundancy(covered: np.ndarray, names: list[str]) -> list[Added]:
    """Order benchmarks so that each adds most of what those before it leave uncovered. Ties go by name.

    Parameters
    ----------
    covered : ndarray of bool of shape (benchmarks, concepts)
        Which concepts each benchmark covers, among those that count.
    names : list of str
    """
    left = sorted(range(len(names)), key=lambda place: names[place])
    seen = np.zeros(covered.shape[1], bool)
    order = []
    while left:
        adds = [int((covered[place] & ~seen).sum()) for place in left]
        best = int(np.argmax(adds))  # the first of several that add as much
        place = left.pop(best)
        seen |= covered[place]
        order.append(Added(place, adds[best], int(covered[place].sum()), int(seen.sum())))
    return order


def lost_without(covered: np.ndarray) -> np.ndarray:
    """Count the concepts that only one benchmark covers.

    Parameters
    ----------
    covered : ndarray of bool of shape (benchmarks, concepts)

    Returns
    -------
    ndarray of int64 of shape (benchmarks,)
        How many concepts the suite would lose with each benchmark.
    """
    alone = covered.sum(axis=0) == 1
    return (covered & alone).sum(axis=1).astype(np.int64)


def twin(place: int, jaccard: Matrix, cosine: Matrix) -> Twin | None:
    """Find the benchmark that covers most nearly the same concepts; None where there is none to compare with."""
    known = [(value, other) for other, value in enumerate(jaccard[place]) if other != place and value is not None]
    if not known:
        return None
    value, other = max(known, key=lambda pair: (pair[0], -pair[1]))
    return Twin(other, value, cosine[place][other])
