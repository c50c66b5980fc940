"""Read files of records, whatever the records mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from competency_gaps.config.load import parse_yaml
from competency_gaps.errors import UserError
from competency_gaps.jsonl import json_lines
from competency_gaps.table_files import read_csv


class Raw(NamedTuple):
    """A record of a source."""

    where: str
    """File and position in it."""
    values: Any
    """The content; an object unless there is a ``reason``."""
    reason: str | None = None
    """Why it cannot be an entry; None: no fault is known."""


def load(path: Path) -> Any:
    """Read a JSON, YAML or CSV file; a CSV gives a list of objects whose values are all texts, empty cells null.

    Raises
    ------
    UserError
        If the file is not UTF-8 or malformed.
    """
    if path.suffix == ".csv":
        return _csv(path)
    text = _text(path)
    if path.suffix == ".json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} is not valid JSON: {error}.") from error
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise UserError(f"{path} is not valid YAML: {error}.") from error


def load_jsonl(path: Path) -> list[Raw]:
    """Read a JSON Lines file; a line that is no object has a ``reason``."""
    try:
        with path.open("rb") as file:
            return [
                Raw(f"{path}, line {line.number}", line.value, line.message if line.fault else None)
                for line in json_lines(file)
            ]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Expected a file.") from error


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({error}). Convert the file.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Expected a file.") from error


def _csv(path: Path) -> list[dict[str, Any]]:
    try:
        return read_csv(path).to_dicts()
    except pl.exceptions.NoDataError as error:
        raise UserError(f"{path} is empty. Expected a line of column names and one line per entry.") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} is not a readable CSV file ({error}).") from error
