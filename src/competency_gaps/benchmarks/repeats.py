"""Items that are no independent evidence of one another: repeats in a suite, and the clusters that they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from competency_gaps.benchmarks.item import Benchmark, Item

Kind = Literal["given", "equal", "near"]
"""What binds an item to others: its source, an equal question, or nearly the same text."""


@dataclass(frozen=True)
class Repeats:
    """The clusters of a suite."""

    clusters: dict[str, NDArray[np.int32]]
    """Benchmark -> int32 of shape (items,): cluster of each item, numbered from 0 over the whole suite."""
    kinds: dict[str, tuple[Kind | None, ...]]
    """Benchmark -> what binds each item to its cluster; None: it is alone."""

    def columns(self, names: Iterable[str]) -> tuple[list[int], list[Kind | None]]:
        """Cluster and kind of every item, benchmark after benchmark."""
        names = list(names)
        return [c for name in names for c in self.clusters[name].tolist()], [k for n in names for k in self.kinds[n]]


def find_clusters(suite: Sequence[Benchmark]) -> Repeats:
    """Put items that are no independent evidence into clusters."""
    items = [item for benchmark in suite for item in benchmark.items]
    keys: dict[tuple[str, ...], int] = {}
    content = np.array([keys.setdefault(_content(item), len(keys)) for item in items], dtype=np.int64)
    graph = sp.coo_array(
        (np.ones(len(items)), (np.arange(len(items)), len(items) + content)), shape=(2 * len(items),) * 2
    )
    _, numbers = connected_components(graph, directed=False)
    clusters = np.unique(numbers[: len(items)], return_inverse=True)[1].astype(np.int32)
    equal = np.bincount(content)[content] > 1
    ends = np.cumsum([len(benchmark.items) for benchmark in suite])[:-1]
    kinds: list[Kind | None] = ["equal" if one else None for one in equal]
    starts = [0, *ends.tolist()]
    return Repeats(
        {benchmark.name: part for benchmark, part in zip(suite, np.split(clusters, ends), strict=True)},
        {b.name: tuple(kinds[start : start + len(b.items)]) for b, start in zip(suite, starts, strict=True)},
    )


def _content(item: Item) -> tuple[str, ...]:
    return (
        " ".join(item.prompt.split()).casefold(),
        *sorted(" ".join(c.split()).casefold() for c in item.choices or ()),
    )
