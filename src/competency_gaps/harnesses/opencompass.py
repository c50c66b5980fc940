"""Outputs of OpenCompass: ``predictions/MODEL/DATASET.json`` with ``results/MODEL/DATASET.json``.

Results say per item whether it is right only if OpenCompass was run with ``--dump-eval-details``. Datasets that are
scored by perplexity hold one prompt per option and are left out.
"""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError
from competency_gaps.harnesses.shared.files import (
    files_under,
    json_file,
    mapping,
    mean_score,
    score_in_unit,
    text_or_none,
)
from competency_gaps.harnesses.shared.log import NONE, LogEntry, LogPart, Reader, Tally, chosen_metric
from competency_gaps.harnesses.shared.prompt import LoggedPrompt, read_prompt
from competency_gaps.items.item import Item
from competency_gaps.items.remark import Remark

METRIC = "correct"
_PIECE = re.compile(r"(?P<dataset>.+)_(?P<number>\d+)")


def find(path: Path) -> list[LogPart]:
    """Every dataset with predictions at a path.

    A big dataset is predicted in pieces, ``DATASET_0.json`` and so on, whose results are in one file.
    """
    files = [file for file in files_under(path, "*.json") if file.parent.parent.name == "predictions"]
    parts: dict[Path, LogPart] = {}
    for file in filter(_is_predictions, files):
        piece = _PIECE.fullmatch(file.stem)
        whole_name = file.with_stem(piece["dataset"]) if piece else file
        together = piece is not None and not _results(file).is_file() and _results(whole_name).is_file()
        name = whole_name if together and not whole_name.is_file() else file
        if name not in parts:
            parts[name] = _part(name, pieces=name != file)
    return list(parts.values())


def _part(file: Path, *, pieces: bool) -> LogPart:
    predictions = [file]
    notes: list[Remark] = []
    if pieces:
        numbered = (file.with_stem(f"{file.stem}_{number}") for number in itertools.count())
        predictions = list(itertools.takewhile(Path.is_file, numbered))
        others = set(file.parent.glob(f"{glob.escape(file.stem)}_*.json")) - set(predictions)
        names = sorted(other.name for other in others if _PIECE.fullmatch(other.stem))
        notes = [Remark("missing_piece", quotes=(name,)) for name in names]
    results = _results(file)
    return LogPart(
        "opencompass",
        file.stem,
        (*predictions, *([results] if results.is_file() else [])),
        model=file.parent.name,
        stamp=file.parent.parent.parent.name,
        notes=tuple(notes),
        details={"predictions": len(predictions)},
    )


def _results(predictions: Path) -> Path:
    return predictions.parent.parent.parent / "results" / predictions.parent.name / predictions.name


def _is_predictions(file: Path) -> bool:
    # The beginning is enough: the first entry has the number 0.
    with file.open("rb") as handle:
        return handle.read(64).lstrip(b"\xef\xbb\xbf \n\r\t{").startswith(b'"0"')


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Items of one dataset. Each file is one JSON value and is read whole, one file after the other.

    Raises
    ------
    UserError
        If the results do not say per item whether it is right.
    """
    tally = Tally(part, metric=chosen_metric(source, part, {METRIC: None}), available={"metric": (METRIC,)})
    tally.warn("examples_unmarked")
    count = part.details["predictions"]
    details = {} if tally.metric == NONE else _details(part, count)
    before = 0
    for file in part.files[:count]:
        predictions = json_file(file)
        if not isinstance(predictions, dict):
            raise UserError(f"{file}: {type(predictions).__name__}, expected an object with one entry per item.")
        for key, entry in predictions.items():
            tally.records += 1
            asked = read_prompt(mapping(entry).get("origin_prompt"), "", "")
            if asked is None:
                reason = (
                    "perplexity" if any(str(name).startswith("label: ") for name in mapping(entry)) else "no_prompt"
                )
                yield tally.drop(f"{file.name}, entry {key}", Remark(reason))
                continue
            number = str(before + int(key)) if key.isdecimal() and len(key) < 19 else key
            yield tally.item(_item(number, entry, asked, details.get(number, {}), tally), asked.method)
        # Every piece counts from 0; the results count on from piece to piece.
        before += len(predictions)
    yield tally.report()


def _details(part: LogPart, predictions: int) -> dict[str, dict[str, Any]]:
    details = mapping(json_file(part.files[-1])).get("details") if len(part.files) > predictions else None
    if isinstance(details, list):
        details = {str(number): detail for number, detail in enumerate(details)}
    by_item = {number: detail for number, detail in mapping(details).items() if isinstance(detail, dict)}
    if not any(METRIC in detail for detail in by_item.values()):
        raise UserError(
            f"{part.files[-1]} does not say per item whether it is right. Run OpenCompass with --dump-eval-details, "
            f"or give {NONE!r} as 'metric' to use the items without scores."
        )
    return by_item


def _item(number: str, entry: Mapping[str, Any], asked: LoggedPrompt, detail: Mapping[str, Any], tally: Tally) -> Item:
    values = detail.get(METRIC)
    scores = [score_in_unit(value) for value in (values if isinstance(values, list) else [values])]
    score = mean_score(score.value for score in scores)
    if score is None:
        tally.unscored_because(scores[0].reason if scores else Remark("no_score"))
    answers = entry.get("prediction")
    epochs = max(1, len(scores))
    return asked.item(
        number,
        answer=entry.get("gold"),
        score=score,
        response=text_or_none(answers[0] if isinstance(answers, list) and answers else answers),
        epochs=epochs,
        identity={"tool": "opencompass", "doc_id": number, "metric": tally.metric, "epochs": epochs},
    )


LOG = Reader("OpenCompass: predictions/MODEL/DATASET.json with results/", find, read)
