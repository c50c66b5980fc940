"""Cache of answers, in the cache folder; an entry is valid until the run changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from competency_gaps.findings.finding import CELLS, MAX_SLICES, SLICES, Answer, Caveat, Finding, ModelSlices
from competency_gaps.runs.scores import model_scores
from competency_gaps.util.errors import CompetencyGapsError
from competency_gaps.util.files import cache_folder, finite, write_json

if TYPE_CHECKING:
    from competency_gaps.findings.answer import Against
    from competency_gaps.runs.open import RunFolder

Made = TypeVar("Made")
FORMAT = 3
"""Version of cached answers; raise it when the same run would get another answer."""


def answer(run: RunFolder, model: str | None = None, against: Against = None, *, parsed: bool = False) -> Answer:
    """Return where a model is weak and strong, from the cache or
    :func:`competency_gaps.findings.answer.find_answer`.
    """
    base = run.run_itself()
    model = base.own_model if model is None else model

    def make() -> Answer:
        from competency_gaps.findings.answer import find_answer

        return find_answer(base, model, against, parsed=parsed)

    return _kept(base.path, ("answer", model, against, parsed), make, asdict, _answer)


def outcome_arguments(run: RunFolder) -> dict[str, Any]:
    """Return the arguments of :func:`answer` for the outcome of a run or view."""
    others = run.manifest.get("outcome", {}).get("against")
    against = {"peers": others, "difference": others[0] if others else None}.get(run.kind, "benchmark")
    return {"model": run.scored_model, "against": against, "parsed": run.kind == "parsed"}


def answers(run: RunFolder, against: Against = None) -> dict[str, Answer]:
    """The answers of all models that have scores."""
    base = run.run_itself()
    return {name: answer(base, name, against) for name in model_scores(base).models}


def model_slices(
    run: RunFolder, *, against: Against = None, models: Sequence[str] | None = None, max_slices: int = MAX_SLICES
) -> ModelSlices:
    """Return the slices on which models differ, from the cache or ``find_model_slices``."""

    def make() -> ModelSlices:
        from competency_gaps.findings.models import find_model_slices

        return find_model_slices(run, against=against, models=models, max_slices=max_slices)

    def plain(slices: ModelSlices) -> list[Any]:
        return [table.rows() for table in slices]

    def read(content: list[Any]) -> ModelSlices:
        tables = zip(content, (SLICES, CELLS), strict=True)
        return ModelSlices(*(pl.DataFrame(rows, schema, orient="row") for rows, schema in tables))

    return _kept(run.run_itself().path, ("models", against, models, max_slices), make, plain, read)


def _kept(
    run: Path, asked: Sequence[Any], make: Callable[[], Made], plain: Callable[[Made], Any], read: Callable[[Any], Made]
) -> Made:
    """Return the cached result for a question; otherwise compute it and cache it as ``plain`` turns it into JSON."""
    file, rests_on = _file(run, asked), _rests_on(run)
    content = _read(file, rests_on)
    if content is not None:
        return read(content)
    value = make()
    with suppress(CompetencyGapsError, OSError):  # a cache folder that cannot be written keeps nothing
        write_json(file, {"rests_on": rests_on, "kept": finite(plain(value))})
    return value


def _file(run: Path, asked: Sequence[Any]) -> Path:
    folder, name = (
        hashlib.sha256(text.encode()).hexdigest()[:16] for text in (str(run.resolve()), json.dumps(finite(list(asked))))
    )
    return cache_folder() / "answers" / folder / f"{name}.json"


def _rests_on(run: Path) -> list[Any]:
    """Return the format, and the stamps of a run's tables and documents, which must be unchanged for a cached
    result.
    """
    files = sorted(file for file in run.iterdir() if file.suffix in (".json", ".parquet") and file.is_file())
    stamps = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    return [FORMAT, stamps]


def _read(file: Path, rests_on: list[Any]) -> Any:
    """Return the cached result in a file; None if there is none, or it is outdated."""
    try:
        content = json.loads(file.read_bytes())
        return content["kept"] if content["rests_on"] == rests_on else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _answer(content: dict[str, Any]) -> Answer:
    findings = (
        Finding(**{**one, "rests_on": tuple(map(tuple, one["rests_on"])), "typical": tuple(one["typical"])})
        for one in content["findings"]
    )
    shared = {name: tuple(content[name]) for name in ("against", "families")}
    caveats = tuple(Caveat(**one) for one in content["caveats"])
    return Answer(**{**content, **shared, "findings": tuple(findings), "caveats": caveats})
