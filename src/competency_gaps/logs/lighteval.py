"""Details of lighteval: ``details/MODEL/TIME/details_TASK_TIME.parquet``, in its two forms.

Until version 0.9 a row holds ``example``, ``full_prompt``, ``predictions`` and ``metrics``; since then ``doc``,
``model_response`` and ``metric`` (in between with two underscores on either side).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from competency_gaps.benchmarks.item import Item
from competency_gaps.config import LogSource
from competency_gaps.errors import UserError, nearest
from competency_gaps.logs.chat import chat_messages
from competency_gaps.logs.lines import files_under, score_in_unit
from competency_gaps.logs.options import refuse_options
from competency_gaps.logs.own_text import begins_itself, last_occurrence, whole
from competency_gaps.logs.part import LogEntry, LogPart
from competency_gaps.logs.tally import Tally
from competency_gaps.model.prompts import Text

_NAME = re.compile(r"details_(?P<task>.+)_(?P<stamp>\d{4}-\d\d-\d\dT[\d.:-]+)\.parquet")
QUERY = "the document's query, at its last place in the prompt"


class Row(NamedTuple):
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
    found: dict[tuple[str, str], list[tuple[str, Path]]] = {}
    for file in files_under(path, "details_*.parquet"):
        match = _NAME.fullmatch(file.name)
        if match:
            model = _model(file, match["stamp"])
            found.setdefault((match["task"], model or ""), []).append((match["stamp"], file))
    parts = []
    for (task, model), files in found.items():
        *older, (stamp, file) = sorted(files)
        passed = {old.name: "older details of the same task" for _, old in older}
        parts.append(LogPart("lighteval", task, (file,), model=model or None, stamp=stamp, passed_over=passed))
    return parts


def _model(file: Path, stamp: str) -> str | None:
    folders = list(file.parent.parts)
    if "details" not in folders:
        return None
    inner = folders[len(folders) - folders[::-1].index("details") :]
    return "/".join(one for one in inner if one != stamp) or None


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Items of one task.

    Raises
    ------
    UserError
        If the file cannot be read, holds texts instead of values, or no metric is a score.
    """
    refuse_options(source, part, "filter", "scorer")
    try:
        frame = pl.read_parquet(part.files[0])
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{part.files[0]}: not a readable Parquet file ({error}).") from error
    frame = frame.rename({name: name.strip("_") for name in frame.columns})
    rows = [_row(values, part.files[0]) for values in frame.iter_rows(named=True)]
    metric, available = _metric(rows, source.metric, part)
    tally = Tally(part, metric=metric, available={"metric": available}, records=len(rows))
    tally.warn("lighteval's details do not say of which metrics higher is better; see that this one is of that kind")
    for number, row in enumerate(rows):
        made = _item(row, number, metric, part)
        if made is None:
            yield tally.drop(f"{part.files[0].name}, row {number + 1}", "the row holds no prompt")
            continue
        item, way = made
        if item.score is None:
            tally.unscored_because(str(score_in_unit(row.metrics.get(metric)).reason))
        yield tally.item(item, way)
    yield tally.report()


def _row(values: Mapping[str, Any], file: Path) -> Row:
    if isinstance(values.get("doc"), dict) and isinstance(values.get("metric"), dict):
        doc, answer = values["doc"], values.get("model_response") or {}
        return Row(
            str(doc.get("query") or ""),
            answer.get("input") or doc.get("query"),
            answer.get("text") or answer.get("logprobs") or (),
            doc.get("choices") or (),
            doc.get("gold_index"),
            values["metric"],
            _id(doc.get("id")),
        )
    if isinstance(values.get("metrics"), dict) and "full_prompt" in values:
        gold = values.get("gold_index") or values.get("gold")
        return Row(
            str(values.get("example") or ""),
            values["full_prompt"],
            values.get("predictions") or (),
            values.get("choices") or (),
            gold,
            values["metrics"],
            None,
        )
    raise UserError(
        f"{file} has the columns {', '.join(values)}: no details that can be read (in some tasks lighteval writes all "
        "values as texts). Make a table of it and give it with --format table."
    )


def _id(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None


def _metric(rows: Sequence[Row], wanted: str | None, part: LogPart) -> tuple[str, tuple[str, ...]]:
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    usable = tuple(name for name in names if _is_score([row.metrics.get(name) for row in rows]))
    if wanted is not None and wanted not in names:
        raise UserError(
            f"{part.files[0]} has no metric {wanted!r}; there are {', '.join(names)}.{nearest(wanted, names)}"
        )
    if not usable or (wanted is not None and wanted not in usable):
        said = f"the metric {wanted!r} is not" if wanted else "no metric is"
        raise UserError(
            f"{part.files[0]}: {said} one number in [0, 1] per item; usable: {', '.join(usable) or 'none'}."
        )
    return wanted or usable[0], usable


def _is_score(values: Sequence[Any]) -> bool:
    reasons = {score_in_unit(value).reason for value in values}
    return None in reasons and reasons <= {None, "no score", "the score is NaN"}


def _item(row: Row, number: int, metric: str, part: LogPart) -> tuple[Item, str] | None:
    asked = row.prompt[0] if isinstance(row.prompt, list) and len(row.prompt) == 1 else row.prompt
    messages = chat_messages(row.prompt)
    prompt = messages[-1]["content"] if messages else asked if isinstance(asked, str) else ""
    found = last_occurrence(prompt, row.query, QUERY) or whole(prompt)
    if found is None:
        return None
    place = (found.start, found.end)
    options = tuple(str(one).strip() for one in row.choices) if len(row.choices) > 1 else None
    gold = row.gold[0] if isinstance(row.gold, list) and row.gold else row.gold
    response = next((one for one in row.answers if isinstance(one, str)), None)
    if response is None and options is not None and len(row.answers) == len(options):
        numbers = [one for one in row.answers if isinstance(one, (int, float))]
        response = options[numbers.index(max(numbers))] if len(numbers) == len(options) else None
    item = Item(
        id=str(number),
        prompt=prompt[slice(*place)],
        messages=messages,
        own=place if messages else None,
        seen=None if messages else Text(prompt, (place,), templated=begins_itself(prompt, None)),
        choices=options,
        answer=gold,
        policy="imported",
        score=score_in_unit(row.metrics.get(metric)).value,
        response=response,
        identity={"tool": "lighteval", "task": part.benchmark, "doc_id": row.id or str(number), "metric": metric},
    )
    return item, found.way
