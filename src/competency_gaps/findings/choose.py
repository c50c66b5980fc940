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
LATER = 0.25
"""Error rate of the slices after the first: the list is not empty then, whatever follows."""
LONGEST = 10
"""Most slices of a list."""
FEWEST = 20
"""Fewest units, in effect, that a slice has, and that it leaves out."""
FLOOR = 0.5
"""Least share of its items that must be scored: scores are seldom missing by chance."""
DRAWS = 64
"""Shuffled outcomes from which a family's number of independent slices is taken."""
LISTED = 2.0
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
    usable = (most >= FEWEST) & (most * distinct >= FEWEST) & (distinct > 0.1)
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
    spread: list[float]
    """Per question: variance of its sum of squares over its mean, both for unit variances."""

    def threshold(self, error: float) -> float:
        """Standard errors that the maximum over the family exceeds with a chance of ``error``."""
        from scipy.special import ndtri

        return float(-ndtri((1 - (1 - error) ** (1 / self.independent)) / 2))


def bar_of(weighed: Weighed, outcome: np.ndarray, block: np.ndarray) -> Bar:
    """Find a family's bar by shuffling: the maxima over its slices are those of so many independent normal values."""
    from scipy.special import ndtr

    if not weighed.usable.any():
        return Bar(1.0, [])
    outcome = centred(outcome, np.ones((len(outcome), 1), bool), block).ravel()
    draws = shuffled(outcome, block, DRAWS)
    scale = np.sqrt(np.maximum(weighed.squares[weighed.usable], 1e-9) * _variance(outcome, block))
    z = np.abs(weighed.weights[weighed.usable] @ draws) / scale[:, None]
    # -log of the chance that one normal value stays below the maximum is exponential, with that number as its rate.
    independent = DRAWS / float(-np.log1p(-2 * ndtr(-z.max(axis=0))).sum())
    spread = []
    for places in weighed.questions:
        rows = weighed.weights[places]
        of_block = rows @ block_matrix(block)
        shared = (rows @ rows.T).toarray() - ((of_block / np.bincount(block)) @ of_block.T).toarray()
        scale = np.sqrt(np.maximum(np.diag(shared), 1e-9))
        spread.append(float(2 * ((shared / scale / scale[:, None]) ** 2).sum() / len(places)))
    return Bar(max(1.0, independent), spread)


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
    outcome : ndarray of float of shape (U,)
    taken : ndarray of bool of shape (U, H)
        Units that each subset has.

    Returns
    -------
    list of list of Chosen, of length H
        In the order in which they were chosen.
    """
    total = sum(SHARES.get(own.family.name, 1.0) for own in families if own.usable.any())
    left = centred(outcome, taken, block)
    part = taken.mean(axis=0)
    lists: list[list[Chosen]] = [[] for _ in range(taken.shape[1])]
    open_ = np.arange(taken.shape[1])
    for step in range(LONGEST):
        if not len(open_):
            break
        error = ERROR if not step else LATER
        variance = (left[:, open_].astype(np.float64) ** 2).sum(axis=0) / np.maximum(taken[:, open_].sum(axis=0), 1)
        z, passes = [], []
        for own, bar in zip(families, bars, strict=True):
            scale = np.sqrt(np.maximum(own.squares, 1e-9)[:, None] * part[open_] * variance)
            z.append((own.weights @ left[:, open_]) / scale)
            share = error * SHARES.get(own.family.name, 1.0) / max(total, 1e-9)
            passes.append(_passes(own, bar, z[-1], share))
        still = []
        for place, column in enumerate(open_):
            best = _best(families, [own[:, place] for own in z], [own[:, place] for own in passes], lists[column])
            if best is None:
                continue
            lists[column].append(best)
            own = families[best.family]
            row = own.weights[[best.slice]].toarray().ravel()
            explained = centred(row, taken[:, [column]], block).ravel()
            left[:, column] -= explained * (explained @ left[:, column]) / max(float(explained @ explained), 1e-9)
            still.append(column)
        open_ = np.array(still, int)
    return lists


def _passes(own: Weighed, bar: Bar, z: np.ndarray, error: float) -> np.ndarray:
    """Which slices may be chosen: bool of the shape of ``z``."""
    from scipy.special import gammaincc

    asked = own.questions
    passes = np.zeros(z.shape, bool)
    alone = own.usable.copy()
    for places, spread in zip(asked, bar.spread, strict=True):
        total = (z[places] ** 2).sum(axis=0)
        p = gammaincc(len(places) / spread, total / spread)
        passes[places] = (p <= error / len(asked)) & (np.abs(z[places]) > LISTED)
        alone[places] = False
    if alone.any():
        passes |= alone[:, None] & (np.abs(z) > bar.threshold(error))
    return passes


def _best(
    families: Sequence[Weighed], z: Sequence[np.ndarray], passes: Sequence[np.ndarray], earlier: Sequence[Chosen]
) -> Chosen | None:
    """The slice that stands out most; of those that explain as much of the same items, the one that is checked best."""
    candidates = []
    for place, (values, may) in enumerate(zip(z, passes, strict=True)):
        may = may.copy()
        may[[one.slice for one in earlier if one.family == place]] = False
        own = np.flatnonzero(may)
        if len(own):
            top = own[np.argsort(-np.abs(values[own]))[:30]]
            candidates += [Chosen(place, int(at), float(values[at])) for at in top]
    if not candidates:
        return None
    best = max(candidates, key=lambda one: abs(one.z))
    rank = families[best.family].rank
    near = [one for one in candidates if families[one.family].rank < rank and one.z * best.z > 0]
    near = [one for one in near if abs(one.z) >= abs(best.z) - 1]
    for one in sorted(near, key=lambda one: (families[one.family].rank, -abs(one.z))):
        alike = likeness(families, one, best)
        if alike >= ALIKE and abs(best.z) - abs(one.z) <= np.sqrt(2 * (1 - alike)):
            return one
    return best


def likeness(families: Sequence[Weighed], first: Chosen, second: Chosen) -> float:
    """Cosine of the weights of two slices."""
    a = families[first.family].weights[[first.slice]]
    b = families[second.family].weights[[second.slice]]
    return float((a @ b.T).sum() / np.sqrt(float(a.power(2).sum()) * float(b.power(2).sum())))
