"""Where each number of an answer comes from: the query whose result holds it, or none."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_SIGNS = "-−‒–"
_GAP = "[,'’\u00a0\u2009\u202f]"
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w)\]%.,])[{_SIGNS}+])?"
    # 1,234.5 or 0,25 or 12.5 or .5
    rf"(?P<digits>[1-9]\d{{0,2}}(?:{_GAP}\d{{3}})+(?!\d)(?:\.\d+)?|\d+,(?:\d{{1,2}}|\d{{4,}})(?![\d,])|0,\d+|\d+(?:\.\d+)?|\.\d+)"
    rf"(?:[eE](?P<power>[{_SIGNS}+]?\d{{1,3}})(?!\w)"
    rf"|\s?[×x*·]\s?10(?:\^\{{?(?P<raised>[{_SIGNS}+]?\d{{1,3}})\}}?|(?P<superscript>[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{{1,3}})))?"
    r"(?P<percent>\s?%|\s(?:percent|per cent|percentage points?)\b)?"
    r"(?P<scale>(?:\s?(?:thousand|million)|[kM])(?!\w))?"
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_SCALES = {"k": 3, "thousand": 3, "M": 6, "million": 6}
_LIST_MARK = re.compile(r"^[ \t]*\d{1,3}[.)](?=\s)", re.MULTILINE)
_WHOLE_FROM = 10
"""Least size of a number that may be rounded to whole ones and still be called the same [ours]."""


@dataclass(frozen=True)
class Written:
    """A number as somebody wrote it."""

    start: int
    end: int
    """Its characters in the text, a percent sign or a scale word included."""
    value: Decimal
    """Of ``24%``: 24."""
    unit: Decimal
    """Size of its last digit: 1 of ``24``, 0.01 of ``0.31``."""
    percent: bool


@dataclass(frozen=True)
class _Known:
    """A number of a result."""

    value: Decimal
    percent: bool
    """Whether it stood before a percent sign in a text, and so is a hundredfold already."""
    query: int


def written_numbers(text: str) -> Iterator[Written]:
    """Find the numbers in a text.

    Whole numbers, decimals (with a point, or a comma where that can be no separator of thousands), separators of
    thousands, signs (a true minus and dashes too), powers of ten, ``%`` and "percent", ``k`` and "million". Digits
    inside of names count like others. Numbers that only mark the points of a list do not count.
    """
    marks = {found.start(): found.end() for found in _LIST_MARK.finditer(text)}
    spans = sorted(marks.items())
    for found in _NUMBER.finditer(text):
        if any(start <= found.start("digits") < end for start, end in spans):
            continue
        yield _written(found)


def trace(text: str, results: Sequence[tuple[int, Any]]) -> list[dict[str, int | None]]:
    """Say of each number of an answer which query it comes from.

    Parameters
    ----------
    text
        The answer.
    results
        Ids and results of the queries, in order. Errors count as nothing: they repeat what was asked.

    Returns
    -------
    list of dict
        ``start`` and ``end``: the number's place in ``text``, counted in UTF-16 units as JavaScript does; ``query``:
        the first query whose result holds this number exactly, else the first that holds one which rounds to it at the
        digits shown (a percentage: a hundredth of it); null: none does. A number other than 0 never rounds to 0, and
        one below 10 not to a whole one.
    """
    known = [one for query, result in results for one in _known(result, query)]
    units = _units(text)
    traced = []
    for number in written_numbers(text):
        exact = next((one.query for one in known if _distance(number, one) == 0), None)
        near = exact if exact is not None else next((one.query for one in known if _rounds(number, one)), None)
        traced.append({"start": units[number.start], "end": units[number.end], "query": near})
    return traced


def _written(found: re.Match[str]) -> Written:
    digits = found["digits"]
    thousands = re.fullmatch(rf"[1-9]\d{{0,2}}(?:{_GAP}\d{{3}})+(?:\.\d+)?", digits)
    plain = re.sub(_GAP, "", digits) if thousands else digits.replace(",", ".")
    raised = found["power"] or found["raised"] or (found["superscript"] or "0").translate(_SUPERSCRIPTS)
    power = int(_ascii_sign(raised)) + _SCALES.get((found["scale"] or "").strip(), 0)
    decimals = len(plain.partition(".")[2])
    value = Decimal(plain).scaleb(power)
    negative = found["sign"] is not None and found["sign"] in _SIGNS
    start, end = found.span()
    return Written(
        start, end, -value if negative else value, Decimal(1).scaleb(power - decimals), bool(found["percent"])
    )


def _ascii_sign(text: str) -> str:
    return text.translate(dict.fromkeys(map(ord, _SIGNS), "-"))


def _known(value: Any, query: int) -> Iterator[_Known]:
    """All numbers of a result, those in its texts too."""
    if isinstance(value, Mapping):
        if value.keys() == {"error"}:
            return
        for one in value.values():
            yield from _known(one, query)
    elif isinstance(value, str):
        for number in written_numbers(value):
            yield _Known(number.value, number.percent, query)
    elif isinstance(value, Sequence):
        for one in value:
            yield from _known(one, query)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        yield _Known(Decimal(str(value)), False, query)


def _distance(number: Written, known: _Known) -> Decimal:
    return abs(_scaled(number, known) - number.value)


def _scaled(number: Written, known: _Known) -> Decimal:
    """The known number in the unit of the written one."""
    if number.percent == known.percent:
        return known.value
    return known.value * 100 if number.percent else known.value / 100


def _rounds(number: Written, known: _Known) -> bool:
    value = _scaled(number, known)
    if number.value == 0 and value != 0:
        return False
    if number.unit >= 1 and not number.percent and abs(value) < _WHOLE_FROM:
        return False
    return abs(value - number.value) * 2 <= number.unit


def _units(text: str) -> list[int]:
    """Place in UTF-16 units of each character, and of the end."""
    places = [0]
    for letter in text:
        places.append(places[-1] + (2 if ord(letter) > 0xFFFF else 1))
    return places
