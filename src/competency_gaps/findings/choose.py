"""Choose the slices that explain an outcome: forward, and with a chance of at most 5% to list anything of noise [ours].

Each step takes the slice with the largest evidence beyond its family's threshold and subtracts its part from the
outcome. The error rate is divided between families by fixed weights; inside a family it holds for the maximum over its
slices when outcomes are shuffled within strata. The categories of a column answer one question, which is tested as a
whole: where it passes, a category need not pass alone.

Everything is done for many subsets of the units at once (half-samples, splits), as columns of one matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import Units
from competency_gaps.slices import Family

ERROR = 0.05
"""Chance that a list of nothing is not empty."""
LATER = 0.2
"""Once it is sure that there is something: error rate of the first slice, twice that of the second, and so on, so that
about this share of a list may be chosen by chance. Their gaps are shrunk in any case."""
MOST = 0.9
"""Largest error rate of a slice."""
LONGEST = 10
"""Most slices of a list."""
FEWEST = 20
"""Fewest units, in effect, of a slice; half of them for a category of a column, which need not stand alone."""
FLOOR = 0.5
"""Least share of its items that must be scored: scores are seldom missing by chance."""
DRAWS = 256
"""Shuffled outcomes from which a family's number of independent slices is taken."""
LISTED = 1.5
"""Standard errors that a category of a column that passes as a whole must stand out by."""
ALIKE = 0.5
"""Correlation from which two slices can stand for each other."""
SHARES = {"columns": 4.0, "themes": 1.0, "profiles": 2.0, "clusters": 2.0, "concepts": 1.0, "features": 0.5}
"""How the error rate is divided between families; 1 for all others."""
CHECKED = ("columns", "themes", "profiles", "lists", "skills", "concepts", "clusters", "features")
"""Families by how easily people check them; others come before ``features``."""


@dataclass(frozen=True)
class Weighed:
    """A family over the units of an outcome. K slices, U units, B blocks."""

    family: Family
    weights: sp.csr_array
    """float32 of shape (K, U)."""
    size: np.ndarray
    """float64 of shape (K,): sum of the weights."""
    squares: np.ndarray
    """float64 of shape (K,): sum of squares of the weights about their blocks' means."""
    member: sp.csr_array
    """float32 of shape (K, N): 1 for the items that belong to a slice, as their weight is half of the largest."""
    items: np.ndarray
    """int64 of shape (K,): scored items that belong to it; ``of_items``: items, scored or not."""
    of_items: np.ndarray
    usable: np.ndarray
    """bool of shape (K,): large enough, not nearly everything, and scored well enough."""

    @cached_property
    def questions(self) -> list[np.ndarray]:
        """The usable slices of each question."""
        names = [name for name in dict.fromkeys(self.family.question) if name is not None]
        asked = np.array(self.family.question, object)
        found = [np.flatnonzero((asked == name) & self.usable) for name in names]
        return [places for places in found if len(places)]

    def belongs(self, number: int) -> np.ndarray:
        """The items of a slice: bool of shape (N,)."""
        return self.member[[number]].toarray().ravel() > 0

    @cached_property
    def alone(self) -> np.ndarray:
        """bool of shape (K,): usable slices that belong to no question."""
        return self.usable & np.array([question is None for question in self.family.question])

    def row(self, number: int) -> np.ndarray:
        """The weights of a slice in the units: float64 of shape (U,)."""
        row = np.zeros(self.weights.shape[1])
        start, end = self.weights.indptr[number : number + 2]
        row[self.weights.indices[start:end]] = self.weights.data[start:end]
        return row

    @property
    def rank(self) -> int:
        """Place among the families by how easily people check it."""
        last = CHECKED.index("features")
        return CHECKED.index(self.family.name) if self.family.name in CHECKED else last


def weigh(family: Family, units: Units, kept: np.ndarray) -> Weighed:
    """Sum a family's weights over the units.

    Parameters
    ----------
    kept : ndarray of bool of shape (N,)
        Items that were not left out of the run.
    """
    rows = sp.csr_array(family.weights)
    weights = sp.csr_array(units.rows(rows), dtype=np.float32)
    size = np.asarray(weights.sum(axis=1), np.float64).ravel()
    square = np.asarray(weights.power(2).sum(axis=1), np.float64).ravel()
    by_block = weights @ block_matrix(units.block)
    count = np.bincount(units.block)
    squares = square - np.asarray((by_block.power(2) @ (1.0 / count)), np.float64).ravel()
    scored = units.unit >= 0
    member = rows.copy()
    member.data = (member.data >= np.repeat(_half_of_largest(rows), np.diff(rows.indptr))).astype(np.float32)
    items, of_items = (np.asarray(member @ own.astype(np.float32)).round().astype(int) for own in (scored, kept))
    most = np.divide(size**2, square, out=np.zeros(len(size)), where=square > 0)
    distinct = np.divide(squares, square, out=np.zeros(len(size)), where=square > 0)
    # A slice of nearly all items differs from its blocks' means in few.
    fewest = np.where([question is None for question in family.question], FEWEST, FEWEST / 2)
    usable = (most >= fewest) & (most * distinct >= fewest / 2) & (distinct > 0.1)
    usable &= items >= FLOOR * np.maximum(of_items, 1)
    return Weighed(family, weights, size, squares, member, items, of_items, usable)


def _half_of_largest(rows: sp.csr_array) -> np.ndarray:
    """Weight from which an item belongs to a slice: half of the slice's largest."""
    return np.asarray(rows.max(axis=1).toarray() / 2).ravel()


def block_matrix(block: np.ndarray) -> sp.csr_array:
    """Which block each unit lies in: shape (U, B)."""
    return sp.csr_array((np.ones(len(block), np.float32), block, np.arange(len(block) + 1)))


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
    kept = np.where(taken, values if values.ndim == 2 else values[:, None], 0).astype(np.float32)
    mean = (of_block.T @ kept) / np.maximum(of_block.T @ taken.astype(np.float32), 1)
    return np.where(taken, kept - mean[block], 0).astype(np.float32)


def shuffled(values: np.ndarray, block: np.ndarray, draws: int, seed: int = 0) -> np.ndarray:
    """Values shuffled within their blocks: shape (U, draws)."""
    rng = np.random.default_rng(seed)
    home = np.argsort(block, kind="stable")
    out = np.empty((len(values), draws), np.float32)
    for draw in range(draws):
        order = rng.permutation(len(values))
        out[home, draw] = values[order[np.argsort(block[order], kind="stable")]]
    return out


@dataclass(frozen=True)
class Bar:
    """What a slice of a family must reach."""

    independent: float
    """Number of independent slices that would give the same maxima."""
    total: tuple[float, float]
    """Mean and variance of the sum of squares over the family's slices, in standard errors."""
    spread: list[float]
    """Per question: variance of its sum of squares over its mean, both for unit variances."""

    def threshold(self, error: float) -> float:
        """Standard errors that the maximum over the family exceeds with a chance of ``error``."""
        from scipy.special import ndtri

        return float(-ndtri((1 - (1 - error) ** (1 / self.independent)) / 2))


def bar_of(weighed: Weighed, outcome: np.ndarray, block: np.ndarray) -> Bar:
    """Find a family's bar by shuffling: the maxima over its slices are those of so many independent normal values."""
    from scipy.special import ndtr

    independent, total = 1.0, (1.0, 2.0)
    if weighed.alone.any():
        outcome = centred(outcome, np.ones((len(outcome), 1), bool), block).ravel()
        scale = np.sqrt(np.maximum(weighed.squares[weighed.alone], 1e-9) * _variance(outcome, block))
        z = np.abs(weighed.weights[weighed.alone] @ shuffled(outcome, block, DRAWS)) / scale[:, None]
        # -log of the chance that one normal value stays below the maximum is exponential: its rate is that number.
        independent = max(1.0, DRAWS / float(-np.log1p(-2 * ndtr(-z.max(axis=0))).sum()))
        sums = (z**2).sum(axis=0)
        total = float(sums.mean()), float(sums.var(ddof=1))
    spread = []
    for places in weighed.questions:
        rows = weighed.weights[places]
        of_block = rows @ block_matrix(block)
        shared = (rows @ rows.T).toarray() - ((of_block / np.bincount(block)) @ of_block.T).toarray()
        scale = np.sqrt(np.maximum(np.diag(shared), 1e-9))
        spread.append(float(2 * ((shared / scale / scale[:, None]) ** 2).sum() / len(places)))
    return Bar(independent, total, spread)


def _variance(values: np.ndarray, block: np.ndarray) -> float:
    """Variance of values that are centred in their blocks."""
    return float((np.asarray(values, np.float64) ** 2).sum() / max(1, len(values) - len(np.unique(block))))


@dataclass(frozen=True)
class Chosen:
    """A slice of a list."""

    family: int
    """Place of its family."""
    slice: int
    """Place in its family."""
    z: float
    """Standard errors by which it stood out when it was chosen; its sign is the gap's."""


def choose(
    families: Sequence[Weighed], bars: Sequence[Bar], outcome: np.ndarray, taken: np.ndarray, block: np.ndarray
) -> list[list[Chosen]]:
    """Choose a list for each subset of the units.

    Parameters
    ----------
    outcome : ndarray of float of shape (U,), or (U, H) for one outcome per subset
    taken : ndarray of bool of shape (U, H)
        Units that each subset has.

    Returns
    -------
    list of list of Chosen, of length H
        In the order in which they were chosen.
    """
    shares = _shares(families)
    left = centred(outcome, taken, block)
    lists: list[list[Chosen]] = [[] for _ in range(taken.shape[1])]
    z = _standing(families, left, taken)
    open_ = np.flatnonzero(_anything(families, bars, z, shares) <= ERROR)
    pulls = [certainty(own, values, taken) for own, values in zip(families, z, strict=True)]
    for step in range(LONGEST):
        error = min(MOST, LATER * (step + 1))
        z = _standing(families, left[:, open_], taken[:, open_])
        passes = [
            _passes(own, bar, values, error * share)
            for own, bar, values, share in zip(families, bars, z, shares, strict=True)
        ]
        still = []
        for place, column in enumerate(open_):
            best = _best(
                families,
                [own[:, place] for own in z],
                [pull[:, column] for pull in pulls],
                [own[:, place] for own in passes],
                lists[column],
            )
            if best is None:
                continue
            lists[column].append(best)
            row = families[best.family].row(best.slice)
            explained = centred(row, taken[:, [column]], block).ravel()
            left[:, column] -= explained * (explained @ left[:, column]) / max(float(explained @ explained), 1e-9)
            still.append(column)
        open_ = np.array(still, int)
        if not len(open_):
            break
    return lists


def _shares(families: Sequence[Weighed]) -> list[float]:
    """Each family's share of the error; families of which no slice can be tried have none."""
    held = [SHARES.get(own.family.name, 1.0) if own.usable.any() else 0.0 for own in families]
    return [share / max(sum(held), 1e-9) for share in held]


def _standing(families: Sequence[Weighed], left: np.ndarray, taken: np.ndarray) -> list[np.ndarray]:
    """By how many standard errors each slice stands out on each subset: per family (K, H)."""
    variance = (left.astype(np.float64) ** 2).sum(axis=0) / np.maximum(taken.sum(axis=0), 1)
    part = variance * taken.mean(axis=0)
    return [(own.weights @ left) / np.sqrt(np.maximum(own.squares[:, None] * part, 1e-9)) for own in families]


def certainty(own: Weighed, z: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Part of the variance of each slice's standing that true gaps make: shape (K, H), in [0, 1).

    True gaps are normal about 0, with a variance by maximum likelihood for each family and subset.
    """
    size = own.squares[:, None] * taken.mean(axis=0)
    square, n = z[own.usable] ** 2, size[own.usable]
    if not len(n):
        return np.zeros(z.shape)
    fits = [(np.log1p(ratio * n) + square / (1 + ratio * n)).sum(axis=0) for ratio in RATIOS]
    ratio = RATIOS[np.argmin(fits, axis=0)]
    return ratio * size / (1 + ratio * size)


RATIOS = np.exp(np.linspace(np.log(1e-5), np.log(1.0), 60))
"""Variances of true gaps, in variances of the outcome, among which the likeliest is taken."""


def _anything(
    families: Sequence[Weighed], bars: Sequence[Bar], z: Sequence[np.ndarray], shares: Sequence[float]
) -> np.ndarray:
    """P-value of there being nothing to list at all: shape (H,).

    A family is tested by its questions, and by the largest and the sum of squares of its other slices. The tests are
    joined by the Cauchy combination, weighted by the families' shares, which dependence does not harm (Liu and Xie,
    JASA 115, 2020).
    """
    from scipy.special import gammaincc, ndtr

    tests, weights = [], []
    for own, bar, values, share in zip(families, bars, z, shares, strict=True):
        found = []
        for places, spread in zip(own.questions, bar.spread, strict=True):
            found.append(gammaincc(len(places) / spread, (values[places] ** 2).sum(axis=0) / spread))
        if own.alone.any():
            mean, variance = bar.total
            square = values[own.alone] ** 2
            found.append(gammaincc(mean**2 / variance, square.sum(axis=0) * mean / variance))
            found.append(-np.expm1(bar.independent * np.log1p(-2 * ndtr(-np.sqrt(square.max(axis=0))))))
        tests += found
        weights += [share / len(found)] * len(found)
    if not tests:
        return np.ones(z[0].shape[1] if z else 0)
    total = np.average(np.tan((0.5 - np.clip(tests, 1e-15, 0.95)) * np.pi), axis=0, weights=weights)
    return 0.5 - np.arctan(total) / np.pi


def _passes(own: Weighed, bar: Bar, z: np.ndarray, error: float) -> np.ndarray:
    """Which slices may be chosen: bool of the shape of ``z``."""
    from scipy.special import gammaincc

    passes = np.zeros(z.shape, bool)
    for places, spread in zip(own.questions, bar.spread, strict=True):
        total = (z[places] ** 2).sum(axis=0)
        p = gammaincc(len(places) / spread, total / spread)
        passes[places] = (p <= error / len(own.questions)) & (np.abs(z[places]) > LISTED)
    if own.alone.any():
        passes |= own.alone[:, None] & (np.abs(z) > bar.threshold(error))
    return passes


def _best(
    families: Sequence[Weighed],
    z: Sequence[np.ndarray],
    pulls: Sequence[np.ndarray],
    passes: Sequence[np.ndarray],
    earlier: Sequence[Chosen],
) -> Chosen | None:
    """The slice that explains most; of those that explain as much of the same items, the one that is checked best."""
    candidates: list[tuple[float, Chosen]] = []
    for place, (values, pull, may) in enumerate(zip(z, pulls, passes, strict=True)):
        own = np.setdiff1d(np.flatnonzero(may), [one.slice for one in earlier if one.family == place])
        worth = np.abs(values[own]) * np.sqrt(pull[own])
        for at in np.argsort(-worth)[:CLOSE]:
            candidates.append((float(worth[at]), Chosen(place, int(own[at]), float(values[own[at]]))))
    if not candidates:
        return None
    most, best = max(candidates, key=lambda pair: pair[0])
    rank = families[best.family].rank
    near = [
        (families[one.family].rank, -worth, one)
        for worth, one in candidates
        if families[one.family].rank < rank and one.z * best.z > 0 and most - worth <= 1
    ]
    for _, worth, one in sorted(near, key=lambda entry: entry[:2]):
        alike = likeness(families, one, best)
        if alike >= ALIKE and most - worth <= np.sqrt(2 * (1 - alike)):
            return one
    return best


CLOSE = 30
"""Slices of each family that are looked at for one that is checked more easily."""


def likeness(families: Sequence[Weighed], first: Chosen, second: Chosen) -> float:
    """Cosine of the weights of two slices."""
    a, b = (families[one.family].row(one.slice) for one in (first, second))
    return float(a @ b / np.sqrt(float(a @ a) * float(b @ b)))
