"""AutoDetect's logs: ``result/autodetect_MODEL/TASK/version_N/log.json``, with the judge's grade of each answer.

AutoDetect writes its questions for one model, most of them from questions that this model failed before, so the logs
of two models share no items: each model's log is a benchmark of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.items.config import LogSource
from competency_gaps.items.item import Item, Reason
from competency_gaps.logs.prompt import NO_PROMPT, LoggedPrompt, read_prompt
from competency_gaps.logs.reader import LogEntry, LogPart, Reader, Tally, chosen_metric
from competency_gaps.util.errors import UserError
from competency_gaps.util.jsonl import files_under, json_file, mapping, sequence, text_or_none

METRIC = "grade"
MIN_GRADE, MAX_GRADE = 1.0, 10.0
"""The judge's scale."""
_FORMAT_BYTES = 4096
"""Bytes of a file that show whether AutoDetect wrote it."""
_RUN = "autodetect_"
_VERSION = re.compile(r"version_(\d+)")


class LogPlace(NamedTuple):
    """What the folders above a log say about it."""

    task: Path
    """Folder of the task."""
    version: int
    """0 if no folder names a version."""
    model: str | None
    """None if the folders are not AutoDetect's."""
    domain: str | None
    """What its points are about; None if unknown."""


def log_place(log: Path) -> LogPlace:
    """Return what the folders above a log say: ``autodetect_DOMAIN/result/autodetect_MODEL/TASK/version_N``."""
    folder = log.parent.resolve()
    version = _VERSION.fullmatch(folder.name)
    task = folder.parent if version else folder
    number, run = int(version[1]) if version else 0, task.parent
    if not run.name.startswith(_RUN):
        return LogPlace(task, number, None, None)
    domains = [part.removeprefix(_RUN) for part in run.parent.parts if part.startswith(_RUN)]
    return LogPlace(task, number, run.name.removeprefix(_RUN), domains[-1] if domains else None)


def find(path: Path) -> list[LogPart]:
    """Return one part per domain and model: all its tasks, each in its newest version."""
    # Another copy of a task, in another folder, counts as a version: its points have the same names.
    versions: dict[tuple[str, str | None, str], list[tuple[int, Path]]] = {}
    for file in filter(_is_log, files_under(path, "log.json")):
        location = log_place(file)
        domain = location.task.name if location.model is None else location.domain or "autodetect"
        versions.setdefault((domain, location.model, location.task.name), []).append((location.version, file))
    parts: dict[tuple[str, str | None], tuple[list[Path], list[Reason]]] = {}
    for (domain, model, name), files in versions.items():
        *older, (_, newest) = sorted(files)
        chosen, notes = parts.setdefault((domain, model), ([], []))
        chosen.append(newest)
        text = "an older log of the same task was not read: {}/{}"
        notes += [Reason("older_log", text.format(name, file.parent.name)) for _, file in older]
    named = ((f"{domain}@{model}" if model else domain, model, *part) for (domain, model), part in parts.items())
    return [
        LogPart("autodetect", name, tuple(sorted(files)), model, notes=tuple(notes))
        for name, model, files, notes in named
    ]


def _is_log(file: Path) -> bool:
    """Whether the beginning of a file shows that AutoDetect wrote it."""
    with file.open("rb") as handle:
        head = handle.read(_FORMAT_BYTES)
    return b'"init_points"' in head or b'"seed_prompts"' in head


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Yield the items of a part's tasks (prompt: the question, ``group``: the point, score: the grade), then the
    report.

    Grades from 1 to 10 become scores in [0, 1]. The covariate ``phase`` is ``seed`` for the questions from which
    AutoDetect started a point, else ``search``.

    Raises
    ------
    UserError
        If a file cannot be read.
    """
    tally = Tally(part, metric=chosen_metric(source, part, {METRIC: None}), available={"metric": (METRIC,)})
    for file in part.files:
        points, task = json_file(file), log_place(file).task.name
        if not isinstance(points, dict):
            raise UserError(f"{file}: {type(points).__name__}, expected an object with one entry per point.")
        for point, content in points.items():
            seeds = {_text(step) for step in sequence(mapping(content).get("seed_prompts"))}
            for number, step in enumerate(sequence(mapping(content).get("steps"))):
                tally.records += 1
                asked = read_prompt(_text(step), "", "")
                if asked is None:
                    yield tally.drop(f"{task}, {point!r}, step {number + 1}", NO_PROMPT)
                    continue
                phase = "seed" if _text(step) in seeds else "search"
                item = _item(asked, f"{point}#{number + 1}", point, mapping(step), phase, tally)
                yield tally.item(item, asked.method)
    yield tally.report()


def _item(asked: LoggedPrompt, id: str, point: str, step: Mapping[str, Any], phase: str, tally: Tally) -> Item:
    """Return one step of the search as an item, unscored if its grade is not from 1 to 10."""
    grade_text = step.get("score")
    number = isinstance(grade_text, (int, float)) and not isinstance(grade_text, bool)
    grade = grade_text if number and grade_text is not None and MIN_GRADE <= grade_text <= MAX_GRADE else None
    if grade is None:
        outside = Reason("grade_outside", "the judge's grade is not from 1 to 10")
        tally.unscored_because(Reason("no_score", "no score") if grade_text is None else outside)
    return asked.item(
        id,
        group=point,
        answer=text_or_none(step.get("ref_ans")),
        score=None if grade is None else (grade - MIN_GRADE) / (MAX_GRADE - MIN_GRADE),
        response=text_or_none(step.get("answer")),
        covariates={"phase": phase},
        identity={"tool": "autodetect", "point": point, "grade": grade},
    )


def _text(step: Any) -> str | None:
    """Return the question of a step, or None."""
    return text_or_none(mapping(step).get("prompt"))


LOG = Reader("AutoDetect: result/autodetect_MODEL/TASK/version_0/log.json", find, read)
