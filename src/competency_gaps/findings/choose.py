"""Choose the slices that explain an outcome: at most ten, and with a chance of at most 5% any for noise [ours].

One test of all families says whether there is anything to list; the error rate is divided between them by fixed
weights, and what they look like where there is nothing comes from outcomes shuffled within strata. The categories of a
column answer one question, which is tested as a whole, so a category need not stand out alone. Then the list is what
says most of the expected outcomes (``estimate.py``) in few slices, one after another.

Everything is done for many subsets of the units at once (half-samples, splits), as columns of one matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import Units
from competency_gaps.findings.finding import LONGEST
from competency_gaps.findings.joint import Joint, sums_by_block
from competency_gaps.slices import Family

ERROR = 0.05
"""Chance that a list of nothing is not empty."""
SURE = 1.64
"""Standard errors that a slice's shrunk gap must lie off 0: by the model, 19 of 20 such gaps are on the side that they
seem. A shown interval, which may be wider, can still hold 0."""
FEWEST = 20
"""Fewest units, in effect, of a slice; half of them for a category of a column, which need not stand alone."""
FLOOR = 0.5
"""Least share of its items that must be scored: scores are seldom missing by chance."""
SHARP = 0.75
"""Power of a slice's gap by which its worth is multiplied: of slices that explain as much, the smaller and sharper one
is of more use. Lists foretell a little less with it than with 0.5, and show larger gaps that hold as well."""
LEAST = 0.5
"""Standard errors that a slice must add to what earlier ones explain."""
DEPENDENCE = 1.1
"""Times that a joined p-value near 5% must grow where tests depend on each other, as those of a run's families do: else
5.6% of lists on shuffled outcomes are not empty (``validation/own_profile.py``)."""
DRAWS = 128
"""Shuffled outcomes that show what a family is like where there is nothing."""
ALIKE = 0.5
"""Correlation from which two slices can stand for each other."""
WORSE = 2.0
"""Standard errors up to which the one of two slices that people can check better stands for the other."""
SHARES = {"columns": 4.0, "regions": 2.0, "profiles": 2.0, "clusters": 2.0, "concepts": 1.0, "features": 0.5}
"""How the error rate is divided between families; 1 for all others."""
CHECKED = ("columns", "regions", "profiles", "lists", "skills", "concepts", "clusters", "features")
"""Families by how easily people check them; others come before ``features``."""


@dataclass(frozen=True)
class Weighed:
    """A family over the units of an outcome. K slices, U units, B blocks."""

    family: Family
    weights: sp.csr_array
    """float32 of shape (K, U)."""
    size: np.ndarray
    """float64 of shape (K,): sum of the weights."""
    by_block: np.ndarray
    """float64 of shape (K, B): sum of squares of the weights about the block's mean, within each block."""
    items: np.ndarray
    """int64 of shape (K,): scored items that belong to it; ``of_items``: items, scored or not."""
    of_items: np.ndarray
    reason: list[str | None]
    """Why a slice has no gap: ``few items``, ``nearly all`` items are in it, or ``unscored`` ones; None: it has one."""

    @cached_property
    def usable(self) -> np.ndarray:
        """bool of shape (K,): large enough, not nearly everything, and scored well enough."""
        return np.array([reason is None for reason in self.reason], bool)

    @cached_property
    def questions(self) -> list[np.ndarray]:
        """The usable slices of each question."""
        names = [name for name in dict.fromkeys(self.family.question) if name is not None]
        asked = np.array(self.family.question, object)
        found = [np.flatnonzero((asked == name) & self.usable) for name in names]
        return [places for places in found if len(places)]

    def belongs(self, number: int) -> np.ndarray:
        """The items of a slice: bool of shape (N,)."""
        return self.family.member[[number]].toarray().ravel() > 0

    @cached_property
    def squares(self) -> np.ndarray:
        """float64 of shape (K,): sum of squares of the weights about their blocks' means."""
        return self.by_block.sum(axis=1, dtype=np.float64)

    def standing(self, left: np.ndarray, variances: np.ndarray) -> np.ndarray:
        """By how many standard errors the slices stand out: shape (K, H).

        Parameters
        ----------
        left : ndarray of float32 of shape (U, H)
            Centred outcomes of subsets of the units.
        variances : ndarray of float32 of shape (B, H)
            As :func:`variances` gives them.
        """
        return (self.weights @ left) / np.sqrt(np.maximum(self.by_block @ variances, 1e-9))

    @cached_property
    def alone(self) -> np.ndarray:
        """bool of shape (K,): usable slices that belong to no question."""
        return self.usable & np.array([question is None for question in self.family.question])

    @property
    def rank(self) -> int:
        """Place among the families by how easily people check it."""
        return CHECKED.index(self.family.name if self.family.name in CHECKED else "features")


def weigh(family: Family, units: Units, kept: np.ndarray) -> Weighed:
    """Sum a family's weights over the units.

    Parameters
    ----------
    kept : ndarray of bool of shape (N,)
        Items that were not left out of the run.
    """
    weights = sp.csr_array(units.rows(family.weights), dtype=np.float32)
    size = np.asarray(weights.sum(axis=1), np.float64).ravel()
    squares, sums = weights.power(2), sums_by_block(weights, units.block)
    square = np.asarray(squares.sum(axis=1), np.float64).ravel()
    by_block = np.maximum(sums_by_block(squares, units.block) - sums**2 / np.bincount(units.block), 0.0)
    scored = units.unit >= 0
    items, of_items = (np.asarray(family.member @ own.astype(np.float32)).round().astype(int) for own in (scored, kept))
    most = np.divide(size**2, square, out=np.zeros(len(size)), where=square > 0)
    distinct = np.divide(by_block.sum(axis=1), square, out=np.zeros(len(size)), where=square > 0)
    # A slice of nearly all items differs from its blocks' means in few.
    fewest = np.where([question is None for question in family.question], FEWEST, FEWEST / 2)
    unscored, few = items < FLOOR * np.maximum(of_items, 1), most < fewest
    everything = (most * distinct < fewest / 2) | (distinct <= 0.1)
    reason = np.where(unscored, "unscored", np.where(few, "few items", np.where(everything, "nearly all", "")))
    return Weighed(family, weights, size, by_block, items, of_items, [text or None for text in reason.tolist()])


def block_matrix(block: np.ndarray) -> sp.csr_array:
    """Which block each unit lies in: shape (U, B)."""
    shape = len(block), int(block.max(initial=-1)) + 1
    return sp.csr_array((np.ones(len(block), np.float32), block, np.arange(len(block) + 1)), shape=shape)


def centred(values: np.ndarray, taken: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Values less the mean of their block within each subset, 0 outside it.

    Parameters
    ----------
    values : ndarray of float of shape (U,) or (U, H)
    taken : ndarray of bool of shape (U, H)

    Returns
    -------
    ndarray of float32 of shape (U, H)
    """
    of_block = block_matrix(block)
    inside = taken.astype(np.float32)
    kept = np.asarray(values if values.ndim == 2 else values[:, None], np.float32) * inside
    mean = (of_block.T @ kept) / np.maximum(of_block.T @ inside, 1)
    kept -= mean[block] * inside
    return kept


def shuffled(values: np.ndarray, block: np.ndarray, draws: int, seed: int = 0) -> np.ndarray:
    """Values shuffled within their blocks: shape (U, draws)."""
    rng = np.random.default_rng(seed)
    order = np.argsort(block, kind="stable")
    out = np.empty((len(values), draws), np.float32)
    for places in np.split(order, np.flatnonzero(np.diff(block[order])) + 1):
        own = np.repeat(values[places].astype(np.float32)[None], draws, axis=0)
        out[places] = rng.permuted(own, axis=1).T
    return out


class Cumulants(NamedTuple):
    """Of a sum of squares of dependent normal values under the null: mean, variance and skewness."""

    mean: float
    variance: float
    skewness: float

    def tail(self, total: np.ndarray) -> np.ndarray:
        """Chance of a sum as large or larger, by the gamma curve with these cumulants."""
        from scipy.special import gammaincc

        shape = 4 / self.skewness**2
        z = (total - self.mean) / np.sqrt(self.variance)
        return np.asarray(gammaincc(shape, np.maximum(shape + np.sqrt(shape) * z, 0.0)))


@dataclass(frozen=True)
class Bar:
    """What a family is like where there is nothing to find."""

    largest: tuple[float, float]
    """Place and scale of the Gumbel curve of the largest standing of the slices outside questions, in standard
    errors."""
    total: Cumulants
    """Of the sum of squares of these slices' standings, in standard errors."""
    questions: list[Cumulants]
    """The same for the categories of each question."""

    def beyond(self, largest: np.ndarray) -> np.ndarray:
        """Chance of a largest standing as large or larger."""
        place, scale = self.largest
        return -np.expm1(-np.exp(np.minimum((place - largest) / scale, 700.0)))


def bars_of(families: Sequence[Weighed], outcome: np.ndarray, block: np.ndarray) -> list[Bar]:
    """Find the families' bars by shuffling.

    Parameters
    ----------
    outcome : ndarray of float of shape (U,)
    block : ndarray of int of shape (U,)
    """
    if not len(outcome):
        return [Bar((2.0, 0.5), _cumulants(np.zeros((0, 1))), []) for _ in families]
    whole = np.ones((len(outcome), 1), bool)
    left = centred(outcome, whole, block)
    draws, spread = shuffled(left.ravel(), block, DRAWS), variances(left, whole, block)
    return [_bar(own, own.standing(draws, spread)) for own in families]


def _bar(own: Weighed, z: np.ndarray) -> Bar:
    """The bar of a family from its standings on shuffled outcomes, of shape (K, draws)."""
    largest = np.abs(z[own.alone]).max(axis=0) if own.alone.any() else np.array([1.5, 2.5])
    spread = max(float(largest.std(ddof=1)) * np.sqrt(6) / np.pi, 1e-6)  # one failure may be the same wherever it is
    place = float(largest.mean()) - np.euler_gamma * spread
    return Bar((place, spread), _cumulants(z[own.alone]), [_cumulants(z[places]) for places in own.questions])


def _cumulants(z: np.ndarray) -> Cumulants:
    """Cumulants from draws: for normal values with covariance C, ``tr C``, ``2 tr C^2`` and ``8 tr C^3``.

    ``tr C^2`` is the mean square of two draws' product, ``tr C^3`` the mean product around three draws.
    """
    if not len(z):
        return Cumulants(1.0, 2.0, float(np.sqrt(8.0)))
    products = z.T.astype(np.float64) @ z
    np.fill_diagonal(products, 0.0)
    n = len(products)
    second = float((products**2).sum()) / (n * (n - 1))
    third = float((products @ products * products).sum()) / (n * (n - 1) * (n - 2))
    variance = 2 * max(second, 1e-9)
    # Between that of one value and that of as many independent ones.
    skewness = float(np.clip(8 * third / variance**1.5, np.sqrt(8 / len(z)), np.sqrt(8.0)))
    return Cumulants(float(len(z)), variance, skewness)


def variances(left: np.ndarray, taken: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Variance of centred outcomes in each block, times the share of its units that are taken: shape (B, H).

    Under permutation within the blocks, a product of weights with them has the variance ``sum_b SS_w(b) s^2(b)``.
    """
    of_block = block_matrix(block).T
    count = of_block @ taken.astype(np.float32)
    share = count / np.bincount(block)[:, None].astype(np.float32)
    return (of_block @ left**2) / np.maximum(count - 1, 1) * share


def anything(
    families: Sequence[Weighed], bars: Sequence[Bar], outcome: np.ndarray, taken: np.ndarray, block: np.ndarray
) -> np.ndarray:
    """P-value, for each subset of the units, of there being nothing to list at all: shape (H,).

    A family is tested by its questions, and by the largest and the sum of squares of its other slices. The tests are
    joined by the Cauchy combination, weighted by the families' shares, which dependence harms little (Liu and Xie,
    JASA 115, 2020): by :data:`DEPENDENCE`.

    Parameters
    ----------
    outcome : ndarray of float of shape (U,), or (U, H) for one outcome per subset
    taken : ndarray of bool of shape (U, H)
    """
    left = centred(outcome, taken, block)
    spread = variances(left, taken, block)
    tests, weights = [], []
    for own, bar in zip(families, bars, strict=True):
        square = own.standing(left, spread) ** 2
        found = []
        for places, null in zip(own.questions, bar.questions, strict=True):
            found.append(null.tail(square[places].sum(axis=0)))
        if own.alone.any():
            found.append(bar.total.tail(square[own.alone].sum(axis=0)))
            largest = np.sqrt(square[own.alone].max(axis=0))
            found.append(bar.beyond(largest))
        tests += found
        weights += [SHARES.get(own.family.name, 1.0) / max(1, len(found))] * len(found)
    if not tests:
        return np.ones(taken.shape[1])
    total = np.average(np.tan((0.5 - np.clip(tests, 1e-15, 0.95)) * np.pi), axis=0, weights=weights)
    return np.minimum(1.0, DEPENDENCE * (0.5 - np.arctan(total) / np.pi))


class Chosen(NamedTuple):
    """A slice of a list."""

    place: int
    """Among the slices of the joint model."""
    gap: float
    """Its own expected gap."""
    error: float
    """Standard deviation of that, at least the standard error of what the slice's own items say, and more where that
    is something else."""


def choose(
    joint: Joint,
    outcome: np.ndarray,
    taken: np.ndarray,
    p_value: np.ndarray,
    *,
    longest: int = LONGEST,
    sure: float = SURE,
    least: float = LEAST,
) -> list[list[Chosen]]:
    """Choose a list for each subset of the units: what says most of the expected outcomes in few slices.

    Parameters
    ----------
    outcome : ndarray of float of shape (U,), or (U, H) for one outcome per subset
    taken : ndarray of bool of shape (U, H)
        Units that each subset has; about as many in each.
    p_value : ndarray of float of shape (H,)
        As :func:`anything` gives it: a list is empty where it is above ``ERROR``.
    longest, sure, least
        In the place of ``LONGEST``, ``SURE`` and ``LEAST``.

    Returns
    -------
    list of list of Chosen, of length H
        In the order in which they were chosen.
    """
    sums, errors, shown = joint.expected(centred(outcome, taken, joint.design.block), float(taken.mean()))
    size = joint.design.size
    lists: list[list[Chosen]] = []
    for column, p in enumerate(p_value):
        places = _forward(joint, sums[:, column], errors[:, column], longest, sure, least) if p <= ERROR else []
        lists.append([Chosen(at, sums[at, column] / size[at], shown[at, column] / size[at]) for at in places])
    return lists


def _forward(
    joint: Joint, sums: np.ndarray, errors: np.ndarray, longest: int, least_sure: float, least: float
) -> list[int]:
    """Take the slice that explains most of what is left of the expected outcomes, until there are enough.

    Parameters
    ----------
    sums, errors : ndarray of float of shape (K,)
        Each slice's product with the expected outcomes, and its standard deviation.
    """
    gram, size, rank = joint.design.gram, joint.design.size, joint.design.rank
    own = np.maximum(np.diag(gram), 1e-9)
    scale, sure = np.sqrt(own * joint.noise), np.abs(sums) > least_sure * errors
    places: list[int] = []
    left, before = sums, np.zeros((0, len(sums)))  # rows of the inverse factor of the chosen slices' gram
    while len(places) < min(longest, len(sums)):
        # What says the opposite of its own gap only mends what earlier slices said too coarsely.
        worth = np.where(sure & (left * sums > 0), np.abs(left) / scale, 0.0)
        worth[places] = 0.0
        use = worth * np.abs(left / size) ** SHARP
        best = int(use.argmax())
        if worth[best] < least:
            break
        near = np.flatnonzero((rank < rank[best]) & (worth > 0))
        alike = gram[near, best] / np.sqrt(own[near] * own[best])
        error = np.sqrt(2 * (1 - np.minimum(alike, 1)))
        good = near[(alike >= ALIKE) & (worth[best] - worth[near] <= WORSE * error)]
        chosen = int(min(good, key=lambda at: (rank[at], -worth[at]), default=best))
        row = gram[chosen] - before[:, chosen] @ before
        own_part = row[chosen] + 1e-6
        left = left - left[chosen] / own_part * row
        before = np.concatenate([before, row[None] / np.sqrt(own_part)])
        places.append(chosen)
    return places
