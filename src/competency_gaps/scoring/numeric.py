"""Numbers in texts, and the equivalence of mathematical answers."""

from __future__ import annotations

import collections
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from competency_gaps.items.item import Item
from competency_gaps.items.scorer import Output, Score
from competency_gaps.scoring.text import NEXT_QUESTION, Length, ReferenceScorer, accepted, score_within
from competency_gaps.util.errors import needed

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
_NUMBER = re.compile(
    rf"""
    (?P<sign>(?<![\w)\]}}.])[-+]\s?)?            # no sign: the dash in "5-3" or "gpt-4"
    [$€£¥]?\s?(?P<inner>(?<=[$€£¥])-)?           # both "-$5" and "$-5"
    (?<![\w.])(?:
        (?P<whole>\d+)\s+(?P<part>\d+)\s*/\s*(?P<of>\d+)(?![\d/.])
      | (?P<numerator>{_DIGITS})\s*/\s*(?P<denominator>{_DIGITS})(?![\d/.]\d|/)
      | (?P<decimal>(?:{_DIGITS}(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{{1,3}}(?!\d))?)
    )
    (?P<percent>\s?%)?
    """,
    re.VERBOSE,
)
_MARKER = re.compile(r"####|\banswer\s*(?:is|:|=)|\\boxed\s*\{", re.IGNORECASE)
_LATEX = ((re.compile(r"\\[dt]?frac\{\s*(-?\d+)\s*\}\{\s*(\d+)\s*\}"), r"\1/\2"), (re.compile(r"\\([$%,!])"), r"\1"))
_CHARACTERS = str.maketrans({"−": "-", "–": "-", "⁄": "/", "\u00a0": " ", "\u202f": " "})


class Number(NamedTuple):
    """A number in a text."""

    value: Fraction
    percent: bool
    """Whether a percent sign follows; ``value`` is the number before it."""


def numbers(text: str) -> Iterator[Number]:
    """Yield all numbers of a text, in order.

    It reads thousands separators (``1,234``), decimals, scientific notation, fractions (``3/4``), mixed numbers
    (``1 1/2``), signs, percent and currency signs. A fraction with the denominator 0 is not a number.
    """
    text = text.translate(_CHARACTERS)
    for pattern, plain in _LATEX:
        text = pattern.sub(plain, text)
    for match in _NUMBER.finditer(text):
        value = _value(match)
        if value is not None:
            negative = (match["sign"] or "").startswith("-") or match["inner"] is not None
            yield Number(-value if negative else value, match["percent"] is not None)


def answer_number(text: str) -> Number | None:
    """Return the number that a text states as its answer, or None if it has no number.

    After the last ``####``, ``answer is``, ``answer:`` or ``\\boxed{``: the first number of the sentence, or the
    first one after its last equals sign. If no such number follows: the last number of the text.
    """
    marks = list(_MARKER.finditer(text))
    if marks:
        sentence = re.split(r"\n|[.!?](?:\s|$)", text[marks[-1].end() :].lstrip(), maxsplit=1)[0]
        for part in (sentence.rpartition("=")[2], sentence):
            number = next(numbers(part), None)
            if number is not None:
                return number
    return next(iter(collections.deque(numbers(text), maxlen=1)), None)


def _gold_number(gold: str) -> Number | None:
    """Return a gold answer's only number, or the marked one of a worked solution (``... #### 18``); None if unclear."""
    values = list(numbers(gold))
    if len(values) == 1:
        return values[0]
    return answer_number(gold) if _MARKER.search(gold) else None


@dataclass(frozen=True)
class Numeric(ReferenceScorer):
    """1 if the answer's number is the gold number within the tolerance, else 0; an answer without a number is wrong.

    Percentages: if only one of the two has a percent sign, both of its readings count, so ``45%`` equals both
    45 and 0.45; if both have one, the numbers before the signs are compared.
    """

    name: ClassVar[str] = "numeric"

    max_new_tokens: Length = 256
    stop: tuple[str, ...] = NEXT_QUESTION
    absolute: Annotated[float, Field(ge=0)] = 1e-6
    """Largest difference that counts as equal."""
    relative: Annotated[float, Field(ge=0)] = 0.0
    """Largest difference as a share of the gold number; the larger of the two tolerances applies."""

    def check(self, item: Item) -> str | None:
        unclear = (gold for gold in accepted(item.answer) if _gold_number(gold) is None)
        faults = (f"the answer {gold!r} is not one number" for gold in unclear)
        return super().check(item) or next(faults, None)

    def score(self, item: Item, output: Output) -> Score:
        number = answer_number(output.text)
        golds = [_gold_number(gold) for gold in accepted(item.answer)]
        right = number is not None and any(gold is not None and self._equal(number, gold) for gold in golds)
        return Score(float(right), output.text)

    def _equal(self, number: Number, gold: Number) -> bool:
        readings = [(number.value, gold.value)]
        if number.percent and not gold.percent:
            readings.append((number.value / 100, gold.value))
        elif gold.percent and not number.percent:
            readings.append((number.value, gold.value / 100))
        return any(
            abs(value - target) <= max(Fraction(self.absolute), Fraction(self.relative) * abs(target))
            for value, target in readings
        )


def _value(match: re.Match[str]) -> Fraction | None:
    """Return the matched number without its sign, or None if it is none (denominator 0, too many digits)."""
    try:
        if match["whole"]:
            return int(match["whole"]) + Fraction(int(match["part"]), int(match["of"]))
        if match["numerator"]:
            numerator, denominator = (match[key].replace(",", "") for key in ("numerator", "denominator"))
            return Fraction(int(numerator), int(denominator))
        return Fraction(match["decimal"].replace(",", ""))
    except (ValueError, ZeroDivisionError):
        # ValueError: more digits than Python turns into an integer (4300).
        return None


@dataclass(frozen=True)
class Math(ReferenceScorer):
    """1 if the answer is mathematically equal to the gold, else 0, as ``math-verify`` decides.

    The gold is LaTeX without dollar signs. The answer is what math-verify finds in the text (``\\boxed{...}``
    first, then LaTeX, then plain expressions). Answers in words (``\\text{Evelyn}``) are compared as texts.
    """

    name: ClassVar[str] = "math"

    max_new_tokens: Length = 512
    stop: tuple[str, ...] = NEXT_QUESTION
    seconds: Annotated[float, Field(gt=0)] = 5.0
    """Longest comparison; longer ones leave the item unscored. Works only in the main thread of a process."""

    def score(self, item: Item, output: Output) -> Score:
        golds = accepted(item.answer)
        if any(_words(output.text) == _words(gold) for gold in golds):
            return Score(1.0, output.text)
        with needed("math-verify", "run", "The scorer 'math'"):
            from math_verify import parse, verify
        # It warns that there is no time limit; ``time_limit`` is ours.
        for module in ("math_verify.parser", "math_verify.grader"):
            logging.getLogger(module).setLevel(logging.ERROR)

        def right() -> float:
            # Its own time limits work in the main thread only and would cancel a timer that already runs.
            answer = parse(output.text, parsing_timeout=None)
            known = (parse(f"${gold}$", parsing_timeout=None) for gold in golds)
            return float(any(verify(gold, answer, timeout_seconds=None) for gold in known))

        return score_within(self.seconds, "comparison", output, right)


def _words(text: str) -> str:
    """Return a text without LaTeX markup: the content of the last ``\\boxed``, without dollars, ``\\text``, space."""
    text = text.strip()
    boxed = text.rfind("\\boxed{")
    if boxed >= 0:
        text = _braced(text[boxed + len("\\boxed") :])
    text = re.sub(r"\\(?:text|mathrm|textbf)\s*\{([^{}]*)\}", r"\1", text)
    return re.sub(r"[\s$]|\\[ ,;!]", "", text).rstrip(".").casefold()


def _braced(text: str) -> str:
    """Return the text between its first character, an opening brace, and the matching closing brace."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[1:index]
    return text[1:]
