"""Answers are kept in the cache folder, and read from it as long as neither the run nor this package changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competency_gaps.errors import CompetencyGapsError
from competency_gaps.files import cache_folder, write_json
from competency_gaps.findings.finding import Answer, Caveat, Finding
from competency_gaps.runs.scores import model_scores

if TYPE_CHECKING:
    from competency_gaps.findings.answer import Against
    from competency_gaps.runs.open import RunFolder

_ROOMS = ("evidence", "findings", "outcomes", "runs", "slices")
"""Folders of this package that decide what an answer says."""


def answer(run: RunFolder, model: str | None = None, against: Against = None, *, parsed: bool = False) -> Answer:
    """Say where a model is weak and strong, as :func:`competency_gaps.findings.answer.find_answer` does."""
    base = run.run_itself()
    model = base.own_model if model is None else model
    rests_on = _rests_on(base.path)
    file = _file(base.path, model, against, parsed=parsed)
    kept = _read(file, rests_on)
    if kept is None:
        from competency_gaps.findings.answer import find_answer

        kept = find_answer(base, model, against, parsed=parsed)
        with suppress(CompetencyGapsError):  # a cache folder that cannot be written keeps nothing
            write_json(file, {"rests_on": rests_on, "answer": asdict(kept)})
    return kept


def answers(run: RunFolder, models: Sequence[str] | None = None, against: Against = None) -> dict[str, Answer]:
    """The answers of several models, two at a time; ``models`` None: all that have scores."""
    base = run.run_itself()
    names = list(model_scores(base).models if models is None else models)
    rests_on = _rests_on(base.path)
    if all(_read(_file(base.path, name, against), rests_on) for name in names):
        return {name: answer(base, name, against) for name in names}
    from competency_gaps.findings.answer import slices_of, two_at_a_time

    slices_of(base)  # read once, before the threads ask for them
    return dict(zip(names, two_at_a_time(lambda name: answer(base, name, against), names), strict=True))


def _file(run: Path, model: str | None, against: Against, *, parsed: bool = False) -> Path:
    asked = json.dumps([model, against if isinstance(against, str | None) else list(against), parsed])
    folder, name = (hashlib.sha256(text.encode()).hexdigest()[:16] for text in (str(run.resolve()), asked))
    return cache_folder() / "answers" / folder / f"{name}.json"


def _rests_on(run: Path) -> list[Any]:
    """The tables and documents of a run, and the code that answers: as they were when they were last changed."""
    code = [file.stat() for room in _ROOMS for file in (Path(__file__).parents[1] / room).glob("*.py")]
    files = sorted(file for file in run.iterdir() if file.suffix in (".json", ".parquet") and file.is_file())
    held = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    return [sum(own.st_size for own in code), max(own.st_mtime_ns for own in code), held]


def _read(file: Path, rests_on: list[Any]) -> Answer | None:
    """The kept answer; None: there is none, or what it rests on has changed."""
    try:
        held = json.loads(file.read_bytes())
        return _answer(held["answer"]) if held["rests_on"] == rests_on else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _answer(held: dict[str, Any]) -> Answer:
    findings = (
        Finding(**{**one, "rests_on": tuple(map(tuple, one["rests_on"])), "typical": tuple(one["typical"])})
        for one in held["findings"]
    )
    shared = {name: tuple(held[name]) for name in ("against", "families")}
    caveats = tuple(Caveat(**one) for one in held["caveats"])
    return Answer(**{**held, **shared, "findings": tuple(findings), "caveats": caveats})
