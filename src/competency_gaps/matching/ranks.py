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
from scipy.stats import hypergeom, pearson3

COLUMNS = 4096
"""Columns that are compared at once."""


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
    """Rank sums of groups of rows, beside those of as many shuffled rows. Arrays of one shape, a value per pair."""

    auroc: np.ndarray
    """1/2 and the rank sum's excess over its mean when rows are shuffled, per pair of a row of the group and another.
    With a single stratum this is how often the group's row has the larger value, ties counting half, in [0, 1]; with
    several, that less what rows of the same strata have on average, plus 1/2."""
    excess: np.ndarray
    """The rank sum less that mean, in standard deviations of the shuffled sum; 0 where that is 0."""
    skewness: np.ndarray
    """Of the rank sum when rows are shuffled."""
    active: np.ndarray
    """Rows of the group with a value above 0."""
    chance_active: np.ndarray
    """Chance that as many or more of as many shuffled rows have a value above 0, in (0, 1]."""
    expected_active: np.ndarray
    """Mean number of those."""

    @property
    def p_value(self) -> np.ndarray:
        """Chance, in (0, 1], that shuffled rows have a rank sum at least as large.

        Where fewer than one active row is expected, the sum goes with how many are active, in few steps, and the
        chance of as many is the least p-value.
        """
        tail = pearson3.sf(self.excess, np.clip(self.skewness, 1e-6, None))
        tail = np.where(self.expected_active < 1, np.maximum(tail, self.chance_active), tail)
        return np.where(self.excess > 0, np.clip(tail, np.finfo(float).tiny, 1.0), 1.0)


class ShuffledRanks:
    """Ranks of N rows in M columns, whose moments under shuffling are known.

    Parameters
    ----------
    values : csr_array of shape (N, M)
        At least 0.
    stratum : ndarray of int of shape (N,)
        Rows are shuffled within these; numbered from 0.
    """

    def __init__(self, values: sp.csr_array, stratum: np.ndarray) -> None:
        ranks = ranks_of(values)
        self._above = sp.csc_array(ranks.above)
        rows = len(stratum)
        self._strata = sp.csr_array((np.ones(rows), (stratum, np.arange(rows))))
        self._sizes = np.asarray(self._strata.sum(axis=1), np.float64)
        sums = ((self._strata @ ranks.above.power(power)).toarray() for power in (1, 2, 3))
        self._mean, square, cube = (total / self._sizes[:, None] for total in sums)
        self._variance = square - self._mean**2
        self._third = cube - 3 * self._mean * square + 2 * self._mean**3
        self._square = square
        self._active = (self._strata @ (ranks.above > 0).astype(np.float64)).toarray()

    def strongest(self, member: sp.csr_array, able: np.ndarray, count: int, fewest: int) -> np.ndarray:
        """Columns in which groups of rows exceed shuffled ones by the largest AUROC.

        Parameters
        ----------
        member : csr_array of shape (G, N)
            1 where a row is of a group.
        able : ndarray of bool of shape (M,)
            Columns that may be chosen.
        fewest
            Fewest rows of the group with a value above 0.

        Returns
        -------
        ndarray of int64 of shape (G, count)
            The strongest first; -1: fewer exceed.
        """
        drawn = self._drawn(member)
        own = drawn.sum(axis=1)
        pairs = np.maximum(1, own * (len(self._strata.indices) - own))[:, None]
        best = np.full((member.shape[0], count), -1)
        strength = np.zeros((member.shape[0], count))
        for start in range(0, len(able), COLUMNS):
            part = slice(start, start + COLUMNS)
            above = sp.csr_array(self._above[:, part])
            gain = ((member @ above).toarray() - drawn @ self._mean[:, part]) / pairs
            gain[(member @ (above > 0).astype(np.float64)).toarray() < fewest] = 0
            gain[:, ~able[part]] = 0
            gains = np.concatenate([strength, gain], axis=1)
            columns = np.concatenate([best, np.broadcast_to(start + np.arange(gain.shape[1]), gain.shape)], axis=1)
            order = np.argsort(-gains, axis=1, kind="stable")[:, :count]
            strength, best = (np.take_along_axis(values, order, axis=1) for values in (gains, columns))
        return np.where(strength > 0, best, -1)

    def sums(self, member: sp.csr_array, row: np.ndarray, column: np.ndarray) -> RankSums:
        """Sum the ranks of groups of rows in columns: of the group ``row[i]`` in ``column[i]``."""
        drawn = self._drawn(member)[row]
        sizes, count = self._sizes, drawn.sum(axis=1)
        # Of n of N values drawn without replacement: factors of the population's second and third central moment.
        with np.errstate(divide="ignore", invalid="ignore"):
            second = np.nan_to_num(drawn * (sizes - drawn) / (sizes - 1))
            third = np.nan_to_num(drawn * (sizes - drawn) * (sizes - 2 * drawn) / ((sizes - 1) * (sizes - 2)))
        own = sp.csr_array(member[row])
        above = sp.csr_array(self._above[:, column].T)
        sums = np.asarray(own.multiply(above).sum(axis=1)).ravel()
        active = np.asarray(own.multiply(above > 0).sum(axis=1)).ravel()
        of_column = (values[:, column].T for values in (self._mean, self._variance, self._third, self._square))
        mean, variance, third_moment, square = of_column
        variance = np.maximum(0.0, (second * variance).sum(axis=1))
        spread = np.sqrt(variance)
        known = variance > 1e-9 * np.maximum(1.0, (second * square).sum(axis=1))
        gain = sums - (drawn * mean).sum(axis=1)
        nothing = np.zeros(len(row))
        pairs = np.maximum(1.0, count * (len(self._strata.indices) - count))
        there = self._active[:, column].T
        return RankSums(
            auroc=0.5 + gain / pairs,
            excess=np.divide(gain, spread, out=nothing.copy(), where=known),
            skewness=np.divide((third * third_moment).sum(axis=1), spread**3, out=nothing.copy(), where=known),
            active=active,
            chance_active=_chance_of_active(active, drawn, there, sizes),
            expected_active=(drawn * there / sizes).sum(axis=1),
        )

    def _drawn(self, member: sp.csr_array) -> np.ndarray:
        drawn: np.ndarray = (member @ self._strata.T).toarray()
        return drawn


def _chance_of_active(active: np.ndarray, drawn: np.ndarray, there: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Exact chance of at least ``active`` active rows among those drawn from each stratum (hypergeometric)."""
    if not len(active):
        return np.zeros(0)
    most = int(drawn.max())
    steps = np.arange(most + 1)
    total = np.zeros((len(active), most * drawn.shape[1] + 1))
    total[:, 0] = 1
    for stratum in range(drawn.shape[1]):
        part = hypergeom.pmf(steps, sizes[stratum], there[:, [stratum]], drawn[:, [stratum]])
        new = np.zeros_like(total)
        for step in steps:
            new[:, step:] += part[:, [step]] * total[:, : total.shape[1] - step]
        total = new
    at_least = np.cumsum(total[:, ::-1], axis=1)[:, ::-1]
    chance: np.ndarray = np.clip(at_least[np.arange(len(active)), active.astype(int)], 0.0, 1.0)
    return chance
