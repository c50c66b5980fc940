"""Outputs of OpenCompass: ``predictions/MODEL/DATASET.json`` with ``results/MODEL/DATASET.json``.

Results say per item whether it is right only if OpenCompass was run with ``--dump-eval-details``. Datasets that are
scored by perplexity hold one prompt per option and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from competency_gaps.benchmarks.item import Item
from competency_gaps.config import LogSource
from competency_gaps.errors import UserError
from competency_gaps.logs.chat import chat_messages
from competency_gaps.logs.lines import files_under, json_file, score_in_unit
from competency_gaps.logs.options import refuse_options
from competency_gaps.logs.own_text import WHOLE, begins_itself, whole
from competency_gaps.logs.part import LogEntry, LogPart
from competency_gaps.logs.tally import Tally
from competency_gaps.model.prompts import Text

MESSAGE = "the last user message"
METRIC = "correct"


def find(path: Path) -> list[LogPart]:
    """Every dataset of which predictions lie at a path."""
    parts = []
    for file in files_under(path, "*.json"):
        folder = file.parent.parent
        if folder.name != "predictions" or not _is_predictions(file):
            continue
        results = folder.parent / "results" / file.parent.name / file.name
        files = (file, results) if results.is_file() else (file,)
        parts.append(LogPart("opencompass", file.stem, files, model=file.parent.name, stamp=folder.parent.name))
    return parts


def _is_predictions(file: Path) -> bool:
    # The beginning is enough: the first entry has the number 0.
    with file.open("rb") as handle:
        return handle.read(64).lstrip(b"\xef\xbb\xbf \n\r\t{").startswith(b'"0"')


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Items of one dataset.

    Raises
    ------
    UserError
        If the results do not say per item whether it is right.
    """
    refuse_options(source, part, "filter", "scorer")
    if source.metric not in (None, METRIC):
        raise UserError(f"{part.files[0]}: OpenCompass' score per item is {METRIC!r}, not {source.metric!r}.")
    predictions = json_file(part.files[0])
    if not isinstance(predictions, dict):
        raise UserError(f"{part.files[0]}: {type(predictions).__name__}, expected an object with one entry per item.")
    details = _details(part)
    tally = Tally(part, metric=METRIC, available={"metric": (METRIC,)})
    tally.warn("OpenCompass does not say where examples end, so the whole prompt (or last message) is the own text")
    for number, entry in predictions.items():
        tally.records += 1
        where = f"{part.files[0].name}, entry {number}"
        if not isinstance(entry, dict) or "origin_prompt" not in entry:
            reason = "scored by perplexity: one prompt per option"
            yield tally.drop(where, reason if _by_perplexity(entry) else "the entry holds no prompt")
            continue
        item = _item(number, entry, details.get(number, {}), tally)
        if item is None:
            yield tally.drop(where, "the entry holds no prompt")
            continue
        yield tally.item(item, MESSAGE if item.messages else WHOLE)
    yield tally.report()


def _by_perplexity(entry: Any) -> bool:
    return isinstance(entry, dict) and any(str(key).startswith("label: ") for key in entry)


def _details(part: LogPart) -> dict[str, dict[str, Any]]:
    results = json_file(part.files[1]) if len(part.files) > 1 else {}
    details = results.get("details") if isinstance(results, dict) else None
    if isinstance(details, list):
        details = {str(number): one for number, one in enumerate(details)}
    found = {str(k): v for k, v in details.items() if isinstance(v, dict)} if isinstance(details, dict) else {}
    if not any(METRIC in one for one in found.values()):
        raise UserError(
            f"{part.files[-1]} does not say per item whether it is right. Run OpenCompass with --dump-eval-details."
        )
    return found


def _item(number: str, entry: Mapping[str, Any], detail: Mapping[str, Any], tally: Tally) -> Item | None:
    asked = entry["origin_prompt"]
    messages = chat_messages(asked)
    prompt = messages[-1]["content"] if messages else asked if isinstance(asked, str) else ""
    found = whole(prompt)
    if found is None:
        return None
    values = detail.get(METRIC)
    values = values if isinstance(values, list) else [values]
    scores = [score_in_unit(value) for value in values]
    good = [score.value for score in scores if score.value is not None]
    if not good:
        tally.unscored_because(str(scores[0].reason) if scores else "no score")
    answers = entry.get("prediction")
    response = answers[0] if isinstance(answers, list) and answers else answers
    place = (found.start, found.end)
    return Item(
        id=number,
        prompt=prompt[slice(*place)],
        messages=messages,
        own=place if messages else None,
        seen=None if messages else Text(prompt, (place,), templated=begins_itself(prompt, None)),
        answer=entry.get("gold"),
        policy="imported",
        score=sum(good) / len(good) if good else None,
        response=response if isinstance(response, str) else None,
        epochs=max(1, len(scores)),
        identity={"tool": "opencompass", "doc_id": number, "metric": METRIC, "epochs": max(1, len(scores))},
    )
