"""Strata: clusters of a benchmark with about equal covariates [ours].

Within a stratum all clusters have about the same length (or other covariate), so length cannot explain a gap between
them. A number is cut at quantiles into strata of about ``LEAST`` clusters. Quintiles, the usual choice, leave a fifth
of the slope inside each stratum, which over thousands of items makes false findings (``validation/planted.py`` measures
it; a spline within each benchmark does no better).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST = 15
"""About how many clusters a stratum has: with fewer, estimating the strata's means costs too much power."""
MOST = 40
"""Most strata of a benchmark."""


@dataclass(frozen=True)
class Covariate:
    """A property of items besides the concepts. N items."""

    name: str
    """``length``, ``group``, ``answer_position``, ``options``, or a column's name."""
    values: np.ndarray
    """float64 of shape (N,): a number, or the number of a category; NaN = unknown."""
    categories: tuple[str, ...] | None = None
    """Names of the categories; None: a number."""

    def of_units(self, kept: np.ndarray, unit: np.ndarray, first: np.ndarray, size: np.ndarray) -> Covariate:
        """Give the covariate of clusters: the mean of a number, the first item's category.

        Parameters
        ----------
        kept : ndarray of int
            Items that take part.
        unit : ndarray of int of the shape of ``kept``
            Unit of each.
        first : ndarray of int of shape (units,)
            A place in ``kept`` for each unit.
        size : ndarray of int of shape (units,)
            Items of each unit.
        """
        values = self.values[kept]
        if self.categories is not None:
            return Covariate(self.name, values[first], self.categories)
        known = ~np.isnan(values)
        count = np.bincount(unit, known, len(size))
        total = np.bincount(unit, np.where(known, values, 0.0), len(size))
        mean = np.divide(total, count, out=np.full(len(size), np.nan), where=count > 0)
        return Covariate(self.name, mean)


def split_by_size(block: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Part the units of each block by their number of items: 1, 2 to 4, 5 or more.

    Outcomes are exchangeable only if their variances are equal, and the mean of a cluster varies less than one score.
    Strata are cut first: cut separately, the few large clusters would hardly be separated by length.

    Parameters
    ----------
    block, size : ndarray of int of shape (K,)

    Returns
    -------
    ndarray of int64 of shape (K,)
        Numbers from 0, ascending with the block.
    """
    return _split(block, np.searchsorted([1, 4], size, side="left").astype(np.float64))


def cut(benchmark: np.ndarray, covariates: Sequence[Covariate]) -> np.ndarray:
    """Give each unit its block: its stratum within its benchmark.

    Units are split by categories first, then by the numbers, each into as many parts. Equal values stay together, and
    units of unknown value form a stratum of their own.

    Parameters
    ----------
    benchmark : ndarray of int of shape (K,)
        Numbers from 0.
    covariates
        Of the units.

    Returns
    -------
    ndarray of int64 of shape (K,)
        Numbers from 0, ascending with the benchmark.
    """
    cell = np.asarray(benchmark, np.int64)
    for covariate in covariates:
        if covariate.categories is not None:
            cell = _split(cell, np.where(np.isnan(covariate.values), -1, covariate.values))
    numbers = [covariate for covariate in covariates if covariate.categories is None]
    if numbers:
        size = np.bincount(cell)
        parts = np.maximum(1, np.floor((size / LEAST) ** (1 / len(numbers)))).astype(int)
        parts = np.minimum(parts, max(1, int(MOST ** (1 / len(numbers)))))
        whole = cell
        for covariate in numbers:
            cell = _split(cell, _quantiles(covariate.values, cell, parts[whole]))
    return cell


def _split(cell: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Number the pairs of cell and value, in the order of the cells."""
    _, number = np.unique(np.stack([cell.astype(np.float64), value]), axis=1, return_inverse=True)
    return np.asarray(number, np.int64).ravel()


def _quantiles(values: np.ndarray, cell: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Number of the quantile of its cell that each value lies in; -1 = unknown."""
    out = np.full(len(values), -1.0)
    order = np.argsort(cell, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
        known = own[~np.isnan(values[own])]
        if len(known):
            count = int(parts[own[0]])
            edges = np.quantile(values[known], np.arange(1, count) / count)
            out[known] = np.searchsorted(np.unique(edges), values[known], side="left")
    return out
