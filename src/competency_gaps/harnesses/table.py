"""Any table of results: CSV, TSV, JSONL or Parquet with a mapping from our fields to its columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from competency_gaps.benchmarks.files import read_files
from competency_gaps.benchmarks.records import check_fields, gather
from competency_gaps.benchmarks.rows import Record
from competency_gaps.config import FileSource, LogSource
from competency_gaps.errors import UserError
from competency_gaps.harnesses.shared.log import NONE, LogEntry, LogPart, Tally


def read_table(source: LogSource) -> Iterator[LogEntry]:
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
    records = list(read_files(FileSource(path=source.path, fields=fields)))
    column = fields.get("score", "score")
    if not scored:
        # A column that happens to be called ``score`` is not read either.
        records = [
            replace(record, values={k: v for k, v in record.values.items() if k != "score"}) for record in records
        ]
    elif records and not _has(records[0], column):
        raise UserError(
            f"{source.path} has no column {column!r} for the score; there are {', '.join(records[0].values)}. "
            f"Name it with fields: {{score: COLUMN}}, give {NONE!r} as 'metric' to use the items without scores, or "
            "read the file as a benchmark and let a policy score it."
        )
    part = LogPart("table", source.path.stem, (source.path,))
    tally = Tally(part, metric=column if scored else NONE, records=len(records))
    gathered = gather(records, part.benchmark, source=str(source.path), fields=fields, policy="imported")
    for record in gathered.left_out:
        yield tally.drop(record.where, record.reason)
    for item in gathered.items:
        identity = {"tool": "table", "doc_id": item.id, "metric": tally.metric, "epochs": item.epochs}
        method = "the prompt is the item's own text" if item.messages is None else "the last user message"
        yield tally.item(replace(item, identity=identity), method, records=item.epochs)
    yield tally.report()


def _has(record: Record, column: str) -> bool:
    # A path, a template or a list of columns is checked where it is read.
    return column in record.values or any(sign in column for sign in ".{,'")
