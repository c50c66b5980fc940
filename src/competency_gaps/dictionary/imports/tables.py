"""Labels in one file: a table, JSON Lines, or a JSON object or list."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.dictionary.imports.neuronpedia import add_object
from competency_gaps.dictionary.imports.reading import (
    Reading,
    SourceLabel,
    fraction,
    json_lines,
    listed,
    name_of,
    shown,
)
from competency_gaps.errors import UserError
from competency_gaps.table_files import read_csv, read_parquet
from competency_gaps.text import shorten, visible

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")

COLUMNS = {
    "concept": ("concept", "index", "feature", "latent"),
    "label": ("label", "description", "explanation"),
    "explainer": ("explainer", "explanationmodelname"),
    "detection": ("detection",),
    "fuzzing": ("fuzzing",),
    "score": ("score",),
}
"""Names of each column, regardless of case."""


def read_table(path: Path) -> Reading:
    """Read labels from a table.

    Columns: concept (or index, feature, latent) and label (or description, explanation), in any case of letters;
    optional columns: explainer, detection, fuzzing, score (each score in [0, 1]). JSONL may also hold Neuronpedia's
    per-feature objects.

    Raises
    ------
    UserError
        If the file cannot be read, a column is missing, or two columns could be it.
    """
    reading = Reading("table")
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        rows = list(json_lines(path, reading))
    else:
        rows = [(f"row {number:,}", row) for number, row in enumerate(_frame(path).iter_rows(named=True), start=1)]
    _read_rows(reading, rows, path.name)
    return reading


def _frame(path: Path) -> pl.DataFrame:
    try:
        return read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        brief = shorten(visible(str(error)).split("\n")[0], 200)
        raise UserError(f"labels {str(path)!r}: not a readable {path.suffix[1:]} file ({brief}).") from error


def _read_rows(reading: Reading, rows: list[tuple[str, dict[str, Any]]], where: str) -> None:
    """Add the labels of rows, each with its place in the file: per-feature objects, or a table's rows."""
    if any(isinstance(row.get("explanations"), list) for _, row in rows):
        reading.kind = "neuronpedia-objects"
        for place, row in rows:
            add_object(reading, row, where, place)
    elif rows:
        names = list(dict.fromkeys(name for _, row in rows for name in row))
        columns = _columns(names, where)
        unread = set(names) - set(columns.values()) - {"modelId", "layer"}
        if unread:
            reading.leave_out(where, "column is not read", listed(unread), len(unread))
        for place, row in rows:
            _add(reading, row, columns, where, place)


def _columns(names: list[str], where: str) -> dict[str, str]:
    """The table's name of each of our columns that it has."""
    columns = {}
    for column, known in COLUMNS.items():
        matching = [name for name in names if name.strip().casefold() in known]
        # Our own name wins; between other names, the user must choose.
        if len(matching) > 1 and column not in matching:
            raise UserError(
                f"labels {where!r}: columns {listed(matching)} could each be the {column}. "
                f"Rename the right one to {column!r}."
            )
        if matching:
            columns[column] = column if column in matching else matching[0]
        elif column in ("concept", "label"):
            raise UserError(
                f"labels {where!r}: a column is missing ({column}: one of {', '.join(known)}). It has: {listed(names)}."
            )
    return columns


def _add(reading: Reading, row: dict[str, Any], columns: dict[str, str], where: str, place: str) -> None:
    reading.stated.add_neuronpedia(row.get("modelId"), row.get("layer"))
    index = reading.index(row.get(columns["concept"]), where, place)
    if index is None:
        return
    if columns["label"] not in row:
        reading.leave_out(where, f"row without {columns['label']!r}", place)
        return
    text = row[columns["label"]]
    if text != text:  # NaN, as pandas writes a missing value
        text = None
    if text is not None and not isinstance(text, str):
        reading.leave_out(where, "label is no text", f"{place}: {shown(text)}")
        return
    scores = {}
    for name in ("detection", "fuzzing", "score"):
        value = row.get(columns.get(name, ""))
        scores[name] = fraction(value)
        if value is not None and value == value and scores[name] is None:
            reading.leave_out(where, f"{name} is no number in [0, 1]: kept without", f"{place}: {shown(value)}")
    explainer = name_of(row.get(columns.get("explainer", "")))
    reading.labels.append(SourceLabel(index, text, where, f"file:{where}", explainer, **scores))


def read_json(path: Path) -> Reading:
    """Read labels from a JSON file.

    A value of ``{concept: label}`` is a text, null (looked up, but without a label) or a list of texts.

    Raises
    ------
    UserError
        If the file is not JSON, or neither such an object nor a list of objects.
    """
    reading = Reading("json")

    def as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(pairs)
        if len(entries) < len(pairs):
            reason = "key occurs twice in one object; the last is taken"
            first, _ = Counter(key for key, _ in pairs).most_common(1)[0]
            reading.leave_out(path.name, reason, shown(first), len(pairs) - len(entries))
        return entries

    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=as_dict)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"labels {str(path)!r} is not valid JSON: {shorten(visible(str(error)), 200)}") from error
    if isinstance(content, dict) and "explanations" in content:
        content = [content]
    if isinstance(content, dict):
        for key, value in content.items():
            _add_texts(reading, key, value, path.name)
    elif isinstance(content, list) and any(isinstance(row, dict) for row in content):
        rows = [(f"entry {number:,}", row) for number, row in enumerate(content, start=1) if isinstance(row, dict)]
        if len(rows) < len(content):
            reading.leave_out(path.name, "entry is no object", count=len(content) - len(rows))
        _read_rows(reading, rows, path.name)
    else:
        raise UserError(
            f"labels {str(path)!r}: expected an object {{concept: label}}, or a list of objects with the concept's "
            f"index, found {type(content).__name__}. Labels are never taken by their position."
        )
    return reading


def _add_texts(reading: Reading, key: str, value: Any, where: str) -> None:
    index = reading.index(key, where, "key")
    if index is None:
        return
    for text in value if isinstance(value, list) else [value]:
        if text is None or isinstance(text, str):
            reading.labels.append(SourceLabel(index, text, where, f"file:{where}"))
        else:
            reading.leave_out(where, "label is no text", f"concept {index}: {shown(text)}")
    if value == []:
        reading.see(index, where, f"file:{where}")
