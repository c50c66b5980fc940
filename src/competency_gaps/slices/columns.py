"""Slices by the columns of the items: one per category; numbers are cut into quantile bins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.runs.covariates import read_covariates
from competency_gaps.slices.family import MIN_ITEMS, Family, family_of
from competency_gaps.util.jsonl import float_or_none

BINS = 4
"""Quantile bins of a numeric column."""
MAX_CATEGORIES = 8
"""Maximum number of distinct values of a numeric column that become categories without binning."""
_SAYS_NOTHING = frozenset(("all", "any", "default", "false", "n/a", "none", "true"))
_OTHER = frozenset(("general", "misc", "miscellaneous", "other", "others", "various"))


def columns(items: pl.DataFrame) -> Family | None:
    """Return slices by the column ``group``, by all covariates and, in a run of several benchmarks, by benchmark.

    With several benchmarks, a category becomes a slice within each benchmark, and also over all of them if it occurs in
    several. Categories of fewer than ``MIN_ITEMS`` items, or of all items, become no slices. None if there is no slice.
    """
    kept = items["excluded"].is_null().to_numpy()
    benchmark = items["benchmark"].to_numpy()
    several = len(set(benchmark[kept])) > 1
    rows: list[np.ndarray] = []
    names: list[str] = []
    column_of: list[str | None] = []

    def add(column: str, categories: Mapping[str, np.ndarray], within: np.ndarray) -> None:
        """Add the categories of a column that are large enough, and not all of its items."""
        slices = {name: has & kept & within for name, has in categories.items()}
        whole = int((kept & within).sum())
        for name, has in slices.items():
            if MIN_ITEMS <= has.sum() < whole:
                rows.append(has)
                names.append(name)
                column_of.append(column)

    everywhere = np.ones(items.height, bool)
    order = list(dict.fromkeys(benchmark))
    if several:
        add("benchmark", {name: benchmark == name for name in order}, everywhere)
    for column, values in item_columns(items):
        categories = _categories(column, values, kept)
        if not several:
            add(column, categories, everywhere)
            continue
        shared = {name: has for name, has in categories.items() if len(set(benchmark[has & kept])) > 1}
        add(column, shared, everywhere)
        for name in order:
            within = {f"{category} ({name})": has for category, has in categories.items()}
            add(f"{column} in {name}", within, benchmark == name)
    return family_of("columns", rows, names, column_of) if rows else None


def item_columns(items: pl.DataFrame) -> Iterator[tuple[str, list[Any]]]:
    """Yield the column ``group`` and each covariate by name, with a value or None for each item."""
    yield "group", [value or None for value in items["group"]]
    covariates_of = [read_covariates(text) for text in items["covariates"]]
    for name in sorted({name for covariates in covariates_of for name in covariates}):
        yield name, [covariates.get(name) for covariates in covariates_of]


def _categories(column: str, values: list[Any], kept: np.ndarray) -> dict[str, np.ndarray]:
    """Return the items of each category of a column, by its name; numbers of many values are cut at quantiles."""
    known = [value for value, keep in zip(values, kept, strict=True) if keep and value is not None]
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known)
    if not numeric:
        texts = np.array(["" if value is None else str(value) for value in values])
        return {readable_category(column, text): texts == text for text in sorted(set(texts)) if text}
    numbers = np.array([float_or_none(value) for value in values], float)
    different = np.unique(numbers[kept & np.isfinite(numbers)])
    if len(different) <= MAX_CATEGORIES:
        return {f"{column} {_number(value, 12)}": numbers == value for value in different}
    edges = np.unique(np.quantile(numbers[kept & np.isfinite(numbers)], np.linspace(0, 1, BINS + 1), method="lower"))
    categories = {}
    for i, (low, high) in enumerate(pairwise(edges)):
        last = i == len(edges) - 2
        has = (numbers >= low) & ((numbers <= high) if last else (numbers < high))
        if has.any():
            ends = (numbers[has].min(), numbers[has].max())
            short, exact = (f"{column} {_number(ends[0], n)} to {_number(ends[1], n)}" for n in (4, 12))
            categories[exact if short in categories else short] = has
    return categories


def readable_category(column: str, category: str) -> str:
    """Return a category's name, with its column if it says nothing alone: ``other subjects (group)``, ``level: 3``."""
    if category.casefold() in _OTHER:
        return f"{category} {'subjects' if column == 'group' else 'values'} ({column})"
    says_nothing = len(category) < 3 or category.casefold() in _SAYS_NOTHING or not any(map(str.isalpha, category))
    return f"{column}: {category}" if says_nothing else category


def _number(value: float, digits: int) -> str:
    """Return a number with this many digits; a whole number with all its digits: ``20190131``, not ``2.019e+07``."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.{digits}g}"
