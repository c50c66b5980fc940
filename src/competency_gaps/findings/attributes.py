"""What can be read off an item by itself: its words, numbers, answer and options.

Attributes come as numbers (a feature is then a value above or up to a threshold), as flags, and as values of which
each can be a feature. :mod:`~competency_gaps.findings.features` makes features of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.findings.words import CHARACTERS
from competency_gaps.runs.covariates import read_covariates

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?![\w])")
NEGATIONS = frozenset(("not", "no", "never", "none", "nor", "neither", "without", "except", "cannot"))
_ASKS = re.compile(r"\b(how many|how much|how|what|which|who|whom|whose|where|when|why)\b", re.IGNORECASE)
_CLOSERS = {")": "(", "]": "[", "}": "{", "“": '"', "”": '"', "’": "'", "−": "-"}
_YES_NO = frozenset(("yes", "no", "true", "false"))


@dataclass(frozen=True)
class Attributes:
    """What can be read off an item."""

    numbers: dict[str, float] = field(default_factory=dict)
    """By the start of a feature's code, as ``prompt.words``."""
    flags: frozenset[str] = frozenset()
    """Codes of the features that it has."""
    values: frozenset[str] = frozenset()
    """Codes with a value, as ``prompt.word:not``; kept apart because rare ones are no candidates."""


COLUMNS = ("prompt", "answer", "choices", "answer_index", "group", "covariates")
"""Columns of ``items.parquet`` that attributes are read from."""


def attributes_of(items: pl.DataFrame) -> list[Attributes]:
    """Read the attributes of items, one for each row of ``items.parquet``."""
    return [_attributes(row) for row in items.select(COLUMNS).iter_rows(named=True)]


def question_text(prompt: str, choices: Sequence[str] | None) -> str:
    """Give an item's text without the options that a policy wrote below it.

    Options count as written below it where all of them follow one another in order and nothing but a letter and a mark
    stands before each on its line.
    """
    if not choices or "\n" not in prompt:
        return prompt
    first = r"\n\W{0,2}\w{1,2}\W{0,2}\s+" + re.escape(choices[0].strip()) + r"\s*(?=\n|$)"
    starts = [match.start() for match in re.finditer(first, prompt)]
    for start in reversed(starts):
        place = start
        for choice in choices:
            place = prompt.find(choice.strip(), place)
            if place < 0:
                break
            place += len(choice.strip())
        if place >= 0:
            return prompt[:start]
    return prompt


def as_number(text: str | None) -> float | None:
    """Read a text that is nothing but a number; None: it is not a number, or is too large for a float."""
    if text is None:
        return None
    shown = text.strip().rstrip(".")
    return _value(shown) if NUMBER.fullmatch(shown) else None


def _value(text: str) -> float | None:
    value = float(text.replace(",", "").replace("−", "-"))
    return value if math.isfinite(value) else None


def _attributes(row: Mapping[str, Any]) -> Attributes:
    text = question_text(row["prompt"], row["choices"])
    numbers: dict[str, float] = {}
    flags: set[str] = set()
    values: set[str] = set()
    _read_words(text, numbers, flags, values)
    _read_numbers(text, numbers, flags)
    _read_answer(row["answer"], text, numbers, flags, values)
    _read_options(row["choices"], row["answer_index"], numbers, flags)
    if row["group"]:
        values.add(f"group:{row['group']}")
    for name, value in read_covariates(row["covariates"]).items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:  # a whole number of more than 308 digits
                continue
            if math.isfinite(number):
                numbers[f"covariate.{name}"] = number
        elif value is not None:
            values.add(f"covariate.{name}:{value}")
    return Attributes(numbers, frozenset(flags), frozenset(values))


def _read_words(text: str, numbers: dict[str, float], flags: set[str], values: set[str]) -> None:
    written = WORD.findall(text)
    words = [word.casefold().replace("’", "'") for word in written]
    numbers["prompt.words"] = len(text.split())
    numbers["prompt.characters"] = len(text)
    numbers["prompt.longest_word"] = max(map(len, written), default=0)
    numbers["prompt.digits"] = sum(map(str.isdigit, text))
    values.update(f"prompt.word:{word}" for word in words)
    marks = {_CLOSERS.get(character, character) for character in set(text)}
    values.update(f"prompt.character:{mark}" for mark in marks if mark in CHARACTERS)
    if not NEGATIONS.isdisjoint(words) or any(word.endswith("n't") for word in words):
        flags.add("prompt.negation")
    asked = _ASKS.search(text)
    if asked:
        values.add(f"prompt.asks:{asked.group(1).casefold()}")
    flags.add("prompt.question" if asked or text.rstrip().endswith("?") else "prompt.no_question")
    if any(len(word) > 1 and word.isupper() for word in written):
        flags.add("prompt.capitals")
    if not text.isascii() and any(not character.isascii() and character.isalpha() for character in text):
        flags.add("prompt.other_script")
    if len(set(words)) < len(words):
        flags.add("prompt.repeated_word")


def _read_numbers(text: str, numbers: dict[str, float], flags: set[str]) -> None:
    written = NUMBER.findall(text)
    numbers["number.count"] = len(written)
    if not written:
        flags.add("number.none")
        return
    parsed = [value for value in map(_value, written) if value is not None]
    if not parsed:
        return
    numbers["number.largest"], numbers["number.smallest"] = max(parsed), min(parsed)
    if min(parsed) < 0:
        flags.add("number.negative")
    if any("." in number for number in written):
        flags.add("number.decimal")
    if len(set(parsed)) < len(parsed):
        flags.add("number.equal")
    if len(parsed) > 1 and parsed[0] != parsed[1]:
        flags.add("number.rising" if parsed[0] < parsed[1] else "number.falling")


def _read_answer(answer: str | None, text: str, numbers: dict[str, float], flags: set[str], values: set[str]) -> None:
    if answer is None or not answer.strip():
        return
    shown = answer.strip()
    numbers["answer.characters"] = len(shown)
    values.add(f"answer.value:{shown.casefold()}")
    inside = re.search(rf"(?<!\w){re.escape(shown.casefold())}(?!\w)", text.casefold()) is not None
    flags.add("answer.in_prompt" if inside else "answer.not_in_prompt")
    value = as_number(shown)
    if value is None:
        if not NUMBER.fullmatch(shown.rstrip(".")):
            flags.add(_kind(shown))
        return
    flags.add("answer.number")
    numbers["answer"], numbers["answer.size"] = value, abs(value)
    flags.add("answer.negative" if value < 0 else "answer.positive" if value > 0 else "answer.zero")
    if value != int(value):
        flags.add("answer.decimal")
    else:
        flags.add("answer.odd" if int(value) % 2 else "answer.even")


def _kind(answer: str) -> str:
    if answer.casefold().rstrip(".") in _YES_NO:
        return "answer.yes_no"
    if len(answer) == 1 and answer.isalpha():
        return "answer.letter"
    if answer.startswith("["):
        return "answer.list"
    return "answer.words" if len(answer.split()) > 1 else "answer.word"


def _read_options(choices: Sequence[str] | None, right: int | None, numbers: dict[str, float], flags: set[str]) -> None:
    if not choices:
        return
    numbers["option.count"] = len(choices)
    if right is None or len(choices) < 2:
        return
    if right in (0, len(choices) - 1):
        flags.add("option.last" if right else "option.first")
    flags.update(_extreme([len(choice) for choice in choices], right, "option.longest", "option.shortest"))
    sizes = [as_number(choice) for choice in choices]
    if all(size is not None for size in sizes):
        flags.update(_extreme([size or 0.0 for size in sizes], right, "option.largest", "option.smallest"))


def _extreme(sizes: Sequence[float], right: int, largest: str, smallest: str) -> Iterable[str]:
    order = np.sort(np.asarray(sizes, np.float64))
    if sizes[right] == order[-1] and order[-1] > order[-2]:
        yield largest
    if sizes[right] == order[0] and order[0] < order[1]:
        yield smallest
