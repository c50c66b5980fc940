"""Labels in one JSON file: ``{concept: label}``, per-feature objects, or a list of rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from competency_gaps.dictionary.imports.lines import read_text
from competency_gaps.dictionary.imports.neuronpedia import KIND_OBJECTS, add_object
from competency_gaps.dictionary.imports.reading import Reading, SourceLabel, shown
from competency_gaps.dictionary.imports.tables import read_rows
from competency_gaps.errors import UserError
from competency_gaps.text import shorten, visible

KIND = "json"


def read_json(path: Path) -> Reading:
    """Read labels from a JSON file.

    A value of ``{concept: label}`` is a text, null (looked up, and there is none) or a list of texts.

    Raises
    ------
    UserError
        If the file is no JSON, or of none of the three forms.
    """
    reading = Reading(KIND)
    twice: list[str] = []

    def as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                twice.append(key)
            found[key] = value
        return found

    try:
        content = json.loads(read_text(path), object_pairs_hook=as_dict)
    except (ValueError, RecursionError) as error:
        raise UserError(f"labels {str(path)!r} is not valid JSON: {shorten(visible(str(error)), 200)}") from error
    if twice:
        reading.leave_out(path.name, "key occurs twice in one object; the last is taken", shown(twice[0]), len(twice))
    if isinstance(content, dict) and "explanations" in content:
        content = [content]
    if isinstance(content, dict):
        _pairs(reading, content, path.name)
    elif isinstance(content, list) and any(isinstance(row, dict) for row in content):
        _list(reading, content, path)
    else:
        raise UserError(
            f"labels {str(path)!r}: expected an object {{concept: label}}, or a list of objects with the concept's "
            f"index, found {type(content).__name__}. Labels are never taken by their position."
        )
    return reading


def _pairs(reading: Reading, content: dict[str, Any], where: str) -> None:
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


def _list(reading: Reading, content: list[Any], path: Path) -> None:
    rows = [(f"entry {number:,}", row) for number, row in enumerate(content, start=1) if isinstance(row, dict)]
    if len(rows) < len(content):
        reading.leave_out(path.name, "entry is no object", count=len(content) - len(rows))
    if any("explanations" in row for _, row in rows):
        reading.kind = KIND_OBJECTS
        for place, row in rows:
            add_object(reading, row, path.name, place)
    else:
        read_rows(reading, rows, path.name)
