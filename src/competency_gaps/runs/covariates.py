"""Covariates of a run's items for stratification, and which items repeat a text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from competency_gaps.items.item import Item
from competency_gaps.util.errors import no_such
from competency_gaps.util.jsonl import float_or_none

if TYPE_CHECKING:
    from competency_gaps.evidence import Covariate


def check_strata(names: Sequence[str], items: Iterable[Item]) -> None:
    """Raise UserError if ``evidence.strata`` names a covariate that no item has."""
    items = list(items)
    known = {"length"} | {name for item in items for name in item.covariates}
    if any(item.group is not None for item in items):
        known.add("group")
    if any(item.choices is not None for item in items):
        known |= {"answer_position", "answer_length", "options"}
    for name in names:
        if name not in known:
            raise no_such("evidence.strata: no item has the covariate", name, sorted(known))


def item_covariates(items: pl.DataFrame, names: Sequence[str]) -> tuple[Covariate, ...]:
    """Read covariates from the table of items.

    Parameters
    ----------
    items
        ``items.parquet``.
    names
        Covariates to read.

    Returns
    -------
    tuple of Covariate
        Columns that hold a text are categorical; others are numbers.
    """
    return tuple(_covariate(items, name) for name in names)


def read_covariates(text: str | None) -> dict[str, Any]:
    """Parse a cell of ``items["covariates"]``; null gives none."""
    return dict(json.loads(text or "{}"))


def repeats(items: pl.DataFrame) -> np.ndarray:
    """Return which items repeat another item's text: bool of shape (items,).

    Clusters that come from a source (kind ``given``) do not count: their items have different texts.
    """
    named = items.filter(pl.col("cluster_kind") == "given")["cluster"]
    return (items["cluster_kind"].is_not_null() & ~items["cluster"].is_in(named.implode())).to_numpy()


def _covariate(items: pl.DataFrame, name: str) -> Covariate:
    """Return one covariate of the items: categorical if it has text values."""
    from competency_gaps.evidence import Covariate

    if name == "length":
        return Covariate(name, items["n_span_tokens"].cast(pl.Float64).to_numpy())
    if name == "group":
        return _categories(name, items["group"])
    if name in _OF_OPTIONS:
        return _categories(name, items.select(_OF_OPTIONS[name])["right"])
    values = [read_covariates(text).get(name) for text in items["covariates"]]
    if any(isinstance(value, str) for value in values):
        return _categories(name, pl.Series([None if value is None else str(value) for value in values]))
    return Covariate(name, np.array([float_or_none(value) for value in values], float))


_SIZES = pl.col("choices").list.eval(pl.element().str.len_chars().cast(pl.Int64))
_SIZE = _SIZES.list.get(pl.col("answer_index"), null_on_oob=True)
_OF_OPTIONS = {
    "answer_position": pl.format("option {}", pl.col("answer_index") + 1).alias("right"),
    "options": pl.format("{} options", pl.col("choices").list.len()).alias("right"),
    "answer_length": pl.when(_SIZE.is_null() | (_SIZES.list.len() < 2))
    .then(None)
    .when((_SIZES - _SIZE).list.eval(pl.element() >= 0).list.sum() == 1)
    .then(pl.lit("the longest"))
    .when((_SIZES - _SIZE).list.eval(pl.element() <= 0).list.sum() == 1)
    .then(pl.lit("the shortest"))
    .otherwise(pl.lit("neither the longest nor the shortest"))
    .alias("right"),
}
"""Name of a covariate of items with options -> the expression, over the table of items, that computes its category."""


def _categories(name: str, values: pl.Series) -> Covariate:
    """Return a categorical covariate: values become indices of the sorted categories, null becomes NaN."""
    from competency_gaps.evidence import Covariate

    known = values.drop_nulls().unique().sort()
    number = values.replace_strict(known, np.arange(len(known)), default=None, return_dtype=pl.Float64)
    return Covariate(name, number.fill_null(np.nan).to_numpy(), tuple(known))
