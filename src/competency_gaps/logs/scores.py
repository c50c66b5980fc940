"""Scores of models on the items of a run: from a table with one column per model, and from other tools' logs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.items.config import FileSource, LogSource, ScoresConfig
from competency_gaps.items.files import SUFFIXES, read_files
from competency_gaps.items.item import Item
from competency_gaps.items.records import Record
from competency_gaps.items.registry import LOGS
from competency_gaps.logs.find import find_parts, read_log
from competency_gaps.logs.reader import LogPart
from competency_gaps.logs.table import KEYS
from competency_gaps.runs.scores import ROWS
from competency_gaps.util.errors import UserError, no_such
from competency_gaps.util.jsonl import first_object, float_or_none
from competency_gaps.util.text import replace_surrogates, shorten


def configured_scores(config: ScoresConfig) -> pl.DataFrame:
    """Return the scores that a configuration names, one row per model and item with the columns of ``ROWS``.

    Raises
    ------
    UserError
        As :func:`read_score_table` and :func:`read_score_log`.
    """
    if config.kind == "table":
        return read_score_table(config.path.expanduser(), config.benchmark, config.models)
    return read_score_log(config)


def read_scores(
    source: Path | str | pl.DataFrame | Mapping[str, Mapping[str, float | None]], benchmark: str | None = None
) -> pl.DataFrame:
    """Return scores of models on items, one row per model and item with the columns of ``ROWS``.

    Parameters
    ----------
    source
        A table of scores, as a frame, as ``{model: {id: score}}`` or as a file (CSV, TSV, Parquet, or JSONL with ids);
        or else the path of another tool's log.
    benchmark
        The run's benchmark that the items are of; None: the source or the ids say it.

    Raises
    ------
    UserError
        As :func:`read_score_table` and :func:`read_score_log`.
    """
    if isinstance(source, pl.DataFrame):
        where, rows = "the table of scores", enumerate(source.iter_rows(named=True), 1)
        records = [Record(row, f"{where}, row {number}") for number, row in rows]
        return _scored(records, _models(source.columns, where), benchmark)
    if isinstance(source, Mapping):
        cells = ((model, str(item), score) for model, by_item in source.items() for item, score in by_item.items())
        return _rows((m, item, benchmark, _score(cell, "the scores", item, m), None, None) for m, item, cell in cells)
    path = Path(source)
    if path.suffix in SUFFIXES and (path.suffix != ".jsonl" or "id" in first_object(path)):
        return read_score_table(path, benchmark)
    return read_score_log(ScoresConfig(path=path, benchmark=benchmark))


def read_score_table(path: Path, benchmark: str | None = None, models: Sequence[str] = ()) -> pl.DataFrame:
    """Return the scores in a table with a column ``id`` and one column per model; columns are those of ``ROWS``.

    Parameters
    ----------
    path
        CSV, TSV, JSONL or Parquet. Cells hold scores in [0, 1]; an empty cell is unscored, which is not 0. If the only
        model's column is called ``score``, the model is named after the file.
    benchmark
        The run's benchmark that the items are of; None: a column ``benchmark`` says it, or the ids do.
    models
        The columns of models in a table that also holds the items themselves; if it has no ids, they are the row
        numbers from 0. Empty: all columns but ``id`` and ``benchmark``.

    Raises
    ------
    UserError
        If the file cannot be read, has no column ``id`` or no model, or a cell is not a number.
    """
    records = list(read_files(FileSource(path=path)))
    if models:
        places = [Record({"id": number, **record.values}, record.where) for number, record in enumerate(records)]
        return _scored(places, models, benchmark)
    columns = list(records[0].values) if records else []
    rows = _scored(records, _models(columns, str(path)), benchmark)
    return rows.with_columns(model=pl.lit(path.stem)) if {*columns} - {*KEYS} == {"score"} else rows


def _models(columns: Sequence[str], where: str) -> list[str]:
    """Return the columns of a table of scores that are models; UserError if there are none, or no ``id``."""
    models = [name for name in columns if name not in KEYS]
    if "id" not in columns or not models:
        raise UserError(
            f"{where} has the columns {', '.join(columns[:8])}: expected 'id' and one column of scores per model."
        )
    return models


def _scored(records: Sequence[Record], models: Sequence[str], benchmark: str | None) -> pl.DataFrame:
    """Return the cells of the models' columns, one row per model and item with the columns of ``ROWS``."""
    needed = {*models}
    for record in records:
        if record.values.get("id") is None or not record.values.keys() >= needed:
            raise UserError(f"{record.where}: the id is empty, or a column of the first row is missing.")
    ids = [replace_surrogates(str(record.values["id"])) for record in records]
    benchmarks = [record.values.get("benchmark") if benchmark is None else benchmark for record in records]
    named = [None if name is None else replace_surrogates(str(name)) for name in benchmarks]
    keys = pl.DataFrame({"id": ids, "benchmark": named}, {"id": pl.String, "benchmark": pl.String})
    none, tables = pl.lit(None, pl.String), []
    for model in models:
        scores = [
            _score(record.values[model], record.where, item, model) for record, item in zip(records, ids, strict=True)
        ]
        name, score = pl.lit(replace_surrogates(model), pl.String), pl.Series("score", scores, pl.Float64)
        tables.append(keys.select(name.alias("model"), pl.all(), score, response=none, prompt=none))
    return pl.concat(tables)


def _rows(rows: Iterable[tuple[str | float | None, ...]]) -> pl.DataFrame:
    """Return the rows as a frame with the columns of ``ROWS``; text that is not UTF-8 is made readable."""
    cells = list(rows)
    try:
        return pl.DataFrame(cells, ROWS, orient="row")
    except UnicodeEncodeError:
        readable = ([replace_surrogates(cell) if isinstance(cell, str) else cell for cell in row] for row in cells)
        return pl.DataFrame(list(readable), ROWS, orient="row")


def _score(cell: Any, where: str, item: str, model: str) -> float | None:
    """Return a cell as a number, or None if it is empty or NaN; UserError if it holds anything else."""
    value = float_or_none(cell)
    if value is None and cell is not None and str(cell).strip():
        raise UserError(
            f"{where} (id {item!r}), column {model!r}: {shorten(repr(cell), 60)} is not a number. Expected a score "
            "from 0 to 1, or an empty cell."
        )
    return None if value is None or math.isnan(value) else value


def read_score_log(config: ScoresConfig) -> pl.DataFrame:
    """Return scores and responses from another tool's log, or a folder of logs of one or several models.

    One row per model and item, with the columns of ``ROWS``.

    Raises
    ------
    UserError
        If nothing can be read there, a log does not name its model, or a name is given for several models.
    """
    path, format_ = config.path.expanduser(), config.format
    if format_ is not None and format_ not in LOGS:
        raise UserError(f"scores are read from logs of {', '.join(LOGS)}, or from a table of scores, not {format_!r}.")
    every = [LogPart("table", path.stem, (path,))] if config.fields else find_parts(path, format_)
    parts = [log for log in every if config.part in (None, log.benchmark)]
    if not parts:
        raise no_such(f"{path} has no benchmark", config.part, (log.benchmark for log in every))
    models = {part.model for part in parts}
    if config.model is not None and len(models) > 1:
        raise UserError(
            f"one name, {config.model!r}, for {len(models)} models in {path}: {', '.join(sorted(map(str, models)))}. "
            "Add their logs one by one."
        )
    rows = []
    for log in parts:
        # A table is called as its file is, whatever the benchmark.
        is_table = log.format == "table"
        name = config.model or log.model or (log.files[0].stem if is_table else None)
        if name is None:
            raise UserError(f"{log.files[0]} does not name its model: give a name for it.")
        name_ = config.benchmark if config.benchmark is not None or is_table else log.task
        choices = {"metric": config.metric, "scorer": config.scorer, "fields": config.fields}
        source = LogSource(path=path, format=log.format, benchmark=log.benchmark, **choices)
        items = (entry for entry in read_log(source) if isinstance(entry, Item))
        rows += [(name, item.id, name_, item.score, item.response, item.prompt) for item in items]
    return _rows(rows)
