"""Permutation by drawing, where the closed form is poor.

Shared draws: the scores of each benchmark are permuted once per draw for all concepts in question, so that a block of
draws is one sparse-times-dense product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from competency_gaps.metrics.sums import CHUNK

DRAWS = 20_000
"""Permutations, at most."""
FEWEST = 2_000
"""Permutations, at least."""
WORK = 200_000_000
"""Scores permuted in all, about: a suite of more than 10,000 items gets fewer draws."""
BLOCK = 4_000_000
"""Permuted scores in memory at once."""


@dataclass(frozen=True)
class ItemSample:
    """The items behind the sums, for who must draw. N items, in any order."""

    scores: np.ndarray
    """float64 of shape (N,); NaN = unscored or excluded."""
    benchmark: np.ndarray
    """int64 of shape (N,): number of each item's benchmark."""
    rows: Callable[[np.ndarray], sp.csr_array]
    """Gives the CAS of the concepts asked for: csr_array of shape (asked, N)."""


def sample_of(cas: sp.csr_array, scores: np.ndarray, benchmark: np.ndarray) -> ItemSample:
    """Make the sample of plain arrays: CAS of shape (N, concepts), scores and numbers of benchmarks."""

    def rows(concepts: np.ndarray) -> sp.csr_array:
        """Pick the concepts out of the rows, a chunk at a time: turning the whole matrix about would double it."""
        place = np.full(cas.shape[1], -1, np.int32)
        place[concepts] = np.arange(len(concepts))
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for start in range(0, cas.nnz, CHUNK):
            part = slice(start, start + CHUNK)
            at = place[cas.indices[part]]
            kept = np.flatnonzero(at >= 0)
            items = np.searchsorted(cas.indptr, start + kept, side="right") - 1
            found.append((cas.data[part][kept], at[kept], items.astype(np.int32)))
        if not found:
            return sp.csr_array((len(concepts), cas.shape[0]))
        data, concept, item = (np.concatenate(column) for column in zip(*found, strict=True))
        return sp.csr_array((data, (concept, item)), shape=(len(concepts), cas.shape[0]))

    return ItemSample(np.asarray(scores, np.float64), np.asarray(benchmark, np.int64), rows)


def drawn_tails(
    sample: ItemSample, concepts: np.ndarray, benchmarks: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Tails of T by permutation of the scores within each benchmark.

    Parameters
    ----------
    concepts : ndarray of int of shape (asked,)
    benchmarks : ndarray of int
        Numbers of the benchmarks that count.

    Returns
    -------
    low, high : ndarray of float64 of shape (asked,)
        ``(1 + draws as extreme) / (1 + draws)``: valid p-values, never 0.
    draws : int
        Permutations drawn.
    """
    kept = np.isin(sample.benchmark, benchmarks) & ~np.isnan(sample.scores)
    places = [np.flatnonzero(kept & (sample.benchmark == b)) for b in benchmarks]
    places = [place for place in places if len(place) > 1]
    weights = sample.rows(concepts)
    parts = [sp.csr_array(weights[:, place], dtype=np.float64) for place in places]
    scores = [sample.scores[place] - sample.scores[place].mean() for place in places]
    observed = np.sum([part @ s for part, s in zip(parts, scores, strict=True)], axis=0)
    # Sums in another order differ by rounding: an equal T must count as equal.
    slack = 1e-9 * np.sum([abs(part).sum(axis=1) for part in parts], axis=0)
    items = sum(len(place) for place in places)
    draws = int(np.clip(WORK // max(1, items), FEWEST, DRAWS))
    rng = np.random.default_rng(seed)
    lower, higher = np.zeros(len(concepts)), np.zeros(len(concepts))
    size = max(1, BLOCK // max(1, items, len(concepts)))
    for start in range(0, draws, size):
        count = min(size, draws - start)
        t = np.zeros((len(concepts), count))
        for part, s in zip(parts, scores, strict=True):
            t += part @ rng.permuted(np.broadcast_to(s, (count, len(s))), axis=1).T
        lower += (t <= (observed + slack)[:, None]).sum(axis=1)
        higher += (t >= (observed - slack)[:, None]).sum(axis=1)
    return (1 + lower) / (1 + draws), (1 + higher) / (1 + draws), draws
