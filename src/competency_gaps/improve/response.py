"""A model of responses: predicts a new model's score on each item, learned from other models' scores [ours].

From the source models each item gets two features: its *ease*, the log odds of a right answer, and its *slope*, how
much these grow with a model's ability (the two-parameter logistic model of item response theory, with the items'
parameters shrunk to a normal prior by empirical Bayes). A model's answers then follow a logistic regression on
``1, ease, slope, ease * slope`` and on the slices that an item belongs to. Each source's coefficients are fitted with
features that its own answers did not make, so the normal prior that they give is the one of a *new* model, and noise in
the features is in it: where two sources of twenty are odd, a third may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit
from scipy.stats import t as student

FEATURES = 4
"""Number of coefficients that are not of slices."""
SCALES, BELIEFS = (1.0, 4.0, 16.0), (0.85, 0.13, 0.02)
"""A new model's coefficients spread as the sources' do, or more, with these probabilities: it may be better than all
of them, or odd. Its own answers say which, by their marginal likelihood."""
DESIGN_SCALE = 2.0
"""Factor of the sources' variance when items are chosen."""
ABILITIES = (-1.3, -0.4, 0.4, 1.3, 2.2)
"""Abilities of the models for which items are chosen, in standard deviations of the sources'; one is beyond the
best."""
NEW_ABILITIES = 2.0
"""Spread of new models' abilities, in standard deviations of the sources': models improve."""
MAX_FITTED_ITEMS = 5_000
"""Maximum number of items to fit the sources' coefficients: with more, fits are no better, as models differ more."""
RANDOM_EVERY = 4
"""One item in this many is drawn at random, which shows where features mislead, as for models above all sources."""
MIN_VARIANCE = 1e-4


class MeanEstimates(NamedTuple):
    """Estimates of T means with their intervals."""

    value: np.ndarray
    """float64 of shape (T,)."""
    low: np.ndarray
    """Lower ends of their 95% intervals."""
    high: np.ndarray


@dataclass(frozen=True)
class Responses:
    """Prior distribution of a new model's coefficients, with the items' features.

    N items, L slices, D = 4 + L coefficients.
    """

    features: np.ndarray
    """float32 of shape (N, D): 1, ease, slope, ease times slope, and 1 for each slice that the item belongs to."""
    mean: np.ndarray
    """float64 of shape (D,): prior mean of the coefficients."""
    covariance: np.ndarray
    """float64 of shape (D, D): prior covariance of the coefficients."""
    towards: np.ndarray
    """float64 of shape (D,): how the coefficients change with one standard deviation of ability."""
    sources: int
    """Number of source models."""

    def scaled(self, scale: float) -> np.ndarray:
        """Return the prior covariance for a model ``scale`` times as far from the sources; that of slices stays."""
        wide = self.covariance.copy()
        wide[:FEATURES, :FEATURES] *= scale
        return wide

    def estimate(self, rows: np.ndarray, scores: np.ndarray, targets: np.ndarray) -> MeanEstimates:
        """Return estimates of a new model's means, with 95% intervals, from its scores on some items.

        Parameters
        ----------
        rows, scores : ndarray of shape (n,)
            Rows of the items, and scores in [0, 1] on them; NaN = unscored.
        targets : ndarray of shape (T, N)
            Weights of the items in each mean; each row sums to 1.
        """
        known = ~np.isnan(scores)
        rows, scores = rows[known], scores[known]
        fits, log_evidence = [], []
        for scale, belief in zip(SCALES, BELIEFS, strict=True):
            precision = np.linalg.inv(self.scaled(scale))
            features = np.asarray(self.features[rows], np.float64)
            at, spread = _fit(features, scores, self.mean, precision)
            p = np.clip(expit(features @ at), 1e-9, 1 - 1e-9)
            deviation = at - self.mean
            likelihood = float(
                (scores * np.log(p) + (1 - scores) * np.log1p(-p)).sum() - deviation @ precision @ deviation / 2
            )
            volume = float(np.linalg.slogdet(precision)[1] + np.linalg.slogdet(spread)[1]) / 2
            log_evidence.append(likelihood + volume + np.log(belief))
            fits.append(self._means(at, spread, rows, scores, targets))
        weight = np.exp(np.array(log_evidence) - max(log_evidence))
        weight /= weight.sum()
        value = sum(w * mean for w, (mean, _) in zip(weight, fits, strict=True))
        variance = sum(w * (features + (mean - value) ** 2) for w, (mean, features) in zip(weight, fits, strict=True))
        half = student.ppf(0.975, self.sources - 1) * np.sqrt(variance)
        return MeanEstimates(value, np.clip(value - half, 0, 1), np.clip(value + half, 0, 1))

    def _means(
        self, at: np.ndarray, spread: np.ndarray, rows: np.ndarray, scores: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the means of the targets and their variances, for coefficients with a normal distribution about
        ``at``.
        """
        variance = np.einsum("nd,nd->n", self.features @ spread, self.features)
        damp = 1 / np.sqrt(1 + np.pi / 8 * variance)  # MacKay's approximation of a logistic's mean over a normal
        p = expit(self.features @ at * damp)
        answer_variance = p * (1 - p)
        answer_variance[rows] = 0.0
        expected = p.copy()
        expected[rows] = scores
        gradient = (targets * (answer_variance * damp)) @ self.features
        return targets @ expected, np.einsum("td,de,te->t", gradient, spread, gradient) + targets**2 @ answer_variance

    def errors(self, rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return expected standard errors of the means of models like the sources, if these answer some items: shape
        (T,).
        """
        squares = []
        for ability in ABILITIES[:-1]:
            p = expit(self.features @ (self.mean + ability * self.towards))
            answer_variance = p * (1 - p)
            features = self.features[rows]
            spread = np.linalg.inv(
                (features * answer_variance[rows, None]).T @ features + np.linalg.inv(self.covariance)
            )
            answer_variance[rows] = 0.0
            gradient = (targets * answer_variance) @ self.features
            squares.append(np.einsum("td,de,te->t", gradient, spread, gradient) + targets**2 @ answer_variance)
        return np.asarray(np.sqrt(np.mean(squares, axis=0)))

    def choose(
        self, count: int, targets: np.ndarray, importance: np.ndarray, unit: np.ndarray, seed: int = 0
    ) -> Iterator[int]:
        """Yield items one by one, each the item that reduces the targets' variance most, for models of all abilities.

        Every fourth is random.

        Parameters
        ----------
        targets, importance
            As in :meth:`estimate`, and the weight of each target's variance.
        unit : ndarray of int of shape (N,)
            Items of one unit repeat each other: at most one of them is chosen.
        """
        x = self.features
        models = [_Design.of(self, self.mean + ability * self.towards, targets, importance) for ability in ABILITIES]
        free = np.ones(len(x), bool)
        draw = np.random.default_rng(seed).random(len(x))
        for number in range(count):
            if number % 50 == 0:  # the updates below are of 32 bits
                for model in models:
                    model.restart(x)
            gain = sum(model.gain / (model.variance + model.noise) for model in models)
            at_random = number % RANDOM_EVERY == RANDOM_EVERY - 1
            best = int(np.argmax(np.where(free, draw if at_random else gain, -1.0)))
            if not free[best]:
                return
            yield best
            free[unit == unit[best]] = False
            moves = [model.take(x[best], best) for model in models]
            shifts = x @ np.concatenate([move[:2] for move in moves]).T.astype(np.float32)
            for i, (model, (_, _, size, square)) in enumerate(zip(models, moves, strict=True)):
                along, across = shifts[:, 2 * i], shifts[:, 2 * i + 1]
                model.gain += along * (np.float32(square / size**2) * along - np.float32(2 / size) * across)
                model.variance -= along * along / np.float32(size)


@dataclass
class _Design:
    """A model's uncertain coefficients as items are chosen: rank-one updates of a linear Gaussian model.

    ``restart`` sets ``gain`` and ``variance``, both of shape (N,): what the targets' variances would lose, times the
    answer's variance; that of its log odds.
    """

    covariance: np.ndarray
    wanted: np.ndarray
    """(D, D): sum over the targets of their importance times the square of their gradient."""
    noise: np.ndarray
    """float32 of shape (N,): variance of an answer, on the scale of log odds."""

    @classmethod
    def of(cls, prior: Responses, at: np.ndarray, targets: np.ndarray, importance: np.ndarray) -> _Design:
        """Set up the design for a model with these coefficients."""
        p = expit(prior.features @ at)
        answer_variance = np.maximum(p * (1 - p), 1e-6)
        gradient = (targets * answer_variance) @ prior.features
        return cls(
            prior.scaled(DESIGN_SCALE), (gradient.T * importance) @ gradient, (1 / answer_variance).astype(np.float32)
        )

    def restart(self, x: np.ndarray) -> None:
        """Recompute ``gain`` and ``variance`` exactly."""
        self.variance = np.einsum("nd,nd->n", x @ self.covariance.astype(np.float32), x)
        core = self.covariance @ self.wanted @ self.covariance
        self.gain = np.einsum("nd,nd->n", x @ core.astype(np.float32), x)

    def take(self, item: np.ndarray, row: int) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Update the covariance for an answer to an item; return how the items' gains and variances change."""
        along = self.covariance @ item
        size = float(item @ along + self.noise[row])
        across, square = self.covariance @ self.wanted @ along, float(along @ self.wanted @ along)
        self.covariance = self.covariance - np.outer(along, along) / size
        return along, across, size, square


def responses(scores: np.ndarray, member: np.ndarray, seed: int = 0) -> Responses:
    """Return the items' features and the prior of new models, learned from source models.

    Parameters
    ----------
    scores : ndarray of float64 of shape (S, N)
        Scores of at least three source models, in [0, 1]; NaN = unscored.
    member : ndarray of bool of shape (N, L)
        Slices that each item belongs to.
    """
    known = ~np.isnan(scores)
    filled = np.where(known, scores, 0.0)
    share = (filled.sum(axis=1) + 0.5) / (known.sum(axis=1) + 1)
    ability = np.log(share / (1 - share))
    spread = max(float(ability.std()), 0.1)
    start = np.array([ability.mean(), spread])
    ability = (ability - ability.mean()) / spread
    whole = _ItemCurves(start, np.diag([2.0, 0.5]))
    ease, slope = whole.fit(filled, known, ability)
    items = np.arange(scores.shape[1])
    if len(items) > MAX_FITTED_ITEMS:
        items = np.sort(np.random.default_rng(seed).choice(len(items), MAX_FITTED_ITEMS, replace=False))
    crossed = []
    for source in range(len(scores)):
        others = np.arange(len(scores)) != source
        rows = items[known[source, items]]
        near = ease[rows], slope[rows]
        step = whole.step(filled[np.ix_(others, rows)], known[np.ix_(others, rows)], ability[others], *near)
        crossed.append((rows, *step))
    mean, covariance, fitted = _prior(crossed, scores, member)
    towards = ((fitted - mean) * ability[:, None]).mean(axis=0)
    towards[FEATURES:] = 0.0
    covariance = covariance + (NEW_ABILITIES**2 - 1) * np.outer(towards, towards)
    features = item_features(ease, slope, member).astype(np.float32)
    return Responses(features, mean, covariance, towards, len(scores))


@dataclass
class _ItemCurves:
    """Ease and slope of items as a logistic regression on the models' abilities, with a normal prior over items."""

    mean: np.ndarray
    covariance: np.ndarray

    def fit(self, filled: np.ndarray, known: np.ndarray, ability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fit all items and their prior, in turn (empirical Bayes by EM with Laplace's approximation)."""
        share = (filled.sum(axis=0) + 1) / (known.sum(axis=0) + 2)
        ease, slope = np.log(share / (1 - share)), np.full(len(share), self.mean[1])
        for _ in range(4):
            for _ in range(2):
                ease, slope = self.step(filled, known, ability, ease, slope)
            self.mean = np.array([ease.mean(), slope.mean()])
            deviation = np.stack([ease, slope]) - self.mean[:, None]
            self.covariance = deviation @ deviation.T / len(ease) + self.uncertain
        return self.step(filled, known, ability, ease, slope)

    def step(
        self, filled: np.ndarray, known: np.ndarray, ability: np.ndarray, ease: np.ndarray, slope: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ease and slope after two Newton steps for all items; ``uncertain`` becomes their mean posterior
        covariance.
        """
        inverse = np.linalg.inv(self.covariance)
        for _ in range(2):
            p = expit(ease + np.multiply.outer(ability, slope))
            rest = np.where(known, filled - p, 0.0)
            p *= 1 - p
            p[~known] = 0.0
            h00, h01, h11 = p.sum(axis=0) + inverse[0, 0], ability @ p + inverse[0, 1], ability**2 @ p + inverse[1, 1]
            deviation = np.stack([ease, slope]) - self.mean[:, None]
            g0, g1 = np.stack([rest.sum(axis=0), ability @ rest]) - inverse @ deviation
            size = h00 * h11 - h01**2
            ease = ease + np.clip((h11 * g0 - h01 * g1) / size, -2, 2)
            slope = slope + np.clip((h00 * g1 - h01 * g0) / size, -2, 2)
        off = -(h01 / size).mean()
        self.uncertain = np.array([[(h11 / size).mean(), off], [off, (h00 / size).mean()]])
        return ease, slope


def item_features(ease: np.ndarray, slope: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Return the regressors of a model's answers: float64 of shape (N, D)."""
    return np.column_stack([np.ones(len(ease)), ease, slope, ease * slope, member])


def _prior(
    crossed: list[tuple[np.ndarray, np.ndarray, np.ndarray]], scores: np.ndarray, member: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean and covariance of the sources' coefficients, and the coefficients: (D,), (D, D), (S, D).

    Fitted by EM. Two pseudo-models without correlations shrink the covariance; all slices share one variance about 0.
    """
    size, sources = FEATURES + member.shape[1], len(crossed)
    mean, covariance = np.zeros(size), np.diag([*[1.0] * FEATURES, *[0.1] * member.shape[1]])
    mean[1] = 1.0
    fitted = np.tile(mean, (sources, 1))
    for turn in range(6):
        precision, within = np.linalg.inv(covariance), np.zeros((size, size))
        for source, (rows, ease, slope) in enumerate(crossed):
            x = item_features(ease, slope, member[rows])
            steps = 8 if turn == 0 else 1
            fitted[source], within_source = _fit(x, scores[source, rows], mean, precision, fitted[source], steps)
            within += within_source
        mean[:FEATURES] = fitted[:, :FEATURES].mean(axis=0)
        spread = ((fitted - mean).T @ (fitted - mean) + within) / sources
        core = spread[:FEATURES, :FEATURES]
        core = (core * sources + 2 * np.diag(np.diag(core))) / (sources + 2) * (1 + 1 / sources)
        of_slices = float(np.diag(spread)[FEATURES:].mean()) if size > FEATURES else 0.0
        covariance = np.eye(size) * max(of_slices, MIN_VARIANCE)
        covariance[:FEATURES, :FEATURES] = core + MIN_VARIANCE * np.eye(FEATURES)
    return mean, covariance, fitted


def _fit(
    x: np.ndarray, y: np.ndarray, mean: np.ndarray, precision: np.ndarray, at: np.ndarray | None = None, steps: int = 25
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mode of a logistic regression's coefficients under a normal prior, and their covariance there."""
    at = mean if at is None else at
    for _ in range(steps):
        p = expit(x @ at)
        weighted = x * np.sqrt(p * (1 - p))[:, None]
        hessian = weighted.T @ weighted + precision  # of a matrix with itself: half of the work
        step = np.linalg.solve(hessian, x.T @ (y - p) - precision @ (at - mean))
        longest = float(np.abs(step).max())
        at = at + step * min(1.0, 1.5 / max(longest, 1e-12))
        if longest < 1e-5:
            break
    return at, np.linalg.inv(hessian)
