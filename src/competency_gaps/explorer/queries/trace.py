"""Trace each number of an answer to the query whose result holds it."""

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
"""Numbers of list points, and control characters made visible: neither counts as a number."""
_WHOLE_FROM = 10
"""Smallest number that may be rounded to a whole number and still counts as the same [ours]."""


@dataclass(frozen=True)
class WrittenNumber:
    """A number in a text."""

    start: int
    end: int
    """Its range of characters in the text, with the percent sign or the scale word."""
    value: Decimal
    """24 for ``24%``."""
    unit: Decimal
    """Size of its last digit: 1 for ``24``, 0.01 for ``0.31``."""
    percent: bool

    @property
    def amount(self) -> Decimal:
        """Its value as a plain number: 0.24 for ``24%``."""
        return self.value / 100 if self.percent else self.value


def written_numbers(text: str) -> Iterator[WrittenNumber]:
    """Find the numbers in a text.

    Whole numbers, decimals (with a point, or a comma where that can be no separator of thousands), separators of
    thousands, signs (a true minus and dashes too), powers of ten, ``%`` and "percent", ``k`` and "million". Digits
    inside names count as well. The numbers of list points, and codes of invisible characters, do not.
    """
    passed = [mark.span() for mark in _NO_NUMBER.finditer(text)]
    for match in _NUMBER.finditer(text):
        if any(start <= match.start("digits") < end for start, end in passed):
            continue
        yield _written(match)


def trace(text: str, results: Sequence[tuple[int, Any]]) -> list[TracedNumber]:
    """Trace each number of an answer to the query that it comes from.

    Parameters
    ----------
    text
        The answer.
    results
        Ids and results of the queries, in order. Errors are ignored: they only repeat the arguments.

    Returns
    -------
    list of dict
        ``start`` and ``end``: the number's characters in ``text``; ``query``: the first query whose result holds this
        number exactly, else the first that holds one which rounds to it at the digits shown (a percentage stands for
        a hundredth); None: no query does. Without decimals nothing rounds to 0, and nothing below 10 to a whole number.
    """
    first: dict[Decimal, int] = {}
    for query, result in results:
        for value in _values(result):
            first.setdefault(value, query)
    known = sorted(first)
    return [TracedNumber(number.start, number.end, _query_of(number, first, known)) for number in written_numbers(text)]


def _query_of(number: WrittenNumber, first: Mapping[Decimal, int], known: Sequence[Decimal]) -> int | None:
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


def _may_round(value: Decimal, number: WrittenNumber) -> bool:
    if number.unit < 1:
        return True
    return number.value != 0 and (number.percent or abs(value) >= _WHOLE_FROM)


def _written(match: re.Match[str]) -> WrittenNumber:
    digits = match["digits"]
    thousands = re.fullmatch(rf"[1-9]\d{{0,2}}(?:{_GAP}\d{{3}})+(?:\.\d+)?", digits)
    plain = re.sub(_GAP, "", digits) if thousands else digits.replace(",", ".")
    raised = match["power"] or match["raised"] or (match["superscript"] or "0").translate(_SUPERSCRIPTS)
    power = int(_ascii_sign(raised)) + _SCALES.get((match["scale"] or "").strip(), 0)
    decimals = len(plain.partition(".")[2])
    value = Decimal(plain).scaleb(power)
    negative = match["sign"] is not None and match["sign"] in _SIGNS
    start, end = match.span()
    return WrittenNumber(
        start, end, -value if negative else value, Decimal(1).scaleb(power - decimals), bool(match["percent"])
    )


def _ascii_sign(text: str) -> str:
    return text.translate(dict.fromkeys(map(ord, _SIGNS), "-"))


def _values(result: Any) -> Iterator[Decimal]:
    """All numbers of a result, those in its texts too."""
    if isinstance(result, Mapping):
        if result.keys() != {"error"}:
            for part in result.values():
                yield from _values(part)
    elif isinstance(result, str):
        yield from (number.amount for number in written_numbers(result))
    elif isinstance(result, Sequence):
        for part in result:
            yield from _values(part)
    elif isinstance(result, (int, float)) and not isinstance(result, bool) and math.isfinite(result):
        yield Decimal(str(result))
