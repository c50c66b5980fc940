"""Reading logs in tests, and small hand-made logs of Inspect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from competency_gaps.config import LogSource
from competency_gaps.items.item import Item, LeftOut, SourceReport
from competency_gaps.logs.find import read_log


def read_all(path: Path, **chosen: str) -> tuple[list[Item], list[LeftOut], SourceReport]:
    """Items, records that were left out, and the report."""
    entries = list(read_log(LogSource(path=path, **chosen)))
    (report,) = [entry for entry in entries if isinstance(entry, SourceReport)]
    items = [entry for entry in entries if isinstance(entry, Item)]
    left_out = [entry for entry in entries if isinstance(entry, LeftOut)]
    assert report.items == len(items)
    assert report.unscored == sum(item.score is None for item in items)
    made_of = report.items - report.averaged_items + report.averaged
    assert report.records == made_of + sum(one.count for one in report.left_out)
    return items, left_out, report


def message(role: str, content: Any, source: str | None = None, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, "source": source, **more}


def sample(id: Any, value: Any = "C", *, text: str = "Why?", epoch: int = 1, **more: Any) -> dict[str, Any]:
    """A sample that was asked and answered once."""
    made = {
        "id": id,
        "epoch": epoch,
        "input": text,
        "target": "because",
        "messages": [message("user", text, "input"), message("assistant", "So.", "generate")],
        "output": {"choices": [{"message": message("assistant", "So.")}], "completion": "So."},
        "scores": {"match": {"value": value}},
    }
    return {**made, **more}


def head(task: str = "quiz", **more: Any) -> dict[str, Any]:
    """The head of a log, without samples."""
    spec = {"task": task, "model": "maker/name", "created": "2026-01-01T00:00:00+00:00", "config": {}, "dataset": {}}
    return {"version": 2, "status": "success", "eval": {**spec, **more.pop("eval", {})}, **more}


def write_log(path: Path, samples: list[dict[str, Any]] | None, **more: Any) -> Path:
    """A ``.json`` log, with NaN as Inspect writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**head(**more), "samples": samples}, ensure_ascii=False), encoding="utf-8")
    return path
