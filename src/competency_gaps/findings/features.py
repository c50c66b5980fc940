"""Features of items, as candidates for the description of a finding."""

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


RARE = 0.04
"""Smallest share of the units that must have a candidate, and that must lack it [ours]."""
FEWEST = 8
"""Fewest units that must have a candidate, and that must lack it."""
FAMILIES = ("answer.", "number.", "option.", "group:", "covariate.", "prompt.")
"""Starts of codes, in the order in which equal features are preferred."""
PRIOR = 10.0
"""Units that the prior of the log-odds counts as."""
CUTS = (0.25, 0.5, 0.75)
"""Quantiles at which numbers are cut into features."""


@dataclass(frozen=True)
class Candidates:
    """Features that could describe some of K units."""

    codes: list[str]
    values: np.ndarray
    """float64 of shape (K, features), in [0, 1]: part of each unit's items that have the feature."""


def has_feature(code: str, attributes: Sequence[Attributes]) -> np.ndarray:
    """Which items have a feature: bool of shape (items,)."""
    for ending in (".above", ".to"):
        name, separator, value = code.partition(f"{ending}:")
        if separator:
            numbers = np.array([item.numbers.get(name, np.nan) for item in attributes])
            return numbers > float(value) if ending == ".above" else numbers <= float(value)
    return np.array([code in item.flags or code in item.values for item in attributes], bool)


def candidates(attributes: Sequence[Attributes], unit: np.ndarray, units: int) -> Candidates:
    """Form the features that are neither rare nor nearly everywhere, each once.

    Of features that the same items have, only the plainest is kept (:func:`_preference`).

    Parameters
    ----------
    attributes
        Of the items.
    unit : ndarray of int of shape (items,)
        Each item's unit, from 0 to ``units - 1``; every unit has an item.
    """
    least = max(FEWEST, RARE * units)
    columns: dict[bytes, tuple[str, np.ndarray]] = {}
    size = np.bincount(unit, minlength=units)
    for code, items in sorted(_frequent_features(attributes, least), key=lambda pair: _preference(pair[0])):
        values = np.bincount(unit[items], minlength=units) / size
        if min(values.sum(), units - values.sum()) >= least:
            columns.setdefault(np.round(values, 6).tobytes(), (code, values))
    kept = list(columns.values())
    matrix = np.stack([values for _, values in kept], axis=1) if kept else np.zeros((units, 0))
    return Candidates([code for code, _ in kept], matrix)


def _frequent_features(attributes: Sequence[Attributes], least: float) -> list[tuple[str, np.ndarray]]:
    """Codes of features that may be frequent enough, with the rows of the items that have them."""
    places: dict[str, list[int]] = {}
    for i, item in enumerate(attributes):
        for code in (*item.flags, *item.values):
            places.setdefault(code, []).append(i)
    features = [(code, np.array(rows)) for code, rows in places.items() if len(rows) >= least]
    for name in {name for item in attributes for name in item.numbers}:
        values = np.array([item.numbers.get(name, np.nan) for item in attributes])
        for edge in np.unique(np.nanquantile(values, CUTS, method="lower")):
            cut = f"{edge:.0f}" if edge == round(edge) else f"{edge:.6g}"
            features.append((f"{name}.above:{cut}", np.flatnonzero(values > float(cut))))
            features.append((f"{name}.to:{cut}", np.flatnonzero(values <= float(cut))))
    return features


def _preference(code: str) -> tuple[bool, int, str]:
    """Flags before thresholds, single words and answers, whose meaning is narrower; then as in ``FAMILIES``."""
    narrow = ".above:" in code or ".to:" in code or code.startswith(("prompt.word:", "answer.value:"))
    return narrow, next(i for i, start in enumerate(FAMILIES) if code.startswith(start)), code


def log_odds(inside: np.ndarray, outside: np.ndarray, features: np.ndarray) -> np.ndarray:
    """How well features distinguish one set of units from another: log-odds with a Dirichlet prior, over their error.

    Monroe, Colaresi and Quinn, "Fightin' Words", Political Analysis 16 (2008), equations 16 and 22, with presence in
    place of counts: a word that an item repeats counts once. The prior is the frequency in both sets together, as if
    ``PRIOR`` units had shown it.

    Parameters
    ----------
    inside, outside : ndarray of float of shape (K,)
        Weights of the units in each set, >= 0, in units.
    features : ndarray of float of shape (K, F)
        In [0, 1].

    Returns
    -------
    ndarray of float64 of shape (F,)
        z-scores; positive: more frequent inside.
    """
    total = inside.sum() + outside.sum()
    if not total:
        return np.zeros(features.shape[1])
    share = ((inside + outside) @ features + 0.5) / (total + 1)
    delta, variance = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    for sign, weights in ((1, inside), (-1, outside)):
        present = weights @ features + PRIOR * share
        absent = weights.sum() + PRIOR - present
        delta += sign * np.log(present / absent)
        variance += 1 / present + 1 / absent
    return np.asarray(delta / np.sqrt(variance))
