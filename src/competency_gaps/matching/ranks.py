"""Rank sums of groups of rows over the columns of a sparse matrix, and their moments when rows are shuffled [ours].

A column's ranks are Wilcoxon's: equal values share the mean of their ranks, and so do all zeros, which are never
written out. What is kept is by how much a value's rank exceeds that of a zero. Rows are shuffled within strata, so that
groups of long rows are compared with groups of equally long ones. The sum of a group of rows is then a sum over strata
of samples drawn without replacement, of which mean, variance and third moment are exact; the tail of the distribution
is that of Pearson's type III with these moments (Mielke and Berry, Permutation Methods, 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.stats import pearson3

COLUMNS = 4096
"""Columns whose moments are in memory at once."""


@dataclass(frozen=True)
class Ranks:
    """Ranks of N rows in each of M columns."""

    above: sp.csr_array
    """float64 of shape (N, M): by how much a rank exceeds that of a zero, > 0 where the value is not 0."""
    zero: np.ndarray
    """float64 of shape (M,): the rank of a zero, from 1/2 (none) to (N + 1) / 2."""


def ranks_of(values: sp.csr_array) -> Ranks:
    """Rank the rows of each column; values are at least 0."""
    rows, columns = values.shape
    entries = sp.coo_array(values)
    kept = entries.data != 0
    row, column, value = entries.row[kept], entries.col[kept], entries.data[kept]
    order = np.lexsort((value, column))
    row, column, value = row[order], column[order], value[order]
    count = np.bincount(column, minlength=columns)
    starts = np.cumsum(count) - count
    place = np.arange(len(column)) - starts[column] + 1.0
    # Equal values of a column share the mean of the first and the last place.
    fresh = np.r_[True, (column[1:] != column[:-1]) | (value[1:] != value[:-1])] if len(column) else np.zeros(0, bool)
    tie = np.cumsum(fresh) - 1
    sizes = np.bincount(tie) if len(tie) else np.zeros(0, np.int64)
    shared = place[fresh] + (sizes - 1) / 2 if len(tie) else place
    zeros = rows - count
    zero = (zeros + 1) / 2
    above = shared[tie] + zeros[column] - zero[column] if len(tie) else place
    return Ranks(sp.csr_array((above, (row, column)), shape=(rows, columns)), zero)


@dataclass(frozen=True)
class RankSums:
    """Rank sums of G groups of rows in M columns, beside those of as many shuffled rows. Arrays of shape (G, M)."""

    auroc: np.ndarray
    """How often a row of the group has a larger value than another row, ties counting half; in [0, 1]."""
    excess: np.ndarray
    """The rank sum less its mean when rows are shuffled, in its standard deviations; 0 where that is 0."""
    skewness: np.ndarray
    """Of the rank sum when rows are shuffled."""

    @property
    def p_value(self) -> np.ndarray:
        """Chance, in (0, 1], that shuffled rows have a rank sum at least as large."""
        tail = pearson3.sf(self.excess, np.clip(self.skewness, 1e-6, None))
        return np.where(self.excess > 0, np.clip(tail, np.finfo(float).tiny, 1.0), 1.0)


class ShuffledRanks:
    """Ranks of N rows whose moments under shuffling are known.

    Parameters
    ----------
    values : csr_array of shape (N, M)
        At least 0.
    stratum : ndarray of int of shape (N,)
        Rows are shuffled within these; numbered from 0.
    """

    def __init__(self, values: sp.csr_array, stratum: np.ndarray) -> None:
        self._ranks = ranks_of(values)
        self._above = sp.csc_array(self._ranks.above)
        rows = len(stratum)
        self._strata = sp.csr_array((np.ones(rows), (stratum, np.arange(rows))))
        self._sizes = np.asarray(self._strata.sum(axis=1), np.float64)
        sums = ((self._strata @ self._ranks.above.power(power)).toarray() for power in (1, 2, 3))
        self._mean, square, cube = (total / self._sizes[:, None] for total in sums)
        self._variance = square - self._mean**2
        self._third = cube - 3 * self._mean * square + 2 * self._mean**3
        self._square = square

    def sums(self, member: sp.csr_array) -> RankSums:
        """Sum the ranks of groups of rows: ``member``, of shape (G, N), is 1 where a row is of a group."""
        drawn = (member @ self._strata.T).toarray()
        starts = range(0, len(self._ranks.zero), COLUMNS)
        parts = [self._columns(member, drawn, slice(start, start + COLUMNS)) for start in starts]
        return RankSums(*(np.concatenate(part, axis=1) for part in zip(*parts, strict=True)))

    def _columns(self, member: sp.csr_array, drawn: np.ndarray, own: slice) -> tuple[np.ndarray, ...]:
        sizes, count = self._sizes, drawn.sum(axis=1)
        # Of n of N values drawn without replacement: factors of the population's second and third central moment.
        with np.errstate(divide="ignore", invalid="ignore"):
            second = np.nan_to_num(drawn * (sizes - drawn) / (sizes - 1))
            third = np.nan_to_num(drawn * (sizes - drawn) * (sizes - 2 * drawn) / ((sizes - 1) * (sizes - 2)))
        sums = (member @ sp.csr_array(self._above[:, own])).toarray()
        variance = np.maximum(0.0, second @ self._variance[:, own])
        spread = np.sqrt(variance)
        known = variance > 1e-9 * np.maximum(1.0, second @ self._square[:, own])
        nothing = np.zeros_like(sums)
        excess = np.divide(sums - drawn @ self._mean[:, own], spread, out=nothing.copy(), where=known)
        skewness = np.divide(third @ self._third[:, own], spread**3, out=nothing.copy(), where=known)
        above = sums + count[:, None] * self._ranks.zero[own] - (count * (count + 1) / 2)[:, None]
        pairs = (count * (len(self._strata.indices) - count))[:, None]
        auroc = np.divide(above, pairs, out=np.full_like(sums, 0.5), where=pairs > 0)
        return auroc, excess, skewness
