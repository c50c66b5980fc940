"""Concepts that are active in the same items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from competency_gaps.explorer.parts.sources import Sources

STRONGEST = 1000
"""Items of a concept among which its partners are looked for."""
LEAST_SHARED = 3
"""[ours] Two rare concepts that share one or two items by chance would have the largest index of all."""
_CANDIDATES = 64
_BATCH = 16_000_000
"""Concepts of items, with repetition, that are in memory at once."""

Partners = list[tuple[int, float]]


def coactive(sources: Sources, concepts: Sequence[int], strongest: Sequence[np.ndarray], count: int) -> list[Partners]:
    """Find the concepts whose sets of items are most alike.

    With ``A_c`` the kept items in which ``c`` is active, the Jaccard index of ``c`` and ``d`` is
    ``|A_c & A_d| / |A_c | A_d|``, over all items. Partners are sought among ``S``, at most 1,000 of the strongest items
    of ``c``: concepts active in at least 3 items of ``S``, without ``c`` itself and dense concepts. If ``S`` is all of
    ``A_c``, those of the highest index are given. Else the 64 of the highest estimate, for which ``|A_c & A_d|`` is
    taken to be as frequent in ``A_c`` as in ``S``, are compared by their exact index.

    Parameters
    ----------
    sources
        Of the run.
    concepts
        Concepts.
    strongest : sequence of ndarray of int
        ``S`` of each: rows of ``items.parquet``.
    count : int
        Most partners of each.

    Returns
    -------
    list of list of (int, float), one per concept
        At most ``count`` concepts with their index in (0, 1], highest first, then the lower number.
    """
    partners: list[Partners] = []
    for batch in _batches(sources, strongest):
        held = [strongest[i] for i in batch]
        rows = np.unique(np.concatenate(held)) if held else np.zeros(0, np.int64)
        indptr, indices = sources.run.item_rows.concepts(rows)
        for i, items in zip(batch, held, strict=True):
            places = np.searchsorted(rows, items)
            parts = [indices[a:b] for a, b in zip(indptr[places].tolist(), indptr[places + 1].tolist(), strict=True)]
            shared = np.bincount(np.concatenate(parts), minlength=len(sources.support)) if parts else np.zeros(1, int)
            partners.append(_partners(sources, concepts[i], shared, len(items), count))
    return partners


def _batches(sources: Sources, strongest: Sequence[np.ndarray]) -> Iterator[list[int]]:
    """Places of concepts whose items' rows fit into memory together."""
    batch: list[int] = []
    size = 0
    for i, items in enumerate(strongest):
        own = int(sources.run.item_rows.counts[items].sum(dtype=np.int64))
        if batch and size + own > _BATCH:
            yield batch
            batch, size = [], 0
        batch.append(i)
        size += own
    if batch:
        yield batch


def _partners(sources: Sources, concept: int, shared: np.ndarray, looked_at: int, count: int) -> Partners:
    """The partners of one concept; ``shared``: in how many of the items that were looked at each concept is active."""
    support, own = sources.support, int(sources.support[concept])
    others = np.flatnonzero(shared >= LEAST_SHARED)
    others = others[(others != concept) & ~sources.dense[others]]
    if not len(others):
        return []
    both = shared[others]
    if looked_at < own:
        likely = np.minimum(both * (own / looked_at), support[others])
        others = others[_first(others, likely / (own + support[others] - likely), _CANDIDATES)]
        active = np.zeros(sources.items.height, bool)
        active[sources.run.by_concept.items(concept)] = True
        both = np.array([np.count_nonzero(active[sources.run.by_concept.items(int(other))]) for other in others])
    index = both / (own + support[others] - both)
    best = _first(others, index, count)
    return list(zip(others[best].tolist(), index[best].tolist(), strict=True))


def _first(concepts: np.ndarray, index: np.ndarray, count: int) -> np.ndarray:
    """Places of the highest values, ties by the lower concept."""
    if len(index) > count:
        least = np.partition(index, len(index) - count)[len(index) - count]
        places = np.flatnonzero(index >= least)
    else:
        places = np.arange(len(index))
    return places[np.lexsort((concepts[places], -index[places]))][:count]
