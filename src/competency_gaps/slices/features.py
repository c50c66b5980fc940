"""Slices by features of an item's text, options and answer.

Length is not among them, as items are compared with items of equal length anyway. Nor are features of the key or the
form alone, such as the position of the right option: they are no competencies but a caveat of an answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

import polars as pl

from competency_gaps.items.options import stem
from competency_gaps.slices.family import MIN_ITEMS, Family, family_of

_NUMBER = re.compile(r"(?<![\w.])[-−$€£]?\d[\d,]*(?:\.\d+)?(?:\s?%)?(?!\w)")
_NEGATION = r"(?i)\b(?:not|no|never|none|nor|neither|without|except|cannot|incorrect|false)\b|n['’]t\b"
# Patterns are bounded, so that a prompt of a million letters takes no longer than others of its length.
_FORMULA = (
    r"\\[a-zA-Z]+\b|\$[^$\n]{0,200}[\\^_=+<>][^$\n]{0,200}\$|\$[a-zA-Z]\$|"  # no prices, as in $5 and $6
    r"\b\w\s?[=<>≤≥]\s?[-\w(]|[∫∑√π∞]|\b\w\^|\w\s?[+*/]\s?\w\s?="
)
_CODE = r"```|\bdef \w+\(|\bimport \w+\n|\breturn \w|#include|;\s*\n|\bSELECT .{1,200} FROM\b|</\w+>|\w\(\w*\)[;:{]"
_BLANK = re.compile(r"_{2,}|\[blank\]|\.{4,}")
_STATEMENTS = r"(?is)\b(?:I|1)[.)]\s.*\b(?:II|2)[.)]\s|\bstatement [12I]\b"
_OF_THE_OPTIONS = r"(?i)\b(?:all|none|both|neither) of (?:the|these)\b|\bboth [a-d]\b"
_YES_NO = frozenset(("yes", "no", "true", "false"))
_LONG_ANSWER_WORDS = 12
"""Number of words above which an answer is long."""


def features(items: pl.DataFrame) -> Family | None:
    """Return slices by features of the items; None if there are none.

    A category of fewer than ``MIN_ITEMS`` items, or of all but fewer than that, becomes no slice.
    """
    kept = items["excluded"].is_null().to_numpy()
    rows = [
        {**row, "prompt": stem(row["prompt"]) if row["choices"] else row["prompt"]}
        for row in items.select("prompt", "answer", "choices").iter_rows(named=True)
    ]
    weights, names, column_of = [], [], []
    prompts, options = pl.Series([row["prompt"] for row in rows]), items["choices"].list.join("\n")
    for column, feature in _FEATURES.items():
        if isinstance(feature, _Holds):  # polars searches several times as fast
            holds = (options if feature.in_options else prompts).str.contains(feature.pattern)
            values = holds.replace_strict({True: feature.name}, default=None)
        else:
            values = pl.Series(list(map(feature, rows)), dtype=pl.String)
        for name in values.drop_nulls().unique().sort():
            has = (values == name).fill_null(value=False).to_numpy() & kept
            if MIN_ITEMS <= has.sum() <= kept.sum() - MIN_ITEMS:
                weights.append(has)
                names.append(name)
                column_of.append(column)
    return family_of("features", weights, names, column_of) if names else None


def _answer(row: dict[str, Any]) -> str | None:
    """Return the kind of the right answer, as a category; None without a key."""
    text = (row["answer"] or "").strip()
    if not text:
        return None
    if _NUMBER.fullmatch(text.rstrip(".")):
        return "answer: a number"
    if text.casefold().rstrip(".") in _YES_NO:
        return "answer: yes or no"
    words = len(text.split())
    if words == 1:
        return "answer: one letter" if len(text) == 1 else "answer: one word or term"
    return f"answer: more than {_LONG_ANSWER_WORDS} words" if words > _LONG_ANSWER_WORDS else "answer: a few words"


def _numbers(row: dict[str, Any]) -> str | None:
    """Return how many numbers a prompt contains, as a category."""
    count = len(_NUMBER.findall(row["prompt"]))
    return "items without numbers" if not count else "one or two numbers" if count < 3 else "three numbers or more"


def _script(row: dict[str, Any]) -> str | None:
    """Return the script of most letters, as a category; None if they are mostly Latin."""
    if row["prompt"].isascii():
        return None
    letters = [letter for letter in row["prompt"] if ord(letter) > 0x24F and letter.isalpha()]
    if 2 * len(letters) <= sum(map(str.isalpha, row["prompt"])):
        return None
    scripts = [unicodedata.name(letter, "OTHER").split()[0] for letter in letters]
    return f"in {max(sorted(set(scripts)), key=scripts.count).capitalize()} script"


def _ending(row: dict[str, Any]) -> str | None:
    """Return the kind of a prompt's end, if it says what to do."""
    text = row["prompt"].rstrip()
    if _BLANK.search(text):
        return "a blank to fill in"
    return "a sentence to complete" if row["choices"] and not text.endswith(("?", ".", ":", "!")) else None


class _Holds(NamedTuple):
    """A feature that prompts (or options) have if they match a pattern, in Rust's syntax of regular expressions."""

    name: str
    pattern: str
    in_options: bool = False


_FEATURES: dict[str, Callable[[dict[str, Any]], str | None] | _Holds] = {
    "kind of answer": _answer,
    "numbers": _numbers,
    "script": _script,
    "ending": _ending,
    "negation": _Holds("a negation in the question", _NEGATION),
    "formulas": _Holds("formulas", _FORMULA),
    "code": _Holds("code", _CODE),
    "statements": _Holds("several statements to judge", _STATEMENTS),
    "options that refer to options": _Holds("options such as “all of the above”", _OF_THE_OPTIONS, in_options=True),
}
"""Name of a feature -> pattern or function that gives an item's category, or None."""
