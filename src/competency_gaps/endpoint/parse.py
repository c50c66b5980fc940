"""From an answer's text to a checked value, without ever guessing."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeVar

import pydantic

from competency_gaps.endpoint.request import Answer
from competency_gaps.text import shorten, visible

T = TypeVar("T", bound=pydantic.BaseModel)

_THINKS = re.compile(r"\s*<think(?:ing)?>")
_THOUGHT = re.compile(r"</think(?:ing)?>")
_BEGINS = re.compile(r'\{\s*(?:["}]|$)')
_BRACE = re.compile(r"[{}]")
_OBJECTS = 100
_NOTHING = "no JSON object in the text"
_CUT_OFF = " (the answer was cut off at max_tokens)"


@dataclass(frozen=True)
class Failure:
    """An answer that cannot be used."""

    reason: str
    """Why, short enough to show; the model's own words in it are made harmless."""


class _Refused(ValueError):
    """JSON that parses but is ambiguous."""


def parse(answer: Answer, model: type[T], *, agree: bool = False) -> T | Failure:
    """Take the first whole JSON object out of an answer and check it.

    The object may stand alone, in a fence, after prose or after the model's thinking; objects inside the thinking
    are passed over. Broken JSON is neither repaired nor searched for valid parts; duplicate keys, NaN, and a list
    instead of an object are refused.

    Parameters
    ----------
    answer
        From an endpoint or a batch file.
    model
        What the object must be; types are checked as pydantic does for JSON.
    agree
        Check every object of the text, not only the first: those of the expected form must be equal except for their
        ``reasoning``. For verdicts, because a judge may quote a verdict from the text that it judges.

    Returns
    -------
    model or Failure
        A failure for errors, refusals, empty and cut-off texts, and for objects of another form.
    """
    if answer.error is not None:
        return _failure(f"no answer: {answer.error}")
    if answer.refusal is not None:
        return _failure(f"refused: {answer.refusal}")
    cut_off = answer.finish == "length"
    text = answer.text or ""
    if not text.strip():
        return _failure("empty text" + (", cut off at max_tokens before the answer began" if cut_off else ""))
    if agree:
        return _agreed(text, model, cut_off)
    json_text = _object(text)
    if isinstance(json_text, Failure):
        return _failure(json_text.reason + (_CUT_OFF if cut_off else ""))
    return _checked(json_text, model)


def after_thinking(text: str) -> str | None:
    """What a model says after its thinking, which ends with the last ``</think>``; None: its thinking never ends.

    A text without such marks is all answer.
    """
    *_, last = [0, *(mark.end() for mark in _THOUGHT.finditer(text))]
    rest = text[last:]
    return None if _THINKS.match(rest) else rest


def _agreed(text: str, model: type[T], cut_off: bool) -> T | Failure:
    """The value on which all objects of the expected form agree."""
    objects = _all_objects(text)
    if isinstance(objects, Failure):
        return _failure(objects.reason + (_CUT_OFF if cut_off else ""))
    if cut_off and text[objects[-1][1] :].strip():
        return _failure("cut off at max_tokens before the end, so that another verdict may have followed")
    values = [_checked(text[begin:end], model) for begin, end in objects]
    fitting = [value for value in values if not isinstance(value, Failure)]
    if not fitting:
        return values[-1]
    verdicts = {value.model_dump_json(exclude={"reasoning"}) for value in fitting}
    return fitting[-1] if len(verdicts) == 1 else Failure(f"{len(verdicts)} different verdicts, expected one")


def _checked(text: str, model: type[T]) -> T | Failure:
    try:
        return model.model_validate_json(text)
    except pydantic.ValidationError as error:
        faults = [
            f"{'.'.join(str(part)[:60] for part in fault['loc']) or 'object'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False, include_context=False)[:3]
        ]
        return _failure("JSON of another form: " + "; ".join(faults))


def _all_objects(text: str) -> list[tuple[int, int]] | Failure:
    """Positions of the complete objects after the thinking, at least one; a mark inside an object does not end it."""
    start = _after_opened_thinking(text)
    if isinstance(start, Failure):
        return start
    places: list[tuple[int, int]] = []
    while True:
        place = _first(text, start)
        thoughts = list(_THOUGHT.finditer(text, start, len(text) if isinstance(place, Failure) else place[0]))
        if thoughts:
            places, start = [], thoughts[-1].end()
        elif isinstance(place, Failure):
            # Behind a broken object another verdict may be hidden; prose may follow.
            return places if places and place.reason == _NOTHING else place
        elif len(places) == _OBJECTS:
            return Failure(f"more than {_OBJECTS} JSON objects")
        else:
            places.append(place)
            start = place[1]


def _object(text: str) -> str | Failure:
    """The first whole JSON object that the model meant as its answer, as it stands in the text."""
    start = _after_opened_thinking(text)
    if isinstance(start, Failure):
        return start
    place = _first(text, start)
    if not start and not text.lstrip().startswith("{"):
        # Thinking whose opening mark stood in the prompt: what lies before its end is no answer yet.
        thought = _THOUGHT.search(text, place[1] if isinstance(place, tuple) else 0)
        if thought is not None:
            place = _first(text, thought.end())
    return place if isinstance(place, Failure) else text[place[0] : place[1]]


def _after_opened_thinking(text: str) -> int | Failure:
    """End of the thinking that the text begins with; 0: it begins with none."""
    if not _THINKS.match(text):
        return 0
    thought = _THOUGHT.search(text)
    return Failure("cut off inside the model's thinking") if thought is None else thought.end()


def _first(text: str, start: int) -> tuple[int, int] | Failure:
    """Position of the first JSON object at or after ``start``; braces in prose are skipped with their content."""
    while (begin := text.find("{", start)) >= 0:
        if not _BEGINS.match(text, begin):
            end = _closing(text, begin)
            if end is None:
                return Failure("no JSON object: a brace is never closed")
            start = end
            continue
        if text[:begin].rstrip().endswith("["):
            return Failure("a JSON list where one object was expected")
        try:
            end = _DECODER.raw_decode(text, begin)[1]
        except _Refused as error:
            return Failure(str(error))
        except json.JSONDecodeError as error:
            rest = text[error.pos :].strip()
            cut = not rest or error.msg.startswith("Unterminated string")
            return Failure("JSON that is cut off" if cut else f"broken JSON at character {error.pos}: {error.msg}")
        except (RecursionError, ValueError):
            return Failure("JSON nested too deeply, or with a number that is too long")
        return begin, end
    return Failure(_NOTHING)


def _closing(text: str, begin: int) -> int | None:
    depth = 0
    for brace in _BRACE.finditer(text, begin):
        depth += 1 if brace.group() == "{" else -1
        if not depth:
            return brace.end()
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise _Refused(f"JSON that has {twice!r} twice in one object")
    return values


def _constant(name: str) -> Any:
    raise _Refused(f"JSON with {name}, which is no JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant)


def _failure(reason: str) -> Failure:
    return Failure(shorten(visible(" ".join(reason.split())), 300))
