"""Read AutoDetect's logs: the tested points with the judge's scores."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.matching.records import Raw

LOW = 3.0
"""Highest score (of 1 to 10) of a failed question, as AutoDetect sets it."""
EXPLANATION_LIMIT = 1000
_RUN = "autodetect_"
_VERSION = re.compile(r"version_(\d+)")


class LogPlace(NamedTuple):
    """What the folders above a log say of it."""

    task: Path
    """Folder of the task."""
    version: int
    """0 where there is none."""
    model: str | None
    """None: the folders are not AutoDetect's."""
    domain: str | None
    """What its points are about; None: not known."""


def log_place(log: Path) -> LogPlace:
    """Read the folders above a log, ``autodetect_DOMAIN/result/autodetect_MODEL/TASK/version_N``."""
    folder = log.parent.resolve()
    version = _VERSION.fullmatch(folder.name)
    task = folder.parent if version else folder
    number, run = int(version[1]) if version else 0, task.parent
    if not run.name.startswith(_RUN):
        return LogPlace(task, number, None, None)
    domains = [part.removeprefix(_RUN) for part in run.parent.parts if part.startswith(_RUN)]
    return LogPlace(task, number, run.name.removeprefix(_RUN), domains[-1] if domains else None)


def is_log(content: Any) -> bool:
    """Whether a file's content is an AutoDetect log."""
    return isinstance(content, Mapping) and (
        "init_points" in content or any(isinstance(part, Mapping) and "steps" in part for part in content.values())
    )


def read_log(content: Mapping[str, Any], log: Path, folders: Sequence[str] = ()) -> list[Raw]:
    """Make one record of each point ``task:point``.

    The description is the point's name with the task's in brackets and, for points that the framework added, its
    explanation. ``score`` is the mean judge score over the steps (1 to 10, higher is better; steps without a score are
    not counted), ``low_score_rate`` the share of scores of 3 or less. ``level`` is ``test_point``, or
    ``proposed_not_tested`` for a point without steps.

    Parameters
    ----------
    log
        The file. The folders above it give the fields ``model`` and ``domain``, whichever of them the list begins at.
    folders
        Folders between the taxonomy's folder and the log. They begin the id (except ``version_*``), so that a point
        tested on two models has two ids.
    """
    where, place = str(log), log_place(log)
    prefix = "".join(f"{part}/" for part in folders if not _VERSION.fullmatch(part))
    task_name = _tasks(content)
    added = _added(content.get("new_points"))
    tested = {_point(key) for key, value in content.items() if isinstance(value, Mapping)}
    records = []
    for key, value in content.items():
        if key in ("init_points", "new_points"):
            continue
        if not isinstance(value, Mapping) or not isinstance(value.get("steps", []), list):
            records.append(Raw(f"{where}, {key!r}", None, "it holds no steps"))
            continue
        records.append(_record(f"{prefix}{key}", key, value.get("steps", []), added, where))
    named = content.get("init_points")
    untested = [point for point in named if isinstance(point, str)] if isinstance(named, list) else []
    untested += [f"{task_name}:{name}" if task_name else name for name in added]
    for key in dict.fromkeys(untested):
        if _point(key) not in tested:
            records.append(_record(f"{prefix}{key}", key, [], added, where))
    for record in records:
        if record.reason is None and place.model is not None:
            record.values["model"] = place.model
        if record.reason is None and place.domain is not None:
            record.values["domain"] = place.domain
    return records


def _tasks(content: Mapping[str, Any]) -> str | None:
    """The task of the log's points; None if there are several."""
    tasks = {key.partition(":")[0] for key in content if ":" in key}
    return tasks.pop() if len(tasks) == 1 else None


def _added(points: Any) -> dict[str, str]:
    """Points that the framework proposed, with their explanations."""
    explanations = {}
    for point in points if isinstance(points, list) else []:
        if isinstance(point, Mapping) and isinstance(point.get("task_name"), str):
            explanations[point["task_name"].strip()] = str(point.get("explanation") or "")[:EXPLANATION_LIMIT].strip()
    return explanations


def _record(key: str, point: str, steps: Sequence[Any], added: Mapping[str, str], where: str) -> Raw:
    task, _, name = point.rpartition(":")
    words, category = (part.replace("_", " ").strip() for part in (name, task))
    explanation = added.get(name.strip())
    scores = [score for step in steps if (score := _score(step)) is not None]
    description = f"{words} ({category})" if category else words
    values: dict[str, Any] = {
        "id": key,
        "description": f"{description}: {explanation}" if explanation else description,
        "category": category or None,
        "score": sum(scores) / len(scores) if scores else None,
        "framework": "AutoDetect",
        "level": "test_point" if steps else "proposed_not_tested",
        "low_score_rate": sum(score <= LOW for score in scores) / len(scores) if scores else None,
        "n_questions": len(scores),
        "n_unscored": len(steps) - len(scores),
        "added_by_framework": explanation is not None,
        "explanation": explanation,
        "source": where,
        "examples": [step["prompt"] for step in steps if isinstance(step, Mapping) and _text(step.get("prompt"))],
    }
    return Raw(f"{where}, {point!r}", values)


def point_entry(values: Mapping[str, Any]) -> dict[str, Any]:
    """Make the fields of an entry of a record of one point: ``taxonomy_id``, ``task``, ``point``, ``steps``."""
    given = dict(values)
    steps = given.pop("steps")
    task, point = (str(given.get(name) or "").strip() for name in ("task", "point"))
    prompts = [step["prompt"] for step in steps if isinstance(step, Mapping) and _text(step.get("prompt"))]
    made = {
        "id": given.pop("id", None) or given.pop("taxonomy_id", None) or f"{given.get('run') or ''}/{task}:{point}",
        "description": f"{point} ({task})" if task else point,
        "category": task or None,
        "score": given.pop("mean_score", None),
        "level": "test_point",
        "examples": prompts,
    }
    return {**given, **made}


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _score(step: Any) -> float | None:
    value = step.get("score") if isinstance(step, Mapping) else None
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _point(key: str) -> str:
    return key.rpartition(":")[2].strip().casefold()
