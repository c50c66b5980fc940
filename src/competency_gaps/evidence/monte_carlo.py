"""Monte Carlo permutation tests, for concepts whose closed form is poor.

All concepts share the draws: each draw permutes the outcomes of each block once, so a batch of draws is one
sparse-times-dense product.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

DRAWS = 20_000
"""Most permutations."""
FEWEST = 2_000
"""Fewest permutations."""
WORK = 100_000_000
"""About how many outcomes are permuted in all: a suite of more than 5,000 clusters gets fewer draws."""
BATCH = 2_000_000
"""Permuted outcomes in memory per thread."""
WORKERS = 4


def drawn_tails(
    weights: sp.csr_array, outcome: np.ndarray, block: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Tails of T by permutation of the outcomes within each block.

    Parameters
    ----------
    weights : csr_array of shape (asked, K)
        The concepts' weights in the units.
    outcome : ndarray of float of shape (K,)
    block : ndarray of int of shape (K,)
    seed
        Seed of the draws.

    Returns
    -------
    low, high : ndarray of float64 of shape (asked,)
        ``(1 + draws as extreme) / (1 + draws)``: valid p-values, never 0.
    draws : int
        Permutations drawn.
    """
    return shared_tails([weights], [outcome], block, seed)[0]


def shared_tails(
    weights: Sequence[sp.csr_array], outcomes: Sequence[np.ndarray], block: np.ndarray, seed: int
) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """Tails of T for several outcomes of the same units, which share their permutations.

    Parameters
    ----------
    weights, outcomes
        For each outcome: the weights of its concepts in the units, and its values. At least one.
    block, seed
        As of :func:`drawn_tails`.

    Returns
    -------
    list of tuple
        For each outcome, as :func:`drawn_tails` gives it.
    """
    order = np.argsort(block, kind="stable")
    places = [p for p in np.split(order, np.flatnonzero(np.diff(block[order])) + 1) if len(p) > 1]
    units = sum(len(place) for place in places)
    numbers = np.split(np.arange(units), np.cumsum([len(place) for place in places])[:-1]) if places else []
    tested = [_tested(own, outcome, places) for own, outcome in zip(weights, outcomes, strict=True)]
    draws = int(np.clip(WORK // max(1, units), FEWEST, DRAWS))
    size = max(1, BATCH // max(1, units))  # of the units alone, so that outcomes do not change each other's draws

    def batch(start: int) -> list[tuple[np.ndarray, np.ndarray]]:
        count = min(size, draws - start)
        rng = np.random.Generator(np.random.SFC64((seed, start)))  # a quarter faster than the default
        moved = [rng.permuted(np.broadcast_to(own, (count, len(own))), axis=1).T for own in numbers]
        place = np.concatenate(moved) if moved else np.zeros((0, count), np.int64)
        return [own.extreme(place) for own in tested]

    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        counts = list(pool.map(batch, range(0, draws, size)))
    tails = []
    for of_outcome in zip(*counts, strict=True):
        lower, higher = (np.sum(side, axis=0) for side in zip(*of_outcome, strict=True))
        tails.append(((1 + lower) / (1 + draws), (1 + higher) / (1 + draws), draws))
    return tails


class _Tested(NamedTuple):
    """Concepts whose T is compared with that of permuted outcomes. Units of blocks of at least two, block by block."""

    weights: sp.csr_array
    """Shape (asked, units)."""
    values: np.ndarray
    """float64 of shape (units,): outcomes about their block's mean."""
    observed: np.ndarray
    """float64 of shape (asked,): T."""
    slack: np.ndarray
    """float64 of shape (asked,): sums in another order differ by rounding; equal values of T must count as equal."""

    def extreme(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Count the draws that are as low, and as high; ``place``: int of shape (units, draws)."""
        values = self.values.take(place)
        count = max(1, BATCH // max(1, values.shape[1]))
        low, high = (np.zeros(len(self.observed), np.int64) for _ in range(2))
        for first in range(0, len(self.observed), count):
            part = slice(first, first + count)
            t, observed, slack = self.weights[part] @ values, self.observed[part], self.slack[part]
            low[part] = (t <= (observed + slack)[:, None]).sum(axis=1)
            high[part] = (t >= (observed - slack)[:, None]).sum(axis=1)
        return low, high


def _tested(weights: sp.csr_array, outcome: np.ndarray, places: list[np.ndarray]) -> _Tested:
    parts = [sp.csr_array(weights[:, place], dtype=np.float64) for place in places]
    values = [outcome[place] - outcome[place].mean() for place in places]
    asked = weights.shape[0]
    observed = sum((part @ o for part, o in zip(parts, values, strict=True)), np.zeros(asked))
    slack = 1e-9 * sum((np.asarray(abs(part).sum(axis=1)).ravel() for part in parts), np.zeros(asked))
    joined = sp.csr_array(sp.hstack(parts, format="csr")) if parts else sp.csr_array((asked, 0))
    return _Tested(joined, np.concatenate(values) if values else np.zeros(0), observed, slack)
