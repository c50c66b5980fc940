"""What each benchmark adds to a suite, and which one it is nearest to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Added:
    """A benchmark's place in the order of what they add."""

    benchmark: int
    adds: int
    """Concepts that it covers and none before it does."""
    covered: int
    """Concepts that it covers."""
    cumulative: int
    """Concepts that it and those before it cover."""


Matrix = Sequence[Sequence[float | None]]


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
