"""Tables of prompts and scores from any source: CSV, TSV, JSON Lines, Parquet."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.items.config import FileSource, LogSource
from competency_gaps.items.files import SUFFIXES, read_files
from competency_gaps.items.records import FIELDS, check_fields, gather
from competency_gaps.logs.reader import NONE, LogEntry, LogPart, Reader, Tally
from competency_gaps.util.errors import UserError, argument
from competency_gaps.util.jsonl import float_or_none
from competency_gaps.util.text import listing

_COLUMNS = {
    "prompt": ("question", "instruction", "input", "query", "problem"),
    "score": ("correct", "is_correct", "accuracy", "acc", "exact_match", "passed"),
    "response": ("output", "completion", "prediction", "model_output"),
    "group": ("subject", "category", "topic"),
}
"""Column names recognised for a field that is neither mapped nor a column itself."""
KEYS = ("id", "benchmark")
"""Columns of a table of scores that identify a row's item."""
_LOOKED_AT = 100
"""Number of rows that tell columns of scores from others, such as the index of the right option."""


class Table(NamedTuple):
    """What the first rows of a table say about its columns."""

    path: Path
    has_prompts: bool
    is_scored: bool
    """Whether a column has a name for the scores of one model."""
    models: tuple[str, ...]
    """Columns of scores, one per model; in a table without prompts all but the ids."""


def find(path: Path) -> list[LogPart]:
    """Return the tables of prompts and scores at a path, a file or a folder, as parts.

    In a folder, prompts and scores may stand in different tables.
    """
    tables = tables_at(path)
    is_suite = any(table.models and not table.has_prompts for table in tables)
    asking = [table for table in tables if table.has_prompts and (table.is_scored or table.models or is_suite)]
    # A single table of a folder is called as the folder is: many are called items or data.
    names = [path.resolve().name] if path.is_dir() and len(asking) == 1 else [table.path.stem for table in asking]
    return [
        LogPart("table", name, (table.path,), details={"table": table})
        for name, table in zip(names, asking, strict=True)
    ]


def tables_at(path: Path) -> list[Table]:
    """Return the tables at a path that have prompts, or ids with scores of models."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    tables = (_table(file) for file in files if file.suffix in SUFFIXES and file.is_file())
    return [table for table in tables if table.has_prompts or table.models]


def _table(path: Path) -> Table:
    """Return what the first rows of a file say about its columns."""
    rows = [record.values for record in itertools.islice(read_files(FileSource(path=path)), _LOOKED_AT)]
    values = rows[0] if rows else {}
    named = _all_columns(values)
    if "prompt" in named:
        models = () if "score" in named else _score_columns(rows, {*named.values(), *FIELDS, *KEYS})
        return Table(path, True, "score" in named, models)
    models = _score_columns(rows, KEYS)
    return Table(path, False, False, models if {*models, *KEYS} >= values.keys() and "id" in values else ())


def _score_columns(rows: Sequence[Mapping[str, Any]], others: Collection[str]) -> tuple[str, ...]:
    """Return the columns, except ``others``, in which every cell is empty or a score from 0 to 1."""
    return tuple(
        name
        for name in (rows[0] if rows else ())
        if name not in others and all(_may_be_score(row.get(name)) for row in rows)
    )


def _may_be_score(cell: Any) -> bool:
    value = float_or_none(0 if cell in (None, "") else cell)
    return value is not None and 0 <= value <= 1


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Yield the items of a table, with their scores if it has them, then the report.

    Rows with one id are epochs if ``epoch`` is mapped.

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
    gathered = gather(records, part.benchmark, source=str(part.files[0]), fields=fields, scorer="imported")
    for record in gathered.left_out:
        yield tally.drop(record.where, record.reason)
    for item in gathered.items:
        identity = {"tool": "table", "doc_id": item.id, "metric": tally.metric, "epochs": item.epochs}
        method = "the prompt is the item's own text" if item.messages is None else "the last user message"
        yield tally.item(replace(item, identity={**item.identity, **identity}), method, records=item.epochs)
    yield tally.report()


def _all_columns(values: Mapping[str, Any]) -> dict[str, str]:
    """Return a record's column for each of our fields that it has, under our name or a recognised one."""
    named = ((ours, next((c for c in (ours, *columns) if c in values), None)) for ours, columns in _COLUMNS.items())
    return {ours: column for ours, column in named if column is not None}


LOG = Reader("a table: a column of prompts, and a column of scores or one per model", find, read, ("metric", "fields"))
