"""Tables of prompts and scores, by anybody: CSV, TSV, JSON Lines, Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from competency_gaps.benchmarks.files import SUFFIXES, read_files
from competency_gaps.benchmarks.records import check_fields, gather
from competency_gaps.config import FileSource, LogSource
from competency_gaps.errors import UserError, argument
from competency_gaps.logs.reader import NONE, LogEntry, LogPart, Reader, Tally
from competency_gaps.text import listing

_COLUMNS = {
    "prompt": ("question", "instruction", "input", "query", "problem"),
    "score": ("correct", "is_correct", "accuracy", "acc", "exact_match", "passed"),
    "response": ("output", "completion", "prediction", "model_output"),
    "group": ("subject", "category", "topic"),
}
"""Names that the columns of tables have, for fields that are neither mapped nor there."""


def find(path: Path) -> list[LogPart]:
    """A file that is a table with columns of obvious names."""
    if not path.is_file() or path.suffix not in SUFFIXES:
        return []
    first = next(read_files(FileSource(path=path)), None)
    is_scored = first is not None and {"prompt", "score"} <= _all_columns(first.values).keys()
    return [LogPart("table", path.stem, (path,))] if is_scored else []


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """The items of a table, with the scores that it gives. Rows with one id are epochs where ``epoch`` is mapped.

    Raises
    ------
    UserError
        If the file cannot be read, a column is missing, or a row is wrong.
    """
    fields = dict(source.fields)
    scored = source.metric != NONE
    if not scored:
        fields.pop("score", None)
    elif source.metric is not None:
        if fields.get("score", source.metric) != source.metric:
            raise UserError(f"'metric' is {source.metric!r}, but the field 'score' is mapped to {fields['score']!r}.")
        fields["score"] = source.metric
    check_fields(fields)
    records = list(read_files(FileSource(path=part.files[0], fields=fields)))
    guessed = {
        ours: column
        for ours, column in (_all_columns(records[0].values) if records else {}).items()
        if ours not in fields and ours != column and (scored or ours != "score")
    }
    fields |= guessed
    column = fields.get("score", "score")
    if not scored:
        # A column that happens to be called ``score`` is not read either.
        records = [
            replace(record, values={k: v for k, v in record.values.items() if k != "score"}) for record in records
        ]
    elif records and column not in records[0].values and not any(sign in column for sign in ".{,'"):
        # A path, a template or a list of columns is checked where it is read.
        columns = listing(records[0].values, len(records[0].values))
        raise UserError(
            f"{part.files[0]} has no column {column!r} for the score; there are {columns}. "
            f"Name it with {argument('fields')} score=COLUMN, or take items without scores ({argument('metric')} "
            f"{NONE}). A table with an id and a column of scores per model belongs to a run that has the items: give "
            f"it there as {argument('scores')}."
        )
    tally = Tally(part, metric=column if scored else NONE, records=len(records))
    if guessed:
        named = ", ".join(f"{column} as the {ours}" for ours, column in guessed.items())
        tally.warn("columns_guessed", f"recognised by name: {named}. For others: {argument('fields')} prompt=COLUMN")
    gathered = gather(records, part.benchmark, source=str(part.files[0]), fields=fields, policy="imported")
    for record in gathered.left_out:
        yield tally.drop(record.where, record.reason)
    for item in gathered.items:
        identity = {"tool": "table", "doc_id": item.id, "metric": tally.metric, "epochs": item.epochs}
        method = "the prompt is the item's own text" if item.messages is None else "the last user message"
        yield tally.item(replace(item, identity=identity), method, records=item.epochs)
    yield tally.report()


def _all_columns(values: Mapping[str, Any]) -> dict[str, str]:
    """Our fields -> columns that a record has for them."""
    named = ((ours, next((c for c in (ours, *columns) if c in values), None)) for ours, columns in _COLUMNS.items())
    return {ours: column for ours, column in named if column is not None}


LOG = Reader("a table: columns prompt and score, or of like names", find, read, ("metric", "fields"))
