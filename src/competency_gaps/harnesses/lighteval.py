"""Details of lighteval: ``details/MODEL/TIME/details_TASK_TIME.parquet``, in its two forms.

Until version 0.9 a row holds ``example``, ``full_prompt``, ``predictions`` and ``metrics``; since then ``doc``,
``model_response`` and ``metric`` (in between with two underscores on either side).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError, argument
from competency_gaps.harnesses.shared.chat import prompted
from competency_gaps.harnesses.shared.lines import files_under, score_in_unit
from competency_gaps.harnesses.shared.options import chosen_metric, refuse_options
from competency_gaps.harnesses.shared.part import NONE, LogEntry, LogPart, Reader
from competency_gaps.harnesses.shared.shapes import mapping, sequence
from competency_gaps.harnesses.shared.tally import Tally
from competency_gaps.items.item import Item
from competency_gaps.items.remark import Remark

_NAME = re.compile(r"details_(?P<task>.+)_(?P<stamp>\d{4}-\d\d-\d\dT[\d.:-]+)\.parquet")
QUERY = "the document's query, at its last place in the prompt"
_SLICE = 1000
"""Rows that are Python objects at one time."""


class DetailRow(NamedTuple):
    """One row, whatever its form."""

    query: str
    prompt: Any
    """A text, or chat messages."""
    answers: Sequence[Any]
    choices: Sequence[str]
    gold: Any
    metrics: Mapping[str, Any]
    id: str | None


def find(path: Path) -> list[LogPart]:
    """Every task of which details lie at a path, the newest file of each task and model."""
    by_task: dict[tuple[str, str], list[tuple[str, Path]]] = {}
    for file in files_under(path, "details_*.parquet"):
        match = _NAME.fullmatch(file.name)
        if match:
            model = _model(file, match["stamp"])
            by_task.setdefault((match["task"], model or ""), []).append((match["stamp"], file))
    parts = []
    for (task, model), files in by_task.items():
        *older, (stamp, file) = sorted(files)
        notes = tuple(Remark("older_log", quotes=(old.name,)) for _, old in older)
        parts.append(LogPart("lighteval", task, (file,), model=model or None, stamp=stamp, notes=notes))
    return parts


def _model(file: Path, stamp: str) -> str | None:
    folders = list(file.parent.parts)
    if "details" not in folders:
        return None
    inner = folders[len(folders) - folders[::-1].index("details") :]
    return "/".join(folder for folder in inner if folder != stamp) or None


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Items of one task; only the columns that are used are read (logits and token ids are not), some rows at a time.

    Raises
    ------
    UserError
        If the file cannot be read, holds texts instead of values, or no metric is a score.
    """
    refuse_options(source, part, "filter", "scorer")
    file = part.files[0]
    try:
        columns = _columns(file)
        frame = pl.scan_parquet(file)
        metric, usable = _metric(frame.select(columns["metrics"]), source, part)
        tally = Tally(part, metric=metric, available={"metric": usable})
        tally.warn("direction_unknown")
        for number, values in enumerate(_rows(frame.select(**columns))):
            tally.records += 1
            row = _row(values)
            made = _item(row, number, metric, part)
            if made is None:
                yield tally.drop(f"{file.name}, row {number + 1}", Remark("no_prompt"))
                continue
            item, way = made
            if (reason := score_in_unit(row.metrics.get(metric)).reason) is not None:
                tally.unscored_because(reason)
            yield tally.item(item, way)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{file}: not a readable Parquet file ({error}).") from error
    yield tally.report()


def _columns(file: Path) -> dict[str, pl.Expr]:
    """Where our names stand in the file's form.

    Raises
    ------
    UserError
        If it has neither form.
    """
    schema = pl.read_parquet_schema(file)
    names = {name.strip("_"): name for name in schema}

    def inside(outer: str, *inner: str) -> dict[str, pl.Expr]:
        kind = schema.get(names.get(outer, ""))
        there = [field.name for field in kind.fields] if isinstance(kind, pl.Struct) else []
        return {name: pl.col(names[outer]).struct.field(name) for name in inner if name in there}

    if all(isinstance(schema.get(names.get(name, "")), pl.Struct) for name in ("doc", "metric")):
        columns = inside("doc", "query", "choices", "gold_index", "id") | inside(
            "model_response", "input", "text", "logprobs"
        )
        return {"metrics": pl.col(names["metric"]), **columns}
    if isinstance(schema.get(names.get("metrics", "")), pl.Struct) and "full_prompt" in names:
        old = ("metrics", "example", "full_prompt", "predictions", "choices", "gold_index", "gold")
        return {name: pl.col(names[name]) for name in old if name in names}
    raise UserError(
        f"{file} has the columns {', '.join(schema)}: no details that can be read (in some tasks lighteval writes all "
        f"values as texts). Make a table of it and give it with {argument('format')} 'table'."
    )


def _rows(frame: pl.LazyFrame) -> Iterator[dict[str, Any]]:
    start = 0
    while (part := frame.slice(start, _SLICE).collect()).height:
        yield from part.iter_rows(named=True)
        start += part.height


def _row(values: Mapping[str, Any]) -> DetailRow:
    gold = values.get("gold_index")
    if "full_prompt" in values:
        prompt, answers = values["full_prompt"], values.get("predictions")
    else:
        prompt, answers = values.get("input") or values.get("query"), values.get("text") or values.get("logprobs")
    return DetailRow(
        str(values.get("example") or values.get("query") or ""),
        prompt,
        sequence(answers),
        sequence(values.get("choices")),
        values.get("gold") if gold is None else gold,
        mapping(values["metrics"]),
        str(values["id"]) if values.get("id") not in (None, "") else None,
    )


def _metric(frame: pl.LazyFrame, source: LogSource, part: LogPart) -> tuple[str, tuple[str, ...]]:
    reasons: dict[str, set[Remark | None]] = {}
    for row in _rows(frame):
        for name, value in mapping(next(iter(row.values()))).items():
            reasons.setdefault(name, set()).add(score_in_unit(value).reason)
    usable = tuple(name for name, kinds in reasons.items() if _is_score(kinds))
    metric = chosen_metric(source, part, list(reasons), usable=usable)
    if metric != NONE and metric not in usable:
        raise UserError(
            f"{part.files[0]}: the metric {metric!r} is not one number in [0, 1] per item; usable: "
            f"{', '.join(usable) or 'none'}. Give {NONE!r} to use the items without scores."
        )
    return metric, usable


def _is_score(reasons: Set[Remark | None]) -> bool:
    return None in reasons and reasons <= {None, Remark("no_score"), Remark("score_nan")}


def _item(row: DetailRow, number: int, metric: str, part: LogPart) -> tuple[Item, str] | None:
    asked = prompted(row.prompt, row.query, QUERY)
    if asked is None:
        return None
    options = tuple(str(choice).strip() for choice in row.choices) if len(row.choices) > 1 else None
    gold = next(iter(row.gold), None) if isinstance(row.gold, list) else row.gold
    response = next((answer for answer in row.answers if isinstance(answer, str)), None)
    if response is None and options is not None and len(row.answers) == len(options):
        numbers = [answer for answer in row.answers if isinstance(answer, (int, float))]
        response = options[numbers.index(max(numbers))] if len(numbers) == len(options) else None
    item = Item(
        id=str(number),
        prompt=asked.prompt,
        messages=asked.messages,
        own=asked.own,
        seen=asked.seen,
        choices=options,
        answer=gold,
        policy="imported",
        score=score_in_unit(row.metrics.get(metric)).value,
        response=response,
        identity={"tool": "lighteval", "task": part.benchmark, "doc_id": row.id or str(number), "metric": metric},
    )
    return item, asked.way


LOG = Reader("lighteval: details_*.parquet", find, read)
