"""Details of lighteval: ``details/MODEL/TIME/details_TASK_TIME.parquet``, in its two forms.

Until version 0.9 a row holds ``example``, ``full_prompt``, ``predictions`` and ``metrics``; since then ``doc``,
``model_response`` and ``metric`` (in between with two underscores on either side).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError, argument
from competency_gaps.harnesses.shared.files import files_under, mapping, score_in_unit, sequence
from competency_gaps.harnesses.shared.log import LogEntry, LogPart, Reader, Tally, chosen_metric, newest
from competency_gaps.harnesses.shared.prompt import read_prompt
from competency_gaps.items.item import Item, LeftOut
from competency_gaps.items.remark import Remark
from competency_gaps.table_files import collect, scan_parquet

_NAME = re.compile(r"details_(?P<task>.+)_(?P<stamp>\d{4}-\d\d-\d\dT[\d.:-]+)\.parquet")
QUERY = "the document's query, at its last place in the prompt"
_SLICE = 1000
"""Rows that are Python objects at one time."""


def find(path: Path) -> list[LogPart]:
    """Every task with details at a path, the newest file of each task and model."""
    by_task: dict[tuple[str, str], list[tuple[str, Path]]] = {}
    for file in files_under(path, "details_*.parquet"):
        match = _NAME.fullmatch(file.name)
        if match:
            model = _model(file, match["stamp"])
            by_task.setdefault((match["task"], model or ""), []).append((match["stamp"], file))
    parts = []
    for (task, model), files in by_task.items():
        stamp, file, notes = newest(files)
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
    file = part.files[0]
    try:
        frame = scan_parquet(file)
        columns = _columns(file, frame.collect_schema())
        faults = _faults(frame.select(columns["metrics"]))
        usable = tuple(name for name, fault in faults.items() if fault is None)
        tally = Tally(part, metric=chosen_metric(source, part, faults), available={"metric": usable})
        tally.warn("direction_unknown")
        for number, row in enumerate(_rows(frame.select(**columns))):
            tally.records += 1
            made = _item(row, number, tally)
            yield made if made is not None else tally.drop(f"{file.name}, row {number + 1}", Remark("no_prompt"))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{file}: not a readable Parquet file ({error}).") from error
    yield tally.report()


def _columns(file: Path, schema: pl.Schema) -> dict[str, pl.Expr]:
    """The values of a row under one name for both forms.

    Raises
    ------
    UserError
        If the file has neither form.
    """
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
    while (part := collect(frame.slice(start, _SLICE))).height:
        yield from part.iter_rows(named=True)
        start += part.height


def _faults(frame: pl.LazyFrame) -> dict[str, str | None]:
    """Every metric, with why it cannot be a score (None: it can)."""
    reasons: dict[str, set[Remark | None]] = {}
    for row in _rows(frame):
        for name, value in mapping(next(iter(row.values()))).items():
            reasons.setdefault(name, set()).add(score_in_unit(value).reason)
    fine = {None, Remark("no_score"), Remark("score_nan")}
    fault = "is not one number in [0, 1] per item"
    return {name: None if None in kinds and kinds <= fine else fault for name, kinds in reasons.items()}


def _item(row: Mapping[str, Any], number: int, tally: Tally) -> Item | LeftOut | None:
    """The item of a row; None if the row holds no prompt."""
    if "full_prompt" in row:
        prompt, answers = row["full_prompt"], sequence(row.get("predictions"))
    else:
        prompt, answers = row.get("input") or row.get("query"), sequence(row.get("text") or row.get("logprobs"))
    asked = read_prompt(prompt, str(row.get("example") or row.get("query") or ""), QUERY)
    if asked is None:
        return None
    choices = [str(choice).strip() for choice in sequence(row.get("choices"))]
    options = tuple(choices) if len(choices) > 1 else None
    gold = row.get("gold") if row.get("gold_index") is None else row["gold_index"]
    response = next((answer for answer in answers if isinstance(answer, str)), None)
    if response is None and options is not None and len(answers) == len(options):
        likelihoods = [answer for answer in answers if isinstance(answer, (int, float))]
        response = options[likelihoods.index(max(likelihoods))] if len(likelihoods) == len(options) else None
    score = score_in_unit(mapping(row["metrics"]).get(str(tally.metric)))
    tally.unscored_because(score.reason)
    item = asked.item(
        str(number),
        choices=options,
        answer=next(iter(gold), None) if isinstance(gold, list) else gold,
        score=score.value,
        response=response,
        identity={
            "tool": "lighteval",
            "task": tally.part.benchmark,
            "doc_id": str(number) if row.get("id") in (None, "") else str(row["id"]),
            "metric": tally.metric,
        },
    )
    return tally.item(item, asked.method)


LOG = Reader("lighteval: details_*.parquet", find, read)
