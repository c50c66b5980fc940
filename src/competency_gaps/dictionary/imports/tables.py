"""Labels in one file: a table, JSON Lines, or a JSON object or list."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from competency_gaps.dictionary.imports.neuronpedia import KIND_OBJECTS, add_object
from competency_gaps.dictionary.imports.reading import (
    Reading,
    SourceLabel,
    fraction,
    json_lines,
    listed,
    name_of,
    read_text,
    shown,
)
from competency_gaps.errors import UserError
from competency_gaps.text import shorten, visible

KIND = "table"
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


class _Columns(NamedTuple):
    concept: str
    label: str
    explainer: str | None
    detection: str | None
    fuzzing: str | None
    score: str | None


def read_table(path: Path) -> Reading:
    """Read labels from a table.

    Columns: concept (or index, feature, latent) and label (or description, explanation), in any case of letters;
    optional columns: explainer, detection, fuzzing, score (each score in [0, 1]). Of JSONL, per-feature objects of
    Neuronpedia are taken too.

    Raises
    ------
    UserError
        If the file cannot be read, a column is missing, or two columns could be it.
    """
    reading = Reading(KIND)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        rows = list(json_lines(path, reading))
        if any("explanations" in row for _, row in rows):
            reading.kind = KIND_OBJECTS
            for place, row in rows:
                add_object(reading, row, path.name, place)
            return reading
    else:
        frame = _frame(path)
        # Names are checked even if the table has no rows.
        _columns(frame.columns, path.name)
        rows = [(f"row {number:,}", row) for number, row in enumerate(frame.iter_rows(named=True), start=1)]
    read_rows(reading, rows, path.name)
    return reading


def read_rows(reading: Reading, rows: list[tuple[str, dict[str, Any]]], where: str) -> None:
    """Add the labels of rows.

    Parameters
    ----------
    reading
        Where to.
    rows
        Pairs of a place, for messages, and a row.
    where
        Name of the file.

    Raises
    ------
    UserError
        If a column is missing, or two could be it.
    """
    if not rows:
        return
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    columns = _columns(names, where)
    unread = set(names) - set(columns) - {"modelId", "layer"}
    if unread:
        reading.leave_out(where, "column is not read", listed(unread), len(unread))
    for place, row in rows:
        reading.stated.add_neuronpedia(row.get("modelId"), row.get("layer"))
        index = reading.index(row.get(columns.concept), where, place)
        if index is not None:
            _add(reading, index, row, columns, where, place)


def _add(reading: Reading, index: int, row: dict[str, Any], columns: _Columns, where: str, place: str) -> None:
    if columns.label not in row:
        reading.leave_out(where, f"row without {columns.label!r}", place)
        return
    text = row[columns.label]
    if isinstance(text, float) and text != text:
        text = None
    if text is not None and not isinstance(text, str):
        reading.leave_out(where, "label is no text", f"{place}: {shown(text)}")
        return
    scores = {}
    for name in ("detection", "fuzzing", "score"):
        column = getattr(columns, name)
        value = row.get(column) if column else None
        scores[name] = fraction(value)
        if value is not None and value == value and scores[name] is None:
            reading.leave_out(where, f"{name} is no number in [0, 1]: kept without", f"{place}: {shown(value)}")
    explainer = name_of(row.get(columns.explainer)) if columns.explainer else None
    reading.labels.append(SourceLabel(index, text, where, f"file:{where}", explainer, **scores))


def _columns(names: list[str], where: str) -> _Columns:
    columns = {part: _column(part, names, where) for part in COLUMNS}
    missing = [part for part in ("concept", "label") if columns[part] is None]
    if missing:
        wanted = "; ".join(f"{part}: one of {', '.join(COLUMNS[part])}" for part in missing)
        raise UserError(f"labels {where!r}: a column is missing ({wanted}). It has: {listed(names) or 'none'}.")
    return _Columns(**columns)  # type: ignore[arg-type]


def _column(part: str, names: Iterable[str], where: str) -> str | None:
    matching = [name for name in names if name.strip().casefold() in COLUMNS[part]]
    # Our own name wins; between other names, the user must choose.
    own = [name for name in matching if name == part]
    if len(matching) > 1 and not own:
        raise UserError(
            f"labels {where!r}: columns {listed(matching)} could each be the {part}. Rename the right one to {part!r}."
        )
    return next(iter(own or matching), None)


def _frame(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        # Everything as text: guessing types would take labels like "1.50" for numbers.
        return pl.read_csv(path, separator="\t" if path.suffix == ".tsv" else ",", infer_schema=False)
    except pl.exceptions.NoDataError as error:
        raise UserError(
            f"labels {str(path)!r} is empty. Expected a line of column names and a line a label."
        ) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        brief = shorten(visible(str(error)).split("\n")[0], 200)
        raise UserError(f"labels {str(path)!r}: not a readable {path.suffix[1:]} file ({brief}).") from error


KIND_JSON = "json"


def read_json(path: Path) -> Reading:
    """Read labels from a JSON file.

    A value of ``{concept: label}`` is a text, null (looked up, and there is none) or a list of texts.

    Raises
    ------
    UserError
        If the file is no JSON, or of none of the three forms.
    """
    reading = Reading(KIND_JSON)
    twice: list[str] = []

    def as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for key, value in pairs:
            if key in entries:
                twice.append(key)
            entries[key] = value
        return entries

    try:
        content = json.loads(read_text(path), object_pairs_hook=as_dict)
    except (ValueError, RecursionError) as error:
        raise UserError(f"labels {str(path)!r} is not valid JSON: {shorten(visible(str(error)), 200)}") from error
    if twice:
        reading.leave_out(path.name, "key occurs twice in one object; the last is taken", shown(twice[0]), len(twice))
    if isinstance(content, dict) and "explanations" in content:
        content = [content]
    if isinstance(content, dict):
        _labels_by_concept(reading, content, path.name)
    elif isinstance(content, list) and any(isinstance(row, dict) for row in content):
        _entries(reading, content, path)
    else:
        raise UserError(
            f"labels {str(path)!r}: expected an object {{concept: label}}, or a list of objects with the concept's "
            f"index, found {type(content).__name__}. Labels are never taken by their position."
        )
    return reading


def _labels_by_concept(reading: Reading, content: dict[str, Any], where: str) -> None:
    source = f"file:{where}"
    for key, value in content.items():
        index = reading.index(key, where, "key")
        if index is None:
            continue
        texts = value if isinstance(value, list) else [value]
        wrong = [text for text in texts if text is not None and not isinstance(text, str)]
        if wrong:
            reading.leave_out(where, "label is no text", f"concept {index}: {shown(wrong[0])}", len(wrong))
        if not wrong or len(wrong) < len(texts):
            reading.see(index, where, source)
        reading.labels += [SourceLabel(index, text, where, source) for text in texts if isinstance(text, str)]


def _entries(reading: Reading, content: list[Any], path: Path) -> None:
    rows = [(f"entry {number:,}", row) for number, row in enumerate(content, start=1) if isinstance(row, dict)]
    if len(rows) < len(content):
        reading.leave_out(path.name, "entry is no object", count=len(content) - len(rows))
    if any("explanations" in row for _, row in rows):
        reading.kind = KIND_OBJECTS
        for place, row in rows:
            add_object(reading, row, path.name, place)
    else:
        read_rows(reading, rows, path.name)
