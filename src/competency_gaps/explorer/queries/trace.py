"""Where each number of an answer comes from: the query whose result holds it, or none."""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from competency_gaps.explorer.parts.records.server import TracedNumber

_SIGNS = "-−‒–"
_GAP = "[,'’\u00a0\u2009\u202f]"
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w)\]%.,])[{_SIGNS}+])?"
    # 1,234.5 or 0,25 or 12.5 or .5
    rf"(?P<digits>[1-9]\d{{0,2}}(?:{_GAP}\d{{3}})+(?!\d)(?:\.\d+)?|(?<!\d,)\d+,(?:\d{{1,2}}|\d{{4,}})(?![\d,])|0,\d+|\d+(?:\.\d+)?|\.\d+)"
    rf"(?:[eE](?P<power>[{_SIGNS}+]?\d{{1,3}})(?!\w)"
    rf"|\s?[×x*·]\s?10(?:\^\{{?(?P<raised>[{_SIGNS}+]?\d{{1,3}})\}}?|(?P<superscript>[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{{1,3}})))?"
    r"(?P<percent>\s?%|\s(?:percent|per cent|percentage points?)\b)?"
    r"(?P<scale>(?:\s?(?:thousand|million)|[kM])(?!\w))?"
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_SCALES = {"k": 3, "thousand": 3, "M": 6, "million": 6}
_NO_NUMBER = re.compile(r"^[ \t]*\d{1,3}[.)](?=\s)|<U\+[0-9A-F]{4,6}>", re.MULTILINE)
"""Marks of a list, and characters that are made visible."""
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

    @property
    def amount(self) -> Decimal:
        """What it stands for: 0.24 of ``24%``."""
        return self.value / 100 if self.percent else self.value


def written_numbers(text: str) -> Iterator[Written]:
    """Find the numbers in a text.

    Whole numbers, decimals (with a point, or a comma where that can be no separator of thousands), separators of
    thousands, signs (a true minus and dashes too), powers of ten, ``%`` and "percent", ``k`` and "million". Digits
    inside of names count like others. What only marks the points of a list, or a character that cannot be seen, does
    not.
    """
    passed = [found.span() for found in _NO_NUMBER.finditer(text)]
    for found in _NUMBER.finditer(text):
        if any(start <= found.start("digits") < end for start, end in passed):
            continue
        yield _written(found)


def trace(text: str, results: Sequence[tuple[int, Any]]) -> list[TracedNumber]:
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
        ``start`` and ``end``: the number's characters in ``text``; ``query``: the first query whose result holds this
        number exactly, else the first that holds one which rounds to it at the digits shown (a percentage stands for
        a hundredth); null: none does. Without decimals nothing rounds to 0, and nothing below 10 to a whole number.
    """
    first: dict[Decimal, int] = {}
    for query, result in results:
        for value in _values(result):
            first.setdefault(value, query)
    known = sorted(first)
    return [TracedNumber(number.start, number.end, _query_of(number, first, known)) for number in written_numbers(text)]


def _query_of(number: Written, first: Mapping[Decimal, int], known: Sequence[Decimal]) -> int | None:
    """The query that a number comes from.

    Parameters
    ----------
    first
        Number to the first query that gave it.
    known
        The same numbers, ascending.
    """
    if number.amount in first:
        return first[number.amount]
    half = number.unit / (200 if number.percent else 2)
    near = known[bisect_left(known, number.amount - half) : bisect_right(known, number.amount + half)]
    return min((first[value] for value in near if _may_round(value, number)), default=None)


def _may_round(value: Decimal, number: Written) -> bool:
    if number.unit < 1:
        return True
    return number.value != 0 and (number.percent or abs(value) >= _WHOLE_FROM)


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


def _values(result: Any) -> Iterator[Decimal]:
    """All numbers of a result, those in its texts too."""
    if isinstance(result, Mapping):
        if result.keys() != {"error"}:
            for one in result.values():
                yield from _values(one)
    elif isinstance(result, str):
        yield from (number.amount for number in written_numbers(result))
    elif isinstance(result, Sequence):
        for one in result:
            yield from _values(one)
    elif isinstance(result, (int, float)) and not isinstance(result, bool) and math.isfinite(result):
        yield Decimal(str(result))
