"""Rank sums of groups of rows over the columns of a sparse matrix, and their moments when rows are shuffled [ours].

Rows are ranked within strata, column by column, so that long rows are compared with equally long ones. Ranks are
Wilcoxon's: equal values share the mean of their ranks, and so do all zeros, which are never written out. What is kept
is by how much a value's rank exceeds that of a zero. Rows are shuffled within strata; the sum of a group of rows is
then a sum over strata of samples drawn without replacement, of which mean, variance and third moment are exact; the
tail of the distribution is that of Pearson's type III with these moments (Mielke and Berry, Permutation Methods, 2007).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.special import gammaln

PAIRS = 2**21
"""Most pairs of a group and a column that are held at a time."""


@dataclass(frozen=True)
class Ranks:
    """Ranks of N rows within S strata, in each of M columns.

    A cell is a stratum and a column in which one of its rows is active, that is, above 0; of the others there is
    nothing to know. Cells are numbered ``stratum * M + column``.
    """

    above: sp.csr_array
    """float64 of shape (N, M): by how much a rank exceeds that of a zero of the stratum, > 0 where the value is > 0."""
    cell: np.ndarray
    """int64 of shape (cells,): their numbers, in order."""
    active: np.ndarray
    """int64 of shape (cells,): active rows."""
    powers: np.ndarray
    """float64 of shape (3, cells): mean of ``above`` over the stratum's rows, of its square, and of its cube."""
    sizes: np.ndarray
    """float64 of shape (S,): rows of each stratum."""


def ranks_of(values: sp.csr_array, stratum: np.ndarray) -> Ranks:
    """Rank rows within strata in each column; values are at least 0, strata are numbered from 0."""
    rows, columns = values.shape
    sizes = np.bincount(stratum).astype(np.float64)
    entries = sp.coo_array(values)
    kept = entries.data != 0
    row, column, value = entries.row[kept], entries.col[kept], entries.data[kept]
    cell = stratum[row].astype(np.int64) * columns + column
    order = np.lexsort((value, cell))
    row, column, cell, value = row[order], column[order], cell[order], value[order]
    if not len(cell):
        nothing = np.zeros(0, np.int64)
        return Ranks(sp.csr_array((rows, columns)), nothing, nothing, np.zeros((3, 0)), sizes)
    new_cell = np.r_[True, cell[1:] != cell[:-1]]
    first = np.flatnonzero(new_cell)
    active = np.diff(np.r_[first, len(cell)])
    place = np.arange(len(cell)) - np.repeat(first, active) + 1.0
    # Equal values of a cell share the mean of the first and the last place.
    fresh = new_cell | np.r_[True, value[1:] != value[:-1]]
    tied = np.diff(np.r_[np.flatnonzero(fresh), len(cell)])
    shared = np.repeat(place[fresh] + (tied - 1) / 2, tied)
    of_cell = sizes[cell[first] // columns]
    zeros = np.repeat(of_cell - active, active)
    above = shared + (zeros - 1) / 2  # a value's rank is shared + zeros, a zero's (zeros + 1) / 2
    powers = np.stack([np.add.reduceat(above**power, first) / of_cell for power in (1, 2, 3)])
    return Ranks(sp.csr_array((above, (row, column)), shape=(rows, columns)), cell[first], active, powers, sizes)


@dataclass(frozen=True)
class RankSums:
    """Rank sums of groups of rows, beside those of as many shuffled rows. Arrays of one shape, a value per pair."""

    auroc: np.ndarray
    """Of all pairs of a row of the group and another of its stratum, the share in which the group's row has the larger
    value, ties counting half: in [0, 1], 1/2 without such pairs."""
    excess: np.ndarray
    """The rank sum less its mean when rows are shuffled, in standard deviations of the shuffled sum; 0 where that is
    0."""
    skewness: np.ndarray
    """Of the rank sum when rows are shuffled."""
    active: np.ndarray
    """Rows of the group with a value above 0."""
    chance_active: np.ndarray
    """Chance, in (0, 1], that as many or more of as many shuffled rows have a value above 0; NaN where one or more is
    expected, as nothing rests on it there."""
    expected_active: np.ndarray
    """Mean number of those."""

    @property
    def p_value(self) -> np.ndarray:
        """Chance, in (0, 1], that shuffled rows have a rank sum at least as large.

        Where fewer than one active row is expected, the sum goes with how many are active, in few steps, and the
        chance of as many is the least p-value.
        """
        from scipy.stats import pearson3

        tail = pearson3.sf(self.excess, np.clip(self.skewness, 1e-6, None))
        tail = np.where(self.expected_active < 1, np.fmax(tail, self.chance_active), tail)
        return np.where(self.excess > 0, np.clip(tail, np.finfo(float).tiny, 1.0), 1.0)


@dataclass(frozen=True)
class _Drawn:
    """How many rows of groups are in which strata. G groups, in at most W strata each; a place without one draws 0."""

    stratum: np.ndarray
    """int64 of shape (G, W)."""
    count: np.ndarray
    """float64 of shape (G, W)."""
    size: np.ndarray
    """float64 of shape (G, W): rows of the stratum."""

    @property
    def pairs(self) -> np.ndarray:
        """Pairs of a row of the group and another of its stratum: (G,)."""
        total: np.ndarray = (self.count * (self.size - self.count)).sum(axis=1)
        return total


class ShuffledRanks:
    """Ranks of N rows in M columns, whose moments under shuffling are known.

    Parameters
    ----------
    values : csr_array of shape (N, M)
        At least 0.
    stratum : ndarray of int of shape (N,)
        Rows are ranked and shuffled within these; numbered from 0.
    """

    def __init__(self, values: sp.csr_array, stratum: np.ndarray) -> None:
        self._ranks = ranks_of(values, stratum)
        self._columns = values.shape[1]
        above = self._ranks.above
        # One product gives the sum of the ranks and, as its imaginary part, the number of active rows.
        self._counted = sp.csr_array((above.data + 1j, above.indices, above.indptr), shape=above.shape)
        self._reach = np.diff(above.indptr).astype(np.float64)
        rows = len(stratum)
        self._strata = sp.csr_array((np.ones(rows), (np.arange(rows), stratum)), shape=(rows, len(self._ranks.sizes)))

    def strongest(
        self, member: sp.csr_array, able: np.ndarray, count: int, fewest: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Columns in which groups of rows exceed shuffled ones by the largest AUROC.

        Parameters
        ----------
        member : csr_array of shape (G, N)
            1 where a row is of a group.
        able : ndarray of bool of shape (M,)
            Columns that may be chosen.
        fewest
            Fewest rows of the group with a value above 0, at least 1.

        Returns
        -------
        ndarray of int64 of shape (G, count)
            The strongest first; -1: fewer exceed.
        ndarray of float64 of shape (G, count)
            Their AUROC; 1/2: fewer exceed.
        """
        drawn = self._drawn(member)
        best = np.full((member.shape[0], count), -1)
        auroc = np.full((member.shape[0], count), 0.5)
        for start, product in self._products(member):
            row = np.repeat(np.arange(product.shape[0]), np.diff(product.indptr)) + start
            column, sums = product.indices, product.data
            kept = np.flatnonzero((sums.imag >= fewest) & able[column])
            row, column, sums = row[kept], column[kept], sums[kept].real
            for stratum, number in zip(drawn.stratum.T, drawn.count.T, strict=True):
                sums = sums - number[row] * self._moment(stratum[row], column, self._ranks.powers[0])
            order = np.lexsort((column, -sums, row))
            order = order[sums[order] > 1e-9]
            row, column, sums = row[order], column[order], sums[order]
            place = np.arange(len(row)) - np.searchsorted(row, row)
            top = place < count
            at = row[top], place[top]
            best[at] = column[top]
            auroc[at] += sums[top] / np.maximum(1, drawn.pairs[row[top]])
        return best, auroc

    def sums(self, member: sp.csr_array, row: np.ndarray, column: np.ndarray) -> RankSums:
        """Sum the ranks of groups of rows in columns: of the group ``row[i]`` in ``column[i]``; rows ascend."""
        every = self._drawn(member)
        drawn = _Drawn(every.stratum[row], every.count[row], every.size[row])
        total = self._sums_at(member, row, column)
        number, sizes = drawn.count, drawn.size
        at = (drawn.stratum, column[:, None])
        mean, square, cube = (self._moment(*at, values) for values in self._ranks.powers)
        there = self._moment(*at, self._ranks.active)
        # Of n of N values drawn without replacement: factors of the population's second and third central moment.
        with np.errstate(divide="ignore", invalid="ignore"):
            second = np.nan_to_num(number * (sizes - number) / (sizes - 1))
            third = np.nan_to_num(
                number * (sizes - number) * (sizes - 2 * number) / ((sizes - 1) * (sizes - 2)), posinf=0, neginf=0
            )
        variance = np.maximum(0.0, (second * (square - mean**2)).sum(axis=1))
        spread = np.sqrt(variance)
        known = variance > 1e-9 * np.maximum(1.0, (second * square).sum(axis=1))
        gain = np.where(known, total.real - (number * mean).sum(axis=1), 0.0)
        third_moment = (third * (cube - 3 * mean * square + 2 * mean**3)).sum(axis=1)
        nothing = np.zeros(len(row))
        expected = (number * there / sizes).sum(axis=1)
        chance = np.full(len(row), np.nan)
        rare = np.flatnonzero(expected < 1)
        chance[rare] = _chance_of_active(total.imag[rare], number[rare], there[rare], sizes[rare])
        return RankSums(
            auroc=0.5 + gain / np.maximum(1.0, drawn.pairs),
            excess=np.divide(gain, spread, out=nothing.copy(), where=known),
            skewness=np.divide(third_moment, spread**3, out=nothing.copy(), where=known),
            active=total.imag,
            chance_active=chance,
            expected_active=expected,
        )

    def _products(self, member: sp.csr_array) -> Iterator[tuple[int, sp.csr_array]]:
        """Sums of ranks (real) and active rows (imaginary) of groups in columns, some groups at a time: their first."""
        member = sp.csr_array(member)
        reach = np.cumsum(np.minimum(member @ self._reach, self._columns))
        start = 0
        while start < member.shape[0]:
            before = reach[start - 1] if start else 0.0
            stop = max(start + 1, int(np.searchsorted(reach, before + PAIRS, side="right")))
            product = sp.csr_array(member[start:stop] @ self._counted)
            product.sort_indices()
            yield start, product
            start = stop

    def _sums_at(self, member: sp.csr_array, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        total = np.zeros(len(row), np.complex128)
        for start, product in self._products(member):
            own = slice(*np.searchsorted(row, (start, start + product.shape[0])))
            keys = np.repeat(np.arange(product.shape[0]), np.diff(product.indptr)) * self._columns + product.indices
            total[own] = _looked_up(keys, product.data, (row[own] - start) * self._columns + column[own])
        return total

    def _moment(self, stratum: np.ndarray, column: np.ndarray, values: np.ndarray) -> np.ndarray:
        """What is known of cells, 0 where no row is active."""
        return _looked_up(self._ranks.cell, values, stratum * self._columns + column)

    def _drawn(self, member: sp.csr_array) -> _Drawn:
        counts = sp.csr_array(sp.csr_array(member, dtype=np.float64) @ self._strata)
        each = np.diff(counts.indptr)
        row = np.repeat(np.arange(counts.shape[0]), each)
        place = np.arange(len(row)) - np.repeat(counts.indptr[:-1], each)
        shape = (counts.shape[0], int(each.max(initial=0)))
        stratum, count = np.zeros(shape, np.int64), np.zeros(shape)
        stratum[row, place], count[row, place] = counts.indices, counts.data
        return _Drawn(stratum, count, self._ranks.sizes[stratum])


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values of the wanted keys, 0 where there is none; ``keys`` ascend."""
    if not len(keys):
        return np.zeros(wanted.shape, values.dtype)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)


def _chance_of_active(active: np.ndarray, drawn: np.ndarray, there: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Exact chance of at least ``active`` active rows among those drawn from each stratum (hypergeometric)."""
    if not len(active):
        return np.zeros(0)
    most = np.minimum(drawn, there).max(axis=0).astype(np.int64)
    total = np.ones((len(active), 1))
    for stratum, steps in enumerate(most):
        part = _hypergeometric(np.arange(steps + 1), *(of[:, [stratum]] for of in (sizes, there, drawn)))
        new = np.zeros((len(active), total.shape[1] + steps))
        for step in range(steps + 1):
            new[:, step : step + total.shape[1]] += part[:, [step]] * total
        total = new
    at_least = np.cumsum(total[:, ::-1], axis=1)[:, ::-1]
    at = np.minimum(active.astype(np.int64), at_least.shape[1] - 1)
    chance: np.ndarray = np.clip(at_least[np.arange(len(active)), at], 0.0, 1.0)
    return chance


def _hypergeometric(number: np.ndarray, size: np.ndarray, there: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Chance that of ``drawn`` of ``size`` rows, ``there`` of which are active, ``number`` are."""

    def log_choose(of: np.ndarray, some: np.ndarray) -> np.ndarray:
        left = np.asarray(of - some)
        count = gammaln(of + 1) - gammaln(some + 1) - gammaln(np.maximum(left, 0) + 1)
        return np.where(left < 0, -np.inf, count)

    rest = np.maximum(drawn - number, 0)
    chance = np.exp(log_choose(there, number) + log_choose(size - there, rest) - log_choose(size, drawn))
    return np.where(number > drawn, 0.0, chance)
