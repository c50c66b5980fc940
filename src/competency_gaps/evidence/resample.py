"""Figures of judged items with their intervals.

Means of scores in [0, 1] have the interval of ``evidence.interval``, which keeps its width even if the items are few or
unanimous, where a bootstrap would have none. Other figures are bootstrapped over whole items, as the games or
judgements of an item are not independent.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from competency_gaps.evidence.interval import CHI_MODEL_PRIOR, binomial_variance, wilson

DRAWS = 1000


class Estimate(NamedTuple):
    """A figure with its interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        return self._asdict()

    def scaled(self, factor: float, shift: float) -> Estimate:
        """``factor`` times this plus ``shift``; the factor is positive."""
        return Estimate(*(factor * value + shift for value in self))


def drawn(items: int, draws: int, seed: int) -> np.ndarray:
    """How often each item is drawn: int64 of shape (draws, items), each row adding up to ``items``."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(items, np.full(items, 1 / items), size=draws)


def mean(values: np.ndarray, weights: np.ndarray | None = None, *, level: float = 0.95) -> Estimate | None:
    """Weighted mean over items, with its interval as of a concept's ``chi_model``.

    0/1 values of equal weight have Wilson's interval. For others the ratio estimator's variance, shrunk towards the
    binomial one by ``CHI_MODEL_PRIOR`` pseudo-items, replaces ``p (1 - p) / n`` in it.

    Parameters
    ----------
    values : ndarray of float64 of shape (items,), in [0, 1]
    weights : ndarray of float64 of shape (items,), positive; None: equal

    Returns
    -------
    Estimate or None
        None without items.
    """
    if not len(values):
        return None
    weight = np.ones(len(values)) if weights is None else weights
    value = float(np.clip((weight * values).sum() / weight.sum(), 0.0, 1.0))
    trials = float(weight.sum() ** 2 / (weight**2).sum())
    if weights is not None or not np.isin(values, (0.0, 1.0)).all():
        whole = float(binomial_variance(np.asarray(value), np.asarray(trials), level))
        observed = float((weight**2 * (values - value) ** 2).sum() / (weight**2).sum())
        spread = value * (1 - value)
        part = min(1.0, observed / spread) if spread > 1e-12 else 1.0
        gradedness = (len(values) * part + 1) / (len(values) + 1)
        variance = (trials * observed + CHI_MODEL_PRIOR * gradedness * whole) / (trials + CHI_MODEL_PRIOR)
        trials *= whole / variance
    low, high = wilson(np.asarray(value), np.asarray(trials), level)
    return Estimate(value, float(low), float(high))
