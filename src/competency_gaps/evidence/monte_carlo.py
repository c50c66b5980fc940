"""Monte Carlo permutation tests, for concepts whose closed form is poor.

All concepts share the draws: each draw permutes the outcomes of each block once, so a batch of draws is one
sparse-times-dense product.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

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
    order = np.argsort(block, kind="stable")
    places = [p for p in np.split(order, np.flatnonzero(np.diff(block[order])) + 1) if len(p) > 1]
    parts = [sp.csr_array(weights[:, place], dtype=np.float64) for place in places]
    values = [outcome[place] - outcome[place].mean() for place in places]
    asked = weights.shape[0]
    observed = sum((part @ o for part, o in zip(parts, values, strict=True)), np.zeros(asked))
    # Sums in another order differ by rounding; equal values of T must still count as equal.
    slack = 1e-9 * sum((np.asarray(abs(part).sum(axis=1)).ravel() for part in parts), np.zeros(asked))
    units = sum(len(place) for place in places)
    draws = int(np.clip(WORK // max(1, units), FEWEST, DRAWS))
    size = max(1, BATCH // max(1, units, asked))
    joined = sp.csr_array(sp.hstack(parts, format="csr")) if parts else sp.csr_array((asked, 0))

    def batch(start: int) -> tuple[np.ndarray, np.ndarray]:
        count = min(size, draws - start)
        rng = np.random.Generator(np.random.SFC64((seed, start)))  # a quarter faster than the default
        permuted = [rng.permuted(np.broadcast_to(o, (count, len(o))), axis=1).T for o in values]
        t = joined @ np.concatenate(permuted) if parts else np.zeros((asked, count))
        return (t <= (observed + slack)[:, None]).sum(axis=1), (t >= (observed - slack)[:, None]).sum(axis=1)

    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        counts = list(pool.map(batch, range(0, draws, size)))
    lower, higher = (np.sum(side, axis=0) for side in zip(*counts, strict=True))
    return (1 + lower) / (1 + draws), (1 + higher) / (1 + draws), draws
