"""Readable names of concepts, from a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl

from competency_gaps.errors import UserError


def read_labels(path: Path, width: int) -> list[str | None]:
    """Labels by concept.

    Parameters
    ----------
    path
        JSON ``{"concept": "label"}``, or a CSV, JSONL or Parquet table with columns ``concept`` and ``label``.
    width
        Number of concepts of the SAE.

    Returns
    -------
    list of str or None, of length ``width``; None = no label

    Raises
    ------
    UserError
        If the file is missing, has another form, or names a concept that the SAE lacks.
    """
    if not path.is_file():
        raise UserError(f"labels {str(path)!r}: there is no such file.")
    pairs = _json(path) if path.suffix == ".json" else _table(path)
    labels: list[str | None] = [None] * width
    for key, label in pairs:
        try:
            concept = int(key)
        except ValueError:
            raise UserError(f"labels {str(path)!r}: {key!r} is no concept; expected its number.") from None
        if not 0 <= concept < width:
            raise UserError(f"labels {str(path)!r}: concept {concept} is not one of the SAE's 0 to {width - 1}.")
        labels[concept] = label or None
    return labels


def _json(path: Path) -> list[tuple[str, str]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"labels {str(path)!r} is not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"labels {str(path)!r}: expected an object {{concept: label}}, found {type(data).__name__}.")
    return [(str(key), str(value) if value is not None else "") for key, value in data.items()]


def _table(path: Path) -> list[tuple[str, str]]:
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".parquet": pl.read_parquet,
        ".csv": pl.read_csv,
        ".jsonl": pl.read_ndjson,
    }
    if path.suffix not in readers:
        raise UserError(f"labels {str(path)!r}: expected .json, .jsonl, .csv or .parquet.")
    table = readers[path.suffix](path)
    missing = {"concept", "label"} - set(table.columns)
    if missing:
        raise UserError(f"labels {str(path)!r}: column {missing.pop()!r} is missing; it has {table.columns}.")
    return [
        (str(c), str(label) if label is not None else "") for c, label in table.select("concept", "label").iter_rows()
    ]
