"""A record of a source, seen through a mapping from our field names to the source's columns."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from competency_gaps.errors import UserError, nearest

_CONSTANT = re.compile(r"'[^']*'")
_PLACE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Record:
    """One record that a source read, and its place there."""

    values: Mapping[str, Any]
    where: str
    """File and line, or dataset and row; begins every error message about the record."""
    untyped: bool = False
    """All values are texts (CSV): lists and mappings are JSON in the cell, numbers are parsed."""


class Row:
    """A record seen through the field mapping."""

    def __init__(self, record: Record, fields: Mapping[str, str]) -> None:
        self.record = record
        self.fields = fields

    def error(self, message: str) -> UserError:
        return UserError(f"{self.record.where}: {message}")

    def has(self, ours: str) -> bool:
        return ours in self.fields or ours in self.record.values

    def get(self, ours: str) -> Any:
        """Value of one of our fields; None where the record has none."""
        if ours not in self.fields:
            return self.record.values.get(ours)
        column = self.fields[ours]
        try:
            return reach(self.record.values, column)
        except KeyError as error:
            known = list(self.record.values)
            raise self.error(
                f"field {ours!r} is mapped to the column {column!r}, but there is no {error.args[0]!r}. "
                f"The columns are {', '.join(known)}.{nearest(str(error.args[0]), known)} Correct 'fields'."
            ) from error

    def text(self, ours: str) -> str | None:
        value = self.get(ours)
        if value is None or value == "":
            return None
        if isinstance(value, (list, dict, tuple)):
            raise self.error(f"field {ours!r} is {value!r}, expected a text.")
        return str(value)

    def mapping(self, ours: str, *, only_mapped: bool = False) -> dict[str, Any]:
        """A mapping, with the entries that the field mapping fills one by one (``metadata.KEY``)."""
        value = None if only_mapped and ours not in self.fields else self.get(ours)
        if self.record.untyped and isinstance(value, str):
            value = parsed(value)
        if value is None or value == "":
            value = {}
        if not isinstance(value, Mapping):
            raise self.error(f"{ours!r} is {value!r}, expected a mapping.")
        single = {
            mapped.removeprefix(f"{ours}."): self.get(mapped) for mapped in self.fields if mapped.startswith(f"{ours}.")
        }
        return {**value, **single}

    def texts(self, ours: str) -> list[str]:
        """A list of texts; empty where there is none."""
        value = self.get(ours)
        if self.record.untyped:
            value = parsed_texts(value)
        if value is None or value == "":
            return []
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise self.error(
                f"field {ours!r} is {value!r}, expected a list. "
                "Map it to a list or, with commas, to several columns ('option1, option2')."
            )
        # Sources with a column per option leave the last ones empty where an item has fewer.
        options = list(value)
        while options and options[-1] is None:
            options.pop()
        if any(option is None for option in options):
            raise self.error(f"field {ours!r} has an empty entry before its end: {options!r}.")
        return [str(option) for option in options]


def reach(values: Mapping[str, Any], column: str) -> Any:
    """The value of a column: its exact name, a template, several names with commas, or a dotted path.

    A template is a text with columns in braces (``{context} {question}``); a constant stands in single quotes
    (``'1', '2', '3'``). A path goes through mappings, through lists by their index, and else into every element
    of a list.

    Raises
    ------
    KeyError
        With the name that does not exist.
    """
    if column in values:
        return values[column]
    if _CONSTANT.fullmatch(column):
        return column[1:-1]
    if _PLACE.search(column):
        return _PLACE.sub(lambda place: _filled(values, place[1]), column)
    if "," in column:
        return [reach(values, part.strip()) for part in column.split(",")]
    value: Any = values
    for part in column.split("."):
        value = _step(value, part)
    return value


def _filled(values: Mapping[str, Any], column: str) -> str:
    value = reach(values, column)
    return "" if value is None else str(value)


def _step(value: Any, part: str) -> Any:
    if value is None:
        return None
    if isinstance(value, Mapping):
        if part not in value:
            raise KeyError(part)
        return value[part]
    if isinstance(value, (list, tuple)):
        if part.isdecimal():
            return value[int(part)] if int(part) < len(value) else None
        return [_step(element, part) for element in value]
    raise KeyError(part)


def parsed(cell: str) -> Any:
    try:
        return json.loads(cell)
    except json.JSONDecodeError:
        return cell


def parsed_texts(cell: Any) -> Any:
    """A CSV cell that holds a JSON list of texts, as this list; anything else as it is."""
    value = parsed(cell) if isinstance(cell, str) and cell.startswith('["') else cell
    return value if isinstance(value, list) else cell


def is_further(ours: str) -> bool:
    """Whether a field groups items and does not change the question."""
    return ours in ("group", "cluster", "covariates") or ours.startswith("covariates.")


def further_fields(row: Row, *, only_mapped: bool = False) -> dict[str, Any]:
    """``group``, ``cluster`` and ``covariates`` of a record, as arguments of ``Item``.

    Parameters
    ----------
    only_mapped
        Leave out what the field mapping does not name.

    Raises
    ------
    UserError
        If a column does not exist, or a covariate is neither a number nor a text.
    """
    arguments: dict[str, Any] = {}
    for ours in ("group", "cluster"):
        if not only_mapped or ours in row.fields:
            arguments[ours] = row.text(ours)
    if not only_mapped or any(ours.startswith("covariates") for ours in row.fields):
        values = row.mapping("covariates", only_mapped=only_mapped)
        arguments["covariates"] = {
            str(name): _covariate(row, name, value) for name, value in values.items() if value not in (None, "")
        }
    return arguments


def _covariate(row: Row, name: str, value: Any) -> float | str:
    """A number as a float, a truth value as 0 or 1, a text unchanged."""
    if isinstance(value, str) and not row.record.untyped:
        return value
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(value, str):
            return value
        raise row.error(f"the covariate {name!r} is {value!r}, expected a number or a text.") from error
    if not math.isfinite(number):
        raise row.error(f"the covariate {name!r} is {value!r}, expected a finite number. Leave unknown ones empty.")
    return number
