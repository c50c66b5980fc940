"""Select rows by an SQL condition that a user writes."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from competency_gaps.errors import UserError, nearest
from competency_gaps.text import shorten

_FILE_READING = re.compile(r"\bread_\w+", re.IGNORECASE)
"""The table functions of polars, ``read_csv`` and the like, which subqueries may call."""
_SQL_TEXT = re.compile(r"'(?:[^']|'')*'")


def satisfying(rows: pl.DataFrame, condition: str, owner: str, example: str) -> list[bool]:
    """Whether each row satisfies an SQL condition on its columns.

    Parameters
    ----------
    rows
        One row per entry or item.
    owner
        What a row is: "entry" or "item".
    example
        A condition that would do, for messages.

    Raises
    ------
    UserError
        If the condition is malformed, reads a file, or names an unknown column.
    """
    if _FILE_READING.search(_SQL_TEXT.sub("", condition)):
        raise UserError(f"the filter {condition!r} reads a file. Expected a condition on fields of an {owner} alone.")
    try:
        parsed = pl.sql_expr(condition)
        _check_names(parsed.meta.root_names(), rows.columns, condition, owner, example)
        chosen = rows.with_columns(parsed.alias("chosen"))["chosen"]
        if chosen.dtype != pl.Boolean:
            raise pl.exceptions.InvalidOperationError(f"it gives {chosen.dtype}, and not true or false")
    except pl.exceptions.PolarsError as error:
        raise UserError(
            f"the filter {condition!r} is not an SQL condition: {shorten(str(error), 200)}. Expected e.g. {example}."
        ) from error
    return chosen.fill_null(value=False).to_list()


def _check_names(names: Sequence[str], columns: Sequence[str], condition: str, owner: str, example: str) -> None:
    for name in names:
        if name not in columns:
            known = sorted(columns)
            raise UserError(
                f"the filter {condition!r} names {name!r}, which no {owner} has; known are {', '.join(known)}."
                f"{nearest(name, known)} Texts stand in single quotes, as in {example}."
            )
