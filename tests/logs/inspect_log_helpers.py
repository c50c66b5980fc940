"""Small hand-made logs of Inspect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


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
