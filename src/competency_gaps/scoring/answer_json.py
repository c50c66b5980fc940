"""Parse and check the JSON object in a language model's answer."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, TypeVar

import pydantic

from competency_gaps.scoring.llm import LLMAnswer
from competency_gaps.util.text import one_line

T = TypeVar("T", bound=pydantic.BaseModel)
_THINKS = re.compile(r"\s*<think(?:ing)?>")
_THOUGHT = re.compile(r"</think(?:ing)?>")
_BEGINS = re.compile(r'\{(?=\s*(?:["}]|$))')


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs as a dict; ValueError if a key repeats, as neither of two verdicts would be the answer."""
    known = dict(pairs)
    if len(known) < len(pairs):
        raise ValueError("an object repeats a key")
    return known


_DECODER = json.JSONDecoder(object_pairs_hook=_once)


class Failure(NamedTuple):
    """An answer that cannot be used."""

    reason: str
    """Why, short enough to show; the model's own words in it are made harmless."""


def parse(answer: LLMAnswer, model: type[T]) -> T | Failure:
    """Return an answer's JSON object as an instance of ``model``, or a Failure that says why it cannot be used.

    The object may stand alone, in a fence, beside prose or after the model's thinking. Broken JSON is neither repaired
    nor searched for valid parts. Several objects of the expected form must be equal except for their ``reasoning``, as
    a judge may quote a verdict from the text that it judges; the last is returned.
    """
    if answer.error is not None or answer.refusal is not None:
        return Failure(one_line(f"refused: {answer.refusal}" if answer.error is None else f"no answer: {answer.error}"))
    cut = " (cut off at max_tokens)" if answer.finish == "length" else ""
    text = after_thinking(answer.text or "")
    try:
        objects, rest = _objects(text or "")
    except ValueError as error:
        return Failure(one_line(f"{error}{cut}"))
    if objects and cut and rest.strip():
        return Failure(one_line(f"possibly followed by another answer{cut}"))
    fitting, fault = [], "no JSON object in the answer" if text is not None else "the model never finishes thinking"
    for value in objects:
        try:
            fitting.append(model.model_validate_json(value))
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            fault = f"JSON of the wrong form: {'.'.join(map(str, first['loc'])) or 'object'}: {first['msg']}"
    if not fitting:
        return Failure(one_line(fault + cut))
    different = len({value.model_dump_json(exclude={"reasoning"}) for value in fitting})
    return fitting[-1] if different == 1 else Failure(f"{different} different answers, expected one")


def after_thinking(text: str) -> str | None:
    """Return the text after the last ``</think>``, or None if the model's thinking never ends.

    A text without such tags is returned whole.
    """
    rest = text[max((mark.end() for mark in _THOUGHT.finditer(text)), default=0) :]
    return None if _THINKS.match(rest) else rest


def _objects(text: str) -> tuple[list[str], str]:
    """Return the source of each JSON object in a text, and the text after the last; ValueError if one is broken."""
    objects, end = [], 0
    while (begins := _BEGINS.search(text, end)) is not None:
        try:
            end = _DECODER.raw_decode(text, begins.start())[1]
        except (ValueError, RecursionError) as error:
            raise ValueError(f"broken JSON: {error}") from None
        objects.append(text[begins.start() : end])
    return objects, text[end:]
