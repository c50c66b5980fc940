"""A run's benchmarks beside each other: what each covers, how far two overlap, what each adds."""

from __future__ import annotations

import numpy as np

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.records.run import Overlap
from competency_gaps.explorer.parts.redundancy import Added, redundancy
from competency_gaps.once import made_once


class Suite:
    """What is compared between benchmarks."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @made_once
    def covered(self) -> np.ndarray:
        """bool of shape (benchmarks, concepts): ranked concepts that each benchmark covers."""
        ranked = self._context.concepts["ranked"].to_numpy()
        rows = [
            (self._context.benchmark_concepts(place, ["chi_bench"])["chi_bench"].fill_null(0.0) > 0).to_numpy() & ranked
            for place in range(len(self._context.names))
        ]
        return np.stack(rows) if rows else np.zeros((0, len(ranked)), bool)

    @made_once
    def order(self) -> list[Added]:
        """Benchmarks in the order of what they add."""
        return redundancy(self.covered, self._context.names)

    @made_once
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
