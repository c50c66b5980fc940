"""Outcomes of items (one number per item, or none), and which items discriminate between models or look broken [ours].

An item discriminates if the models that do well on it are those that do well elsewhere (the item-rest correlation of
classical test theory; Lord and Novick, Statistical Theories of Mental Test Scores, 1968, section 15). Where that
correlation is reliably negative, strong models are wrong and weak ones right: a wrong key, say, or a trick.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import bdtrc

from competency_gaps.evidence.permutation import corrected, moment_factors, pearson_tail

Kind = Literal["score", "peers", "difference", "parsed"]


@dataclass(frozen=True)
class Outcome:
    """One number per item. N items.

    ``score`` is the model's score; ``peers`` is its score less the score expected from its peers; ``difference`` is its
    score less another model's; ``parsed`` is 1 where the answer got a score and 0 where it could not be parsed.
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
        """Lowest and highest possible value: 0 and 1 for scores, else symmetric about 0."""
        if self.kind in ("score", "parsed"):
            return 0.0, 1.0
        largest = float(np.nanmax(np.abs(self.values), initial=1.0))
        return -largest, largest


def difference(first: Outcome, second: Outcome) -> Outcome:
    """Return the outcome ``s_A(x) - s_B(x)`` of two scores on the same items; unscored where either is."""
    return Outcome("difference", first.model, first.values - second.values, (second.model,))


NEAR_DISTANCE = 0.12
"""Maximum difference between a peer's mean score and the model's."""
MAX_DISTANCE = 0.25
"""Maximum average difference between the peers' means and the model's. Beyond it, what is hard for everybody is
reported as a weakness in more than 1 of 20 simulations without one (``validation/synthetic_peers.py``)."""
MIN_SHARED_ITEMS = 100
"""Minimum number of items that a peer must share with the model, or half of the model's items if that is less."""
ENOUGH_PEERS = 3
"""Number of nearest models taken as peers if fewer lie within ``NEAR_DISTANCE``."""
MAX_PEERS = 8
"""Maximum number of peers: more distant, dissimilar models would blur what is specific to the model."""
MIN_PEERS = 2
"""Minimum number of peers: the noise of a single one cannot be told from the items' difficulty."""
MAX_SLOPE = 3.0
"""Maximum slope of a model's scores on its peers'."""
MAX_ITERATIONS = 200
"""Maximum number of iterations of the fit of peers' levels and items' effects."""


@dataclass(frozen=True)
class Expected:
    """A model's scores as expected from its peers. N items."""

    values: np.ndarray
    """float64 of shape (N,): the model's expected score; the shift to its level may take it outside [0, 1]. NaN where
    no peer is scored on the item, or the benchmark lacks scores of the model or of enough peers."""
    slopes: dict[int, float]
    """Number of a benchmark -> slope of the model's scores on the peers'."""


def choose_peers(scores: np.ndarray, model: int) -> np.ndarray:
    """Return the peers of a model: the models nearest in mean score.

    Parameters
    ----------
    scores : ndarray of float64 of shape (models, N)
        In [0, 1]; NaN = unscored.
    model
        Row of the model.

    Returns
    -------
    ndarray of int64 of shape (peers,)
        Rows of the peers, nearest first: at most ``MAX_PEERS`` within ``NEAR_DISTANCE`` (over the items scored for
        both) or, if fewer than ``ENOUGH_PEERS`` are that near, the ``ENOUGH_PEERS`` nearest. Models that share too few
        items (``MIN_SHARED_ITEMS``) are no peers.
    """
    away = distances(scores, model)
    order = np.argsort(away, kind="stable")[: int(np.isfinite(away).sum())]
    near = order[away[order] <= NEAR_DISTANCE]
    return np.asarray(near[:MAX_PEERS] if len(near) >= ENOUGH_PEERS else order[:ENOUGH_PEERS], np.int64)


def distances(scores: np.ndarray, model: int) -> np.ndarray:
    """Return the absolute difference between each model's mean score and one model's, over the items scored for both.

    Parameters
    ----------
    scores, model
        As in :func:`choose_peers`.

    Returns
    -------
    ndarray of float64 of shape (models,)
        In [0, 1]; infinite for the model itself and for those that share too few items with it.
    """
    both = ~np.isnan(scores) & ~np.isnan(scores[model])
    shared = both.sum(axis=1)
    away = np.full(len(scores), np.inf)
    known = shared >= max(1, min(MIN_SHARED_ITEMS, shared[model] / 2))
    difference = np.where(both, scores - scores[model], 0.0).sum(axis=1)
    away[known] = np.abs(difference[known] / shared[known])
    away[model] = np.inf
    return away


def expected_scores(scores: np.ndarray, model: int, peers: np.ndarray, group: np.ndarray) -> Expected:
    """Return the score that a model's peers let expect on each item.

    It is linear in the peers' mean, with a slope fitted per benchmark, and shifted to the model's mean there.

    Parameters
    ----------
    scores : ndarray of float64 of shape (models, N)
        In [0, 1]; NaN = unscored.
    model
        Row of the model.
    peers
        int64: rows of its peers, at least ``MIN_PEERS``.
    group : ndarray of int64 of shape (N,)
        Number of each item's benchmark.
    """
    values, slopes = np.full(scores.shape[1], np.nan), {}
    for number in np.unique(group).tolist():
        columns = np.flatnonzero(group == number)
        scores_of_model, others = scores[model, columns], scores[np.ix_(peers, columns)]
        others = others[~np.isnan(others).all(axis=1)]
        if len(others) < MIN_PEERS or np.isnan(scores_of_model).all():
            continue
        levels = _levels(others)
        above = others - levels
        known = ~np.isnan(above)
        mean = _mean(np.where(known, above, 0.0), known, axis=0)[0] + float(levels.mean())
        mean[~known.any(axis=0)] = np.nan
        both = ~np.isnan(scores_of_model) & ~np.isnan(mean)
        if both.any():
            slopes[number] = _slope(scores_of_model[both], mean[both], above[:, both])
            values[columns] = scores_of_model[both].mean() + slopes[number] * (mean - mean[both].mean())
    return Expected(values, slopes)


def _levels(others: np.ndarray) -> np.ndarray:
    """Return the level of each peer, if scores are a peer's level plus an item's effect: shape (peers, 1).

    Fitted by alternating least squares, so that a peer scored only on hard items does not look weak. The items' effects
    average to 0.
    """
    known = ~np.isnan(others)
    level = np.nanmean(others, axis=1, keepdims=True)
    for _ in range(MAX_ITERATIONS):
        effect = _mean(np.where(known, others - level, 0.0), known, axis=0)
        fitted = _mean(np.where(known, others - effect, 0.0), known, axis=1)
        moved, level = float(np.abs(fitted - level).max()), fitted
        if moved < 1e-9:
            break
    effect = _mean(np.where(known, others - level, 0.0), known, axis=0)
    return level + effect[known.any(axis=0)[None, :]].mean()


def _mean(filled: np.ndarray, known: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean of the known values along an axis; 0 where there are none."""
    return np.asarray(filled.sum(axis=axis, keepdims=True) / np.maximum(known.sum(axis=axis, keepdims=True), 1))


def _slope(scores: np.ndarray, mean: np.ndarray, above: np.ndarray) -> float:
    """Return the slope of a model on its peers' true mean, in [0, ``MAX_SLOPE``]; ``above``: peers' scores less levels.

    It is shrunk towards 1, the more so the less certain the variance of the true mean is.
    """
    common, error = _common_variance(above)
    if len(scores) < 2 or common <= 0:
        return 1.0
    raw = float(np.cov(scores, mean)[0, 1]) / common
    known = common**2 / (common**2 + error**2)
    return float(np.clip(1 + known * (raw - 1), 0.0, MAX_SLOPE))


def _common_variance(above: np.ndarray) -> tuple[float, float]:
    """Return the variance over items of the peers' true mean, and its standard error.

    It is the mean product of two peers' scores less their levels.
    """
    known = ~np.isnan(above)
    centred = np.where(known, above, 0.0)
    pairs = known.sum(axis=0) * (known.sum(axis=0) - 1)
    product = (centred.sum(axis=0) ** 2 - (centred**2).sum(axis=0))[pairs > 0] / pairs[pairs > 0]
    if len(product) < 2:
        return 0.0, 0.0
    return float(product.mean()), float(product.std(ddof=1) / np.sqrt(len(product)))


MIN_MODELS = 6
"""Minimum number of models with a score on an item: with five, no order of right and wrong is rarer than 1 in 10."""


@dataclass(frozen=True)
class ItemFacts:
    """How each item relates to many models' scores.

    Arrays of shape (N,); NaN = too few models, or all score the same.
    """

    models: np.ndarray
    """int64: models that are scored on the item."""
    mean: np.ndarray
    """float64 in [0, 1]: their mean score."""
    discrimination: np.ndarray
    """float64 in [-1, 1]: correlation of their scores on the item with their mean scores on the benchmark's others."""
    p_value: np.ndarray
    """float64 in (0, 1]: chance of a correlation as low or lower if the models' scores on the item are shuffled."""
    q_value: np.ndarray
    """float64: Benjamini-Hochberg of ``p_value`` over the items."""


def item_facts(scores: np.ndarray, group: np.ndarray) -> ItemFacts:
    """Return how well each item discriminates between the models scored on it.

    Models of one family make the same mistakes, so shuffled models are not quite exchangeable: read a small q-value as
    a reason to look at the item.

    Parameters
    ----------
    scores : ndarray of float64 of shape (models, N)
        In [0, 1]; NaN = unscored.
    group : ndarray of int64 of shape (N,)
        Number of each item's benchmark.
    """
    known = ~np.isnan(scores)
    count = known.sum(axis=0)
    filled = np.where(known, scores, 0.0)
    mean = np.divide(filled.sum(axis=0), count, out=np.full(len(count), np.nan), where=count > 0)
    correlation, p_value = np.full(len(count), np.nan), np.full(len(count), np.nan)
    for number in np.unique(group).tolist():
        columns = np.flatnonzero(group == number)
        correlation[columns], p_value[columns] = _item_rest(filled[:, columns], known[:, columns])
    return ItemFacts(count.astype(np.int64), mean, correlation, p_value, corrected(p_value))


@dataclass(frozen=True)
class WrongAlike:
    """How many models give the same wrong answer to each item. Arrays of shape (N,)."""

    wrong: np.ndarray
    """int64: models with a known answer that is scored below 1/2."""
    alike: np.ndarray
    """int64: of these, those that give the most common answer."""
    p_value: np.ndarray
    """float64 in (0, 1]: chance of at least so many alike; NaN where fewer than two are wrong."""
    q_value: np.ndarray
    """float64: Benjamini-Hochberg of ``p_value`` over the items."""


def wrong_alike(scores: np.ndarray, answers: np.ndarray) -> WrongAlike:
    """Return how many models agree on an answer that the key calls wrong: a hint at a wrong key or a common mistake.

    Two wrong models give the same answer with a chance r, which is estimated from all items. The chance that k of n
    agree is then at most that of k successes in n trials, for each of about ``1 / r`` answers.

    Parameters
    ----------
    scores : ndarray of float64 of shape (models, N)
        In [0, 1]; NaN = unscored.
    answers : ndarray of int64 of shape (models, N)
        Number of the model's answer among all answers; -1 = unknown.
    """
    known = (answers >= 0) & (np.nan_to_num(scores, nan=1.0) < 0.5)
    models, item = np.nonzero(known)
    pair, count = np.unique(np.stack([item, answers[models, item]]), axis=1, return_counts=True)
    wrong = np.bincount(item, minlength=scores.shape[1])
    alike = np.zeros(scores.shape[1], np.int64)
    np.maximum.at(alike, pair[0], count)
    agreeing, pairs = float((count * (count - 1)).sum()), float((wrong * (wrong - 1)).sum())
    p_value = np.full(len(wrong), np.nan)
    tested = wrong > 1
    if tested.any():
        chance = max(agreeing / pairs, 1 / pairs)
        p_value[tested] = np.minimum(1.0, bdtrc(alike[tested] - 1, wrong[tested], chance) / chance)
    return WrongAlike(wrong.astype(np.int64), alike, p_value, corrected(p_value))


def _item_rest(filled: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return one benchmark's item-rest correlations and their lower-tail p-values: two arrays of shape (items,)."""
    others = known.sum(axis=1, keepdims=True) - known
    rest = np.divide(
        filled.sum(axis=1, keepdims=True) - filled, others, out=np.zeros(filled.shape), where=known & (others > 0)
    )
    usable = known & (others > 0)
    n = usable.sum(axis=0)
    (x, of_rest), (y, of_item) = _moments(rest, usable, n), _moments(filled, usable, n)
    product = (x * y).sum(axis=0)
    spread = np.sqrt(of_rest[0] * of_item[0])
    tested = (n >= MIN_MODELS) & (spread > 1e-9)
    correlation = np.divide(product, spread, out=np.full(len(n), np.nan), where=tested)
    p_value = np.full(len(n), np.nan)
    if tested.any():
        tail = _lower_tail(product[tested], n[tested], of_rest[:, tested], of_item[:, tested])
        p_value[tested] = np.maximum(tail, _rarest(filled[:, tested], usable[:, tested]))
    return correlation, p_value


def _rarest(scores: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return the smallest possible p-value of each item, 1 / (distinct orders of its scores): shape (items,).

    Equal scores are interchangeable: k right of n models have ``n! / (k! (n - k)!)`` orders.
    """
    ordered = np.sort(np.where(usable, scores, 2.0), axis=0)
    rank = np.arange(1, len(ordered) + 1)[:, None]
    starts = np.concatenate([np.ones((1, ordered.shape[1]), bool), np.diff(ordered, axis=0) != 0])
    # Place within a run of equal scores: their product over a run is its length's factorial.
    within = rank - np.maximum.accumulate(np.where(starts, rank, 0), axis=0) + 1
    known = ordered <= 1
    logs = np.where(known, np.log(within) - np.log(rank), 0.0)
    return np.asarray(np.exp(logs.sum(axis=0)))


def _lower_tail(product: np.ndarray, n: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the chance of a product sum as low or lower if the item's scores are shuffled among the models."""
    second, third, of_squares, of_fourth = moment_factors(n.astype(np.float64), tuple(y))
    scale = np.sqrt(x[0] * second)
    skewness = x[1] * third / scale**3
    excess = (x[0] ** 2 * of_squares + x[2] * of_fourth) / scale**4
    return np.asarray(pearson_tail(-product / scale, -skewness, excess))


def _moments(values: np.ndarray, usable: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values about their mean over an item's models, 0 where it is unscored, and their sums of powers 2, 3 and 4."""
    mean = np.where(usable, values, 0.0).sum(axis=0) / np.maximum(n, 1)
    centred = np.where(usable, values - mean, 0.0)
    return centred, np.stack([(centred**k).sum(axis=0) for k in (2, 3, 4)])
