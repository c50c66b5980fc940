"""What evidence asks of an item: one number, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["score", "peers", "difference", "parsed"]


@dataclass(frozen=True)
class Outcome:
    """One number per item. N items.

    ``score`` is how well the model did; ``peers`` is its score less what models at its level make of the item;
    ``difference`` is its score less another model's; ``parsed`` is 1 where an answer got a score and 0 where none could
    be read from it.
    """

    kind: Kind
    model: str
    """Name of the model that was scored."""
    values: np.ndarray
    """float64 of shape (N,); NaN = unscored."""
    against: tuple[str, ...] = ()
    """The peers, or the other model; empty for a score."""

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest value that is possible: 0 and 1 for scores, else symmetric about 0."""
        if self.kind in ("score", "parsed"):
            return 0.0, 1.0
        largest = float(np.nanmax(np.abs(self.values), initial=1.0))
        return -largest, largest


def difference(first: Outcome, second: Outcome) -> Outcome:
    """``s_A(x) - s_B(x)`` of two scores on the same items; unscored where either is."""
    return Outcome("difference", first.model, first.values - second.values, (second.model,))


WITHIN = 0.12
"""Most that a peer's mean score may differ from the model's."""
FARTHEST = 0.25
"""Most that the peers' means may differ from the model's on average: beyond it what is hard for everybody is found as a
weakness in more than 1 of 20 worlds without one (``validation/synthetic_peers.py``)."""
SHARED = 100
"""Items that a peer must share with the model; half of the model's, where it has fewer than twice as many."""
NEAREST = 3
"""Models that are taken where fewer lie within."""
MOST = 8
"""Most peers: farther models of another kind blur what is the model's own."""
FEWEST = 2
"""Fewest peers: with a single one its noise cannot be told from the items' difficulty."""
STEEPEST = 3.0
"""Largest slope."""
TURNS = 200
"""Most turns in which the peers' levels and the items' effects are fitted."""


@dataclass(frozen=True)
class Expected:
    """What peers make of the items. N items."""

    values: np.ndarray
    """float64 of shape (N,): the expected score; it may leave [0, 1] by the shift to the model's level. NaN where no
    peer or not the model is scored in the item or its benchmark."""
    slopes: dict[int, float]
    """By number of the benchmark: how much the model's scores change with the peers'."""


def choose_peers(scores: np.ndarray, model: int) -> np.ndarray:
    """Find the models of a model's level.

    Parameters
    ----------
    scores : ndarray of float64 of shape (models, N)
        In [0, 1]; NaN = unscored.
    model
        Row of the model.

    Returns
    -------
    ndarray of int64 of shape (peers,)
        Rows of those whose mean over the items scored for both lies within ``WITHIN`` of the model's, the nearest
        first and at most ``MOST``; the ``NEAREST`` nearest where fewer do. Models that share fewer than ``SHARED``
        items are none.
    """
    away = distances(scores, model)
    order = np.argsort(away, kind="stable")[: int(np.isfinite(away).sum())]
    near = order[away[order] <= WITHIN]
    return np.asarray(near[:MOST] if len(near) >= NEAREST else order[:NEAREST], np.int64)


def distances(scores: np.ndarray, model: int) -> np.ndarray:
    """Give how far each model's mean lies from a model's, over the items scored for both.

    Parameters
    ----------
    scores, model
        As of :func:`choose_peers`.

    Returns
    -------
    ndarray of float64 of shape (models,)
        In [0, 1]; infinite for the model itself and for those that share too few items with it.
    """
    both = ~np.isnan(scores) & ~np.isnan(scores[model])
    shared = both.sum(axis=1)
    away = np.full(len(scores), np.inf)
    known = shared >= max(1, min(SHARED, shared[model] / 2))
    difference = np.where(both, scores - scores[model], 0.0).sum(axis=1)
    away[known] = np.abs(difference[known] / shared[known])
    away[model] = np.inf
    return away


def expected_scores(scores: np.ndarray, model: int, peers: np.ndarray, group: np.ndarray) -> Expected:
    """Give the score that peers let expect of a model on each item.

    Parameters
    ----------
    scores : ndarray of float64 of shape (models, N)
        In [0, 1]; NaN = unscored.
    model
        Row of the model.
    peers
        int64: rows of its peers, at least ``FEWEST``.
    group : ndarray of int64 of shape (N,)
        Number of each item's benchmark.
    """
    values, slopes = np.full(scores.shape[1], np.nan), {}
    for number in np.unique(group).tolist():
        place = np.flatnonzero(group == number)
        own, others = scores[model, place], scores[np.ix_(peers, place)]
        others = others[~np.isnan(others).all(axis=1)]
        if len(others) < FEWEST or np.isnan(own).all():
            continue
        levels = _levels(others)
        above = others - levels
        known = ~np.isnan(above)
        mean = _mean(np.where(known, above, 0.0), known, axis=0)[0] + float(levels.mean())
        mean[~known.any(axis=0)] = np.nan
        both = ~np.isnan(own) & ~np.isnan(mean)
        if both.any():
            slopes[number] = _slope(own[both], mean[both], above[:, both])
            values[place] = own[both].mean() + slopes[number] * (mean - mean[both].mean())
    return Expected(values, slopes)


def _levels(others: np.ndarray) -> np.ndarray:
    """Level of each peer in scores that are a peer's level plus an item's effect (least squares, by turns).

    A peer that is scored on hard items alone is not weak. Shape (peers, 1); the items' effects average to 0.
    """
    known = ~np.isnan(others)
    level = np.nanmean(others, axis=1, keepdims=True)
    for _ in range(TURNS):
        effect = _mean(np.where(known, others - level, 0.0), known, axis=0)
        fitted = _mean(np.where(known, others - effect, 0.0), known, axis=1)
        moved, level = float(np.abs(fitted - level).max()), fitted
        if moved < 1e-9:
            break
    effect = _mean(np.where(known, others - level, 0.0), known, axis=0)
    return level + effect[known.any(axis=0)[None, :]].mean()


def _mean(filled: np.ndarray, known: np.ndarray, axis: int) -> np.ndarray:
    """Mean of the known values; 0 where there are none."""
    return np.asarray(filled.sum(axis=axis, keepdims=True) / np.maximum(known.sum(axis=axis, keepdims=True), 1))


def _slope(own: np.ndarray, mean: np.ndarray, above: np.ndarray) -> float:
    """Regress a model on its peers' true mean; in [0, ``STEEPEST``]. ``above``: the peers' scores less their levels.

    The slope is drawn towards 1, the less so the better the variance of the true mean is known.
    """
    common, error = _common_variance(above)
    if len(own) < 2 or common <= 0:
        return 1.0
    raw = float(np.cov(own, mean)[0, 1]) / common
    known = common**2 / (common**2 + error**2)
    return float(np.clip(1 + known * (raw - 1), 0.0, STEEPEST))


def _common_variance(above: np.ndarray) -> tuple[float, float]:
    """Variance over items of the peers' true mean: the mean product of two peers' scores, and its standard error."""
    known = ~np.isnan(above)
    centred = np.where(known, above, 0.0)
    pairs = known.sum(axis=0) * (known.sum(axis=0) - 1)
    product = (centred.sum(axis=0) ** 2 - (centred**2).sum(axis=0))[pairs > 0] / pairs[pairs > 0]
    if len(product) < 2:
        return 0.0, 0.0
    return float(product.mean()), float(product.std(ddof=1) / np.sqrt(len(product)))
