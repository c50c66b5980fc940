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
from competency_gaps.harnesses.shared.chat import Prompted, prompted
from competency_gaps.harnesses.shared.lines import files_under, json_file, score_in_unit
from competency_gaps.harnesses.shared.options import chosen_metric, refuse_options
from competency_gaps.harnesses.shared.part import NONE, LogEntry, LogPart, Reader
from competency_gaps.harnesses.shared.tally import Tally
from competency_gaps.items.item import Item
from competency_gaps.items.remark import Remark

METRIC = "correct"
_PIECE = re.compile(r"(?P<dataset>.+)_(?P<number>\d+)")


def find(path: Path) -> list[LogPart]:
    """Every dataset of which predictions lie at a path.

    A big dataset is predicted in pieces, ``DATASET_0.json`` and so on, which have their results in one file.
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
    """Items of one dataset. The files are read whole, one after the other: OpenCompass writes one JSON value each.

    Raises
    ------
    UserError
        If the results do not say per item whether it is right.
    """
    refuse_options(source, part, "filter", "scorer")
    tally = Tally(part, metric=chosen_metric(source, part, [METRIC], usable=[METRIC]), available={"metric": (METRIC,)})
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
            where = f"{file.name}, entry {key}"
            if not isinstance(entry, dict) or "origin_prompt" not in entry:
                yield tally.drop(where, Remark("perplexity" if _by_perplexity(entry) else "no_prompt"))
                continue
            number = str(before + int(key)) if key.isdecimal() else key
            asked = prompted(entry["origin_prompt"], "", "")
            if asked is None:
                yield tally.drop(where, Remark("no_prompt"))
                continue
            yield tally.item(_item(number, entry, asked, details.get(number, {}), tally), asked.way)
        # Every piece counts from 0, the results count through.
        before += len(predictions)
    yield tally.report()


def _by_perplexity(entry: Any) -> bool:
    return isinstance(entry, dict) and any(str(key).startswith("label: ") for key in entry)


def _details(part: LogPart, predictions: int) -> dict[str, dict[str, Any]]:
    results = json_file(part.files[-1]) if len(part.files) > predictions else {}
    details = results.get("details") if isinstance(results, dict) else None
    if isinstance(details, list):
        details = {str(number): detail for number, detail in enumerate(details)}
    by_item = {str(k): v for k, v in details.items() if isinstance(v, dict)} if isinstance(details, dict) else {}
    if not any(METRIC in detail for detail in by_item.values()):
        raise UserError(
            f"{part.files[-1]} does not say per item whether it is right. Run OpenCompass with --dump-eval-details, "
            f"or give {NONE!r} as 'metric' to use the items without scores."
        )
    return by_item


def _item(number: str, entry: Mapping[str, Any], asked: Prompted, detail: Mapping[str, Any], tally: Tally) -> Item:
    values = detail.get(METRIC)
    values = values if isinstance(values, list) else [values]
    scores = [score_in_unit(value) for value in values]
    good = [score.value for score in scores if score.value is not None]
    if not good:
        tally.unscored_because((scores[0].reason if scores else None) or Remark("no_score"))
    answers = entry.get("prediction")
    response = answers[0] if isinstance(answers, list) and answers else answers
    return Item(
        id=number,
        prompt=asked.prompt,
        messages=asked.messages,
        own=asked.own,
        seen=asked.seen,
        answer=entry.get("gold"),
        policy="imported",
        score=sum(good) / len(good) if good else None,
        response=response if isinstance(response, str) else None,
        epochs=max(1, len(scores)),
        identity={"tool": "opencompass", "doc_id": number, "metric": tally.metric, "epochs": max(1, len(scores))},
    )


LOG = Reader("OpenCompass: predictions/MODEL/DATASET.json with results/", find, read)
