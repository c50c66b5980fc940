"""Requests and answers as files, in the form of OpenAI's Batch API: no server needed, or another tool's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from competency_gaps.config.asking import Structured
from competency_gaps.endpoint.completion import MAX_TEXT, error_text, read_completion, read_json
from competency_gaps.endpoint.request import Answer, Request, whole
from competency_gaps.errors import UserError
from competency_gaps.files import write_atomic
from competency_gaps.text import shorten, visible

URL = "/v1/chat/completions"


@dataclass(frozen=True)
class BatchAnswers:
    """What a file of answers holds."""

    answers: dict[str, Answer]
    """By ``custom_id``, in the order of the file; keys are empty."""
    dropped: int
    """Lines that a later one with the same id replaces: the last line counts."""


def export_batch(requests: Iterable[Request], model: str, path: Path, structured: Structured = "json_schema") -> None:
    """Write requests in the input form of OpenAI's Batch API, one a line.

    Raises
    ------
    UserError
        If two requests share an id; nothing is written.
    """
    seen: set[str] = set()

    def write(part: Path) -> None:
        with part.open("w", encoding="ascii", newline="\n") as handle:
            for request in requests:
                if request.id in seen:
                    raise UserError(f"two requests share the id {request.id!r}: expected one id for each.")
                seen.add(request.id)
                body = request.body(model, structured)
                handle.write(json.dumps({"custom_id": request.id, "method": "POST", "url": URL, "body": body}) + "\n")

    write_atomic(path, write)


def import_batch(path: Path) -> BatchAnswers:
    """Read answers, each line in one of two forms.

    OpenAI's Batch output: ``{"custom_id", "response": {"status_code", "body"}, "error"}``; statuses other than 200
    and errors become answers with ``error``. By hand: ``{"custom_id", "content": text or object}``, optionally with
    ``"model"``. Lines end with a line feed alone; blank lines are no data.

    Raises
    ------
    UserError
        If a file cannot be read or a line has neither form; the message names file and line.
    """
    answers: dict[str, Answer] = {}
    dropped = 0
    if not path.is_file():
        raise UserError(f"{str(path)!r} is no file: expected answers in the Batch form. Give an existing file.")
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            answer = _answer(line, f"{str(path)!r}, line {number}")
            if answer.id in answers:
                dropped += 1
                del answers[answer.id]
            answers[answer.id] = answer
    return BatchAnswers(answers, dropped)


def _answer(line: bytes, where: str) -> Answer:
    try:
        value = read_json(line.decode("utf-8"))
    except ValueError as error:
        why = visible(str(error)) if not isinstance(error, UnicodeDecodeError) else "no UTF-8"
        raise UserError(
            f"{where}: no JSON ({shorten(why, 200)}). Expected one JSON object a line: mend the line."
        ) from None
    id = value.get("custom_id") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(id, str) or not id:
        raise UserError(f"{where}: expected a JSON object with a text as 'custom_id', as in the exported file. Add it.")
    if "content" in value:
        return _by_hand(value, id, where)
    if "response" in value or "error" in value:
        return _from_batch(value, id)
    raise UserError(
        f"{where} (custom_id {shorten(visible(id), 80)!r}): expected 'content' (text or object), or 'response' and "
        f"'error' as in OpenAI's Batch output. Add the answer as 'content'."
    )


def _by_hand(value: Mapping[str, Any], id: str, where: str) -> Answer:
    content, model = value["content"], value.get("model")
    if isinstance(content, Mapping):
        content = json.dumps(content, ensure_ascii=False)
    if not isinstance(content, str):
        raise UserError(
            f"{where} (custom_id {shorten(visible(id), 80)!r}): 'content' is {type(content).__name__}: expected a text "
            f"or an object. Leave the line out if there is no answer."
        )
    name = visible(whole(model))[:200] if isinstance(model, str) else None
    return Answer(id, "", whole(content)[:MAX_TEXT], None, None, None, None, name)


def _from_batch(value: Mapping[str, Any], id: str) -> Answer:
    response, error = value.get("response"), value.get("error")
    if error:
        return _failed(id, error_text(error))
    if not isinstance(response, Mapping):
        return _failed(id, "neither a response nor an error")
    if response.get("status_code") != 200:
        status = shorten(visible(str(response.get("status_code"))), 20)
        return _failed(id, f"status {status}: {error_text(response.get('body'))}")
    return read_completion(response.get("body"), id=id, key="")


def _failed(id: str, reason: str) -> Answer:
    return Answer(id, "", None, None, reason, None, None, None)
