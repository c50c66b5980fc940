"""Bootstrap over items: the games or judgements of one item are not independent, so whole items are drawn again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DRAWS = 1000


class Estimate(NamedTuple):
    """A figure with its interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        return self._asdict()


def drawn(items: int, draws: int, seed: int) -> np.ndarray:
    """How often each item is drawn: int64 of shape (draws, items), each row adding up to ``items``."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(items, np.full(items, 1 / items), size=draws)


def ratio(
    top: np.ndarray, bottom: np.ndarray, *, draws: int = DRAWS, level: float = 0.95, seed: int = 0
) -> Estimate | None:
    """``sum(top) / sum(bottom)`` with the percentile interval over drawn items.

    Parameters
    ----------
    top, bottom : ndarray of float64 of shape (items,)
        ``bottom`` is not negative; with ones it is the mean.

    Returns
    -------
    Estimate or None
        None where ``bottom`` adds up to 0. Draws in which it does are left out.
    """
    total = float(bottom.sum())
    if total <= 0:
        return None
    value = float(top.sum()) / total
    counts = drawn(len(top), draws, seed)
    below = counts @ bottom
    values = (counts @ top)[below > 0] / below[below > 0]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2]) if len(values) else (value, value)
    return Estimate(value, float(low), float(high))


def mean(values: np.ndarray, *, draws: int = DRAWS, level: float = 0.95, seed: int = 0) -> Estimate | None:
    """Mean over items with its interval; None without items."""
    return ratio(values, np.ones(len(values)), draws=draws, level=level, seed=seed)
