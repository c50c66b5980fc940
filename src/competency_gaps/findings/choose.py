"""Choose at most ten slices that explain an outcome; if no slice does, the list is empty in 95% of cases [ours].

One test over all families decides whether anything is listed. The error rate is divided between the families by fixed
weights, and their null distributions come from outcomes shuffled within strata. The categories of a column are tested
together, so a single category need not stand out alone. Slices are then added one by one, each time the slice that
explains most of what remains of the outcomes that the slice model (``slice_model.py``) expects.

All functions take many subsets of the units at once (half-samples, splits), as columns of one matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from competency_gaps.findings.finding import MAX_FINDINGS
from competency_gaps.findings.on_units import FamilyOnUnits, centred, variances
from competency_gaps.findings.slice_model import SliceModel

ERROR_RATE = 0.05
"""Chance that the list is not empty although the outcome goes with no slice."""
MIN_CERTAINTY = 1.64
"""Minimum distance of a slice's shrunk gap from 0, in standard errors: by the model, 19 of 20 such gaps have the right
sign. A shown interval, which may be wider, can still include 0."""
SHARPNESS = 0.75
"""A slice's worth is multiplied by its gap to this power: of slices that explain equally much, the smaller and sharper
is more useful. Lists predict slightly less than with 0.5, but show larger gaps that replicate as well."""
MIN_GAIN = 0.5
"""Minimum gain of a slice over earlier ones, in standard errors."""
DEPENDENCE = 1.1
"""Factor that corrects a combined p-value near 5% for the dependence between a run's families: without it, 5.6% of
lists on shuffled outcomes are not empty (``validation/own_profile.py``)."""
SHUFFLES = 128
"""Number of shuffled outcomes from which null distributions are estimated."""
MIN_CORRELATION = 0.5
"""Minimum correlation of two slices for one to replace the other."""
MAX_LOSS = 2.0
"""Maximum loss, in standard errors, at which a slice is replaced by one that people can check more easily."""
ERROR_SHARES = {"columns": 4.0, "regions": 2.0, "profiles": 2.0, "clusters": 2.0, "concepts": 1.0, "features": 0.5}
"""Family -> its relative share of the error rate; 1 for all others."""


def shuffled(values: np.ndarray, block: np.ndarray, draws: int, seed: int = 0) -> np.ndarray:
    """Return values shuffled within their blocks: float32 of shape (U, draws)."""
    rng = np.random.default_rng(seed)
    order = np.argsort(block, kind="stable")
    out = np.empty((len(values), draws), np.float32)
    for places in np.split(order, np.flatnonzero(np.diff(block[order])) + 1):
        copies = np.repeat(values[places].astype(np.float32)[None], draws, axis=0)
        out[places] = rng.permuted(copies, axis=1).T
    return out


class Cumulants(NamedTuple):
    """Mean, variance and skewness of a sum of squares of dependent normal values."""

    mean: float
    variance: float
    skewness: float

    def tail(self, total: np.ndarray) -> np.ndarray:
        """Return the chance of a sum as large or larger, from the gamma distribution with these cumulants."""
        from scipy.special import gammaincc

        shape = 4 / self.skewness**2
        z = (total - self.mean) / np.sqrt(self.variance)
        return np.asarray(gammaincc(shape, np.maximum(shape + np.sqrt(shape) * z, 0.0)))


@dataclass(frozen=True)
class NullDistribution:
    """Null distribution of the tests of a family."""

    largest: tuple[float, float]
    """Location and scale of the Gumbel distribution of the largest absolute z-score of slices outside columns."""
    total: Cumulants
    """Cumulants of the sum of squares of these z-scores."""
    by_column: list[Cumulants]
    """For each column, cumulants of the sum of squares of its categories' z-scores."""

    def tail_of_largest(self, largest: np.ndarray) -> np.ndarray:
        """Return the chance of a largest absolute z-score as large or larger."""
        location, scale = self.largest
        return -np.expm1(-np.exp(np.minimum((location - largest) / scale, 700.0)))


def null_distributions(
    families: Sequence[FamilyOnUnits], outcome: np.ndarray, block: np.ndarray
) -> list[NullDistribution]:
    """Return the null distribution of each family, estimated from outcomes shuffled within blocks.

    Parameters
    ----------
    outcome : ndarray of float of shape (U,)
    block : ndarray of int of shape (U,)
    """
    whole = np.ones((len(outcome), 1), bool)
    residual = centred(outcome, whole, block)
    draws, spread = shuffled(residual.ravel(), block, SHUFFLES), variances(residual, whole, block)
    return [_null_distribution(family, family.z_scores(draws, spread)) for family in families]


def _null_distribution(family: FamilyOnUnits, z: np.ndarray) -> NullDistribution:
    """Return a family's null distribution, from z-scores on shuffled outcomes of shape (K, draws)."""
    outside = family.outside_columns
    largest = np.abs(z[outside]).max(axis=0) if outside.any() else np.array([1.5, 2.5])
    spread = max(float(largest.std(ddof=1)) * np.sqrt(6) / np.pi, 1e-6)  # one failure may be the same wherever it is
    location = float(largest.mean()) - np.euler_gamma * spread
    of_columns = [_cumulants(z[slices]) for slices in family.by_column]
    return NullDistribution((location, spread), _cumulants(z[outside]), of_columns)


def _cumulants(z: np.ndarray) -> Cumulants:
    """Return cumulants of a sum of squares, estimated from draws.

    For normal values with covariance C they are ``tr C``, ``2 tr C^2`` and ``8 tr C^3``. ``tr C^2`` is the mean square
    of two draws' product, ``tr C^3`` the mean product around three draws.
    """
    if not len(z):
        return Cumulants(1.0, 2.0, float(np.sqrt(8.0)))
    products = z.T.astype(np.float64) @ z
    np.fill_diagonal(products, 0.0)
    n = len(products)
    second = float((products**2).sum()) / (n * (n - 1))
    third = float((products @ products * products).sum()) / (n * (n - 1) * (n - 2))
    variance = 2 * max(second, 1e-9)
    # Between the skewness of a single value and that of as many independent ones.
    skewness = float(np.clip(8 * third / variance**1.5, np.sqrt(8 / len(z)), np.sqrt(8.0)))
    return Cumulants(float(len(z)), variance, skewness)


def global_p_values(
    families: Sequence[FamilyOnUnits],
    nulls: Sequence[NullDistribution],
    outcome: np.ndarray,
    taken: np.ndarray,
    block: np.ndarray,
) -> np.ndarray:
    """Return p-values of the null hypothesis that the outcome goes with no slice, one per subset of the units.

    A family is tested by each of its columns, and by the largest z-score and the sum of squares of its other slices.
    The tests are joined by the Cauchy combination, weighted by :data:`ERROR_SHARES`, which depends little on how the
    tests depend on each other (Liu and Xie, JASA 115, 2020); :data:`DEPENDENCE` makes up for the rest.

    Parameters
    ----------
    outcome : ndarray of float of shape (U,), or (U, H) for one outcome per subset
    taken : ndarray of bool of shape (U, H)
        Units of each subset.

    Returns
    -------
    ndarray of float of shape (H,)
    """
    residual = centred(outcome, taken, block)
    spread = variances(residual, taken, block)
    tests, weights = [], []
    for on_units, null in zip(families, nulls, strict=True):
        square = on_units.z_scores(residual, spread) ** 2
        p_values = []
        for slices, of_column in zip(on_units.by_column, null.by_column, strict=True):
            p_values.append(of_column.tail(square[slices].sum(axis=0)))
        outside = on_units.outside_columns
        if outside.any():
            p_values.append(null.total.tail(square[outside].sum(axis=0)))
            p_values.append(null.tail_of_largest(np.sqrt(square[outside].max(axis=0))))
        tests += p_values
        weights += [ERROR_SHARES.get(on_units.family.name, 1.0) / max(1, len(p_values))] * len(p_values)
    if not tests:
        return np.ones(taken.shape[1])
    total = np.average(np.tan((0.5 - np.clip(tests, 1e-15, 0.95)) * np.pi), axis=0, weights=weights)
    return np.minimum(1.0, DEPENDENCE * (0.5 - np.arctan(total) / np.pi))


class Chosen(NamedTuple):
    """A slice that was chosen for a list."""

    position: int
    """Index among the slices of the slice model."""
    gap: float
    """Gap expected on new items."""
    error: float
    """Standard error of the gap; larger where the slice's items alone disagree with the model."""


def choose(slice_model: SliceModel, outcome: np.ndarray, taken: np.ndarray, p_value: np.ndarray) -> list[list[Chosen]]:
    """Return, for each subset of the units, the few slices that explain most of the expected outcomes.

    Parameters
    ----------
    outcome : ndarray of float of shape (U,), or (U, H) for one outcome per subset
    taken : ndarray of bool of shape (U, H)
        Units of each subset, about equally many.
    p_value : ndarray of float of shape (H,)
        From :func:`global_p_values`: where it is above ``ERROR_RATE``, the list is empty.

    Returns
    -------
    list of list of Chosen, of length H
        One list per subset, in the order of choice.
    """
    sums, errors, shown = slice_model.expected(centred(outcome, taken, slice_model.design.block), float(taken.mean()))
    size = slice_model.design.size
    lists: list[list[Chosen]] = []
    for column, p in enumerate(p_value):
        positions = _forward(slice_model, sums[:, column], errors[:, column]) if p <= ERROR_RATE else []
        lists.append([Chosen(at, sums[at, column] / size[at], shown[at, column] / size[at]) for at in positions])
    return lists


def _forward(slice_model: SliceModel, sums: np.ndarray, errors: np.ndarray) -> list[int]:
    """Return slices in the order of choice: each explains most of what remains of the expected outcomes.

    Parameters
    ----------
    sums, errors : ndarray of float of shape (K,)
        Product of each slice with the expected outcomes, and its standard deviation.
    """
    gram, size, rank = slice_model.design.gram, slice_model.design.size, slice_model.design.rank
    squares = np.maximum(np.diag(gram), 1e-9)
    scale, sure = np.sqrt(squares * slice_model.noise), np.abs(sums) > MIN_CERTAINTY * errors
    chosen: list[int] = []
    left, before = sums, np.zeros((0, len(sums)))  # rows of the inverse factor of the chosen slices' gram
    while len(chosen) < min(MAX_FINDINGS, len(sums)):
        # A slice whose rest has the opposite sign of its gap only corrects earlier, coarser slices.
        worth = np.where(sure & (left * sums > 0), np.abs(left) / scale, 0.0)
        worth[chosen] = 0.0
        use = worth * np.abs(left / size) ** SHARPNESS
        best = int(use.argmax())
        if worth[best] < MIN_GAIN:
            break
        near = np.flatnonzero((rank < rank[best]) & (worth > 0))
        alike = gram[near, best] / np.sqrt(squares[near] * squares[best])
        error = np.sqrt(2 * (1 - np.minimum(alike, 1)))
        good = near[(alike >= MIN_CORRELATION) & (worth[best] - worth[near] <= MAX_LOSS * error)]
        best_or_better = int(min(good, key=lambda at: (rank[at], -worth[at]), default=best))
        row = gram[best_or_better] - before[:, best_or_better] @ before
        remaining = row[best_or_better] + 1e-6
        left = left - left[best_or_better] / remaining * row
        before = np.concatenate([before, row[None] / np.sqrt(remaining)])
        chosen.append(best_or_better)
    return chosen
