"""A plug-in: items about Roman numerals, scored by the first number in the answer, and slices by their letters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import competency_gaps as cg

LETTERS = {"M": 1000, "CM": 900, "D": 500, "CD": 400, "C": 100, "XC": 90, "L": 50, "XL": 40, "X": 10, "IX": 9}
LETTERS |= {"V": 5, "IV": 4, "I": 1}


def roman(number: int) -> str:
    """Write a number in Roman numerals."""
    text = ""
    for letters, value in LETTERS.items():
        text += letters * (number // value)
        number %= value
    return text


def roman_numerals(start: int = 1, size: int = 100) -> Iterator[cg.Item]:
    """Questions for the numbers from ``start``; ``kind: roman_numerals`` in a benchmark's source."""
    for number in range(start, start + size):
        yield cg.Item(str(number), f"What number is {roman(number)}?", answer=str(number), scorer="first_number")


@dataclass(frozen=True)
class FirstNumber(cg.Scorer):
    """Right where the first number of the answer is the expected one."""

    name = "first_number"
    max_new_tokens: int = 12
    """Longest answer in tokens."""

    def request(self, item: cg.Item) -> cg.Generation:
        """Ask for a short answer."""
        return cg.Generation(self.max_new_tokens)

    def score(self, item: cg.Item, output: cg.Output) -> cg.Score:
        """Compare the first number, if there is one."""
        found = re.search(r"\d+", output.text)
        if found is None:
            return cg.Score(None, output.text, cg.Reason("other", "no number in the answer"))
        return cg.Score(float(found[0] == item.answer), output.text)


def numerals(run: cg.Run) -> dict[str, list[float]]:
    """Items whose numeral has a letter: each slice's weights, from 0 to 1, for all rows of ``run.items``."""
    found = [re.search(r"What number is ([A-Z]+)", prompt) for prompt in run.items["prompt"]]
    return {f"numerals with {letter}": [float(bool(n) and letter in n[1]) for n in found] for letter in "MDCLXVI"}
