"""Parquet tables with other columns, cells or rows, drawn from a random generator."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from competency_gaps.table_files import panics_are_errors

OUTSIDE = "../outside/secret.json"
"""Where a path in a mutated file may lead: beside the folder that is read."""


def changed_table(content: bytes, how: str, rng: random.Random) -> bytes | None:
    """A changed Parquet file; None: the content is none, or has no rows or columns.

    Parameters
    ----------
    how
        ``column``: one is gone, or has another name or type; ``cells``: cells hold anything that their type can, or
        rows are gone, twice or elsewhere.
    """
    change = {"column": _recolumned, "cells": _refilled}[how]
    written = io.BytesIO()
    try:
        with panics_are_errors():  # what was changed before may be such a table
            change(pl.read_parquet(io.BytesIO(content)), rng).write_parquet(written)
    except (pl.exceptions.PolarsError, IndexError, ValueError):
        return None
    return written.getvalue()


def _recolumned(table: pl.DataFrame, rng: random.Random) -> pl.DataFrame:
    name = rng.choice(table.columns)
    return rng.choice((table.drop(name), table.rename({name: f"{name}\0"}), *_of_other_types(table, name)))


def _of_other_types(table: pl.DataFrame, name: str) -> Iterator[pl.DataFrame]:
    for value in (None, b"\xff", [1], {"a": 1}):
        yield table.with_columns(pl.Series(name, [value] * table.height))


def _refilled(table: pl.DataFrame, rng: random.Random) -> pl.DataFrame:
    for _ in range(rng.choice((1, 1, 2, 3))):
        row = rng.randrange(table.height)
        rest = pl.concat([table[:row], table[row + 1 :]])
        name = rng.choice(table.columns)
        table = rng.choice(
            (rest, pl.concat([table, table[row]]), pl.concat([rest, table[row]]))
            if rng.random() < 0.1
            else (_with_cells(table, name, [row], rng), _with_cells(table, name, range(table.height), rng))
        )
    return table


def _with_cells(table: pl.DataFrame, name: str, rows: Sequence[int], rng: random.Random) -> pl.DataFrame:
    cells, kind = table[name].to_list(), table.schema[name]
    for row in rows:
        cells[row] = _cell(cells[row], cells, kind, rng)
    return table.with_columns(pl.Series(name, cells, dtype=kind, strict=False))


def _cell(cell: Any, cells: Sequence[Any], kind: Any, rng: random.Random) -> Any:
    """Anything that a type holds: null, another row's, an odd number or text, or nested values that are changed so."""
    drawn = rng.random()
    if drawn < 0.2:
        return None
    if drawn < 0.3:
        return rng.choice(cells)
    if isinstance(kind, pl.Struct):
        held, field = cell or dict.fromkeys(part.name for part in kind.fields), rng.choice(kind.fields)
        return {**held, field.name: _cell(held[field.name], [None], field.dtype, rng)}
    if isinstance(kind, pl.List):
        held = list(cell or ())
        changed = [_cell(first, [None], kind.inner, rng) for first in held[:1] or [None]]
        return rng.choice(([], held + held, changed + held[1:], held + changed))
    if kind.is_integer():
        least, most = pl.select(low=kind.min(), high=kind.max()).row(0)
        return rng.choice((-1, 0, 1, 2, 1000, least, most))
    if kind.is_float():
        return rng.choice((-1.0, 0.0, 0.5, 1.0, 2.0, 1e308, float("nan"), float("inf"), float("-inf")))
    if kind == pl.Boolean:
        return not cell
    return rng.choice(("", "x", "\0", "\x1b[31m<b>\u202e", "{}", "[1]", '{"a": NaN}', "x" * 100_000, OUTSIDE))
