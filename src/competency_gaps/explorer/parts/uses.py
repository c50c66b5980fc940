"""Items as concepts see them: the strongest, the best and the worst of each, and how its CAS are spread."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from competency_gaps.explorer.parts.records.details import Histogram
from competency_gaps.explorer.parts.sources import Sources
from competency_gaps.metrics.suite import saliency

BINS = 20


@dataclass(frozen=True)
class Uses:
    """All items of some concepts, one concept after the other."""

    start: np.ndarray
    """int64 of shape (concepts + 1,): where each concept's items start below."""
    item: np.ndarray
    """int32: rows of ``items.parquet``."""
    cas: np.ndarray
    """float32, > 0."""
    peak: np.ndarray
    """int32 of shape (n, 2): character range of the strongest token in the item's text."""
    saliency: np.ndarray
    """float64, in [0, 1]."""
    score: np.ndarray
    """float64: NaN = unscored."""
    rank: np.ndarray
    """int32: settles ties."""

    @staticmethod
    def of(sources: Sources, concepts: range) -> Uses:
        """Read the items of concepts."""
        column = sources.run.by_concept.columns(concepts.start, concepts.stop)
        support = sources.support[concepts.start : concepts.stop]
        tau = np.repeat(sources.tau[concepts.start : concepts.stop], support)
        return Uses(
            np.concatenate([[0], np.cumsum(support)]),
            column.item,
            column.cas,
            column.peak,
            saliency(column.cas, tau),
            sources.scores[column.item],
            sources.rank[column.item],
        )

    @property
    def concept(self) -> np.ndarray:
        """int64: place of the concept that each row belongs to."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))

    def strongest(self, count: int) -> list[np.ndarray]:
        """Per concept, places of the items of the highest CAS; ties by item_id."""
        return self._first(np.arange(len(self.item)), (self.rank, -self.cas), count)

    def best(self, count: int) -> list[np.ndarray]:
        """Per concept, places of the scored items of the highest score; ties by the higher CAS, then item_id."""
        scored = np.flatnonzero(~np.isnan(self.score))
        return self._first(scored, (self.rank, -self.cas, -self.score), count)

    def worst(self, count: int) -> list[np.ndarray]:
        """Per concept, places of the scored items of the lowest score; ties by the higher CAS, then item_id."""
        scored = np.flatnonzero(~np.isnan(self.score))
        return self._first(scored, (self.rank, -self.cas, self.score), count)

    def _first(self, places: np.ndarray, keys: tuple[np.ndarray, ...], count: int) -> list[np.ndarray]:
        concept = self.concept[places]
        order = np.lexsort((*(key[places] for key in keys), concept))
        ends = np.searchsorted(concept[order], np.arange(len(self.start)))
        return [places[order[a : min(b, a + count)]] for a, b in pairwise(ends)]

    def histograms(self) -> list[Histogram]:
        """Per concept: ``max`` of its CAS (0: never active), ``counts`` and mean ``score`` of the scored items per bin.

        20 bins of equal width from 0 to ``max``; a value on an edge belongs to the upper bin, ``max`` to the last.
        Without scored items the score is None.
        """
        number = len(self.start) - 1
        highest = np.zeros(number)
        active = np.diff(self.start) > 0
        if active.any():
            highest[active] = np.maximum.reduceat(self.cas, self.start[:-1][active])
        concept = self.concept
        place = np.minimum((self.cas.astype(np.float64) / highest[concept] * BINS).astype(np.int64), BINS - 1)
        bins = concept * BINS + place
        scored = ~np.isnan(self.score)

        def sums(keys: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
            return np.bincount(keys, weights, minlength=number * BINS).reshape(number, BINS)

        counts, answered = sums(bins), sums(bins[scored])
        total = sums(bins[scored], self.score[scored])
        mean = np.divide(total, answered, out=np.full(total.shape, np.nan), where=answered > 0)
        return [
            Histogram(
                max=float(high),
                counts=row.tolist() if high else [],
                score=[None if np.isnan(value) else value for value in means.tolist()] if high else [],
            )
            for high, row, means in zip(highest, counts, mean, strict=True)
        ]
