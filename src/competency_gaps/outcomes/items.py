"""Which items tell models apart, and which look broken [ours].

An item discriminates if the models that do well on it are those that do well elsewhere (the item-rest correlation of
classical test theory; Lord and Novick, Statistical Theories of Mental Test Scores, 1968, section 15). Where that
correlation is reliably negative, strong models are wrong and weak ones right: a wrong key, say, or a trick.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc

from competency_gaps.evidence.permutation import corrected, moment_factors, pearson_tail

FEWEST_MODELS = 6
"""Models with a score that an item must have: with five, no order of them is rarer than 1 in 10."""


@dataclass(frozen=True)
class ItemFacts:
    """What many models' scores say of each item. Arrays of shape (N,); NaN = too few models, or all score the same."""

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
    """Judge each item by the models that were scored on it.

    Models of one family make the same mistakes, so the shuffled models are not quite exchangeable: read a small q-value
    as a reason to look at the item.

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
        place = np.flatnonzero(group == number)
        correlation[place], p_value[place] = _item_rest(filled[:, place], known[:, place])
    return ItemFacts(count.astype(np.int64), mean, correlation, p_value, corrected(p_value))


@dataclass(frozen=True)
class WrongAlike:
    """How many models give the same wrong answer. Arrays of shape (N,)."""

    wrong: np.ndarray
    """int64: models with a known answer that is scored below 1/2."""
    alike: np.ndarray
    """int64: of these, those that give the most common answer."""
    p_value: np.ndarray
    """float64 in (0, 1]: chance of so many alike; NaN where fewer than two are wrong."""
    q_value: np.ndarray
    """float64: Benjamini-Hochberg of ``p_value`` over the items."""


def wrong_alike(scores: np.ndarray, answers: np.ndarray) -> WrongAlike:
    """Find the items on which models agree on an answer that the key calls wrong: a wrong key, or a common mistake.

    Two wrong models give the same answer with a chance r, which is taken from all items. The chance that k of n agree
    is then at most that of k successes in n trials, for each of about ``1 / r`` answers.

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
    """Item-rest correlations of one benchmark and their lower tails: two arrays of shape (items,)."""
    others = known.sum(axis=1, keepdims=True) - known
    rest = np.divide(
        filled.sum(axis=1, keepdims=True) - filled, others, out=np.zeros(filled.shape), where=known & (others > 0)
    )
    usable = known & (others > 0)
    n = usable.sum(axis=0)
    x, y = _moments(rest, usable, n), _moments(filled, usable, n)
    product = (x.centred * y.centred).sum(axis=0)
    spread = np.sqrt(x.second * y.second)
    tested = (n >= FEWEST_MODELS) & (spread > 1e-9)
    correlation = np.divide(product, spread, out=np.full(len(n), np.nan), where=tested)
    p_value = np.full(len(n), np.nan)
    if tested.any():
        tail = _lower_tail(product[tested], n[tested], x.of(tested), y.of(tested))
        p_value[tested] = np.maximum(tail, _rarest(filled[:, tested], usable[:, tested]))
    return correlation, p_value


def _rarest(scores: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """The smallest p-value that is possible: 1 / (different orders of the item's scores); shape (items,).

    Equal scores cannot be told apart: k right of n models have ``n! / (k! (n - k)!)`` orders.
    """
    ordered = np.sort(np.where(usable, scores, 2.0), axis=0)
    place = np.arange(1, len(ordered) + 1)[:, None]
    starts = np.concatenate([np.ones((1, ordered.shape[1]), bool), np.diff(ordered, axis=0) != 0])
    # Place within a run of equal scores: their product over a run is its length's factorial.
    within = place - np.maximum.accumulate(np.where(starts, place, 0), axis=0) + 1
    known = ordered <= 1
    logs = np.where(known, np.log(within) - np.log(place), 0.0)
    return np.asarray(np.exp(logs.sum(axis=0)))


def _lower_tail(product: np.ndarray, n: np.ndarray, x: _Moments, y: _Moments) -> np.ndarray:
    """Chance of a product sum as low or lower if the item's scores are shuffled among the models."""
    second, third, of_squares, of_fourth = moment_factors(n.astype(np.float64), (y.second, y.third, y.fourth))
    scale = np.sqrt(x.second * second)
    skewness = x.third * third / scale**3
    excess = (x.second**2 * of_squares + x.fourth * of_fourth) / scale**4
    return np.asarray(pearson_tail(-product / scale, -skewness, excess))


@dataclass(frozen=True)
class _Moments:
    """Values about the mean over an item's models, 0 where it is unscored, and their power sums over the models."""

    centred: np.ndarray
    second: np.ndarray
    third: np.ndarray
    fourth: np.ndarray

    def of(self, chosen: np.ndarray) -> _Moments:
        return _Moments(self.centred[:, chosen], self.second[chosen], self.third[chosen], self.fourth[chosen])


def _moments(values: np.ndarray, usable: np.ndarray, n: np.ndarray) -> _Moments:
    mean = np.where(usable, values, 0.0).sum(axis=0) / np.maximum(n, 1)
    centred = np.where(usable, values - mean, 0.0)
    return _Moments(centred, *((centred**k).sum(axis=0) for k in (2, 3, 4)))
