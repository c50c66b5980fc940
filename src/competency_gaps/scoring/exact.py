"""Exact match of normalised texts."""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass
from typing import ClassVar

from competency_gaps.items.item import Item
from competency_gaps.items.policy import Output, Score
from competency_gaps.scoring.text import GenerationPolicy, Length, accepted, first_line, missing_answer


@dataclass(frozen=True)
class Exact(GenerationPolicy):
    """1 if the answer equals any of the accepted ones, else 0.

    Both are normalised as SQuAD's evaluation does (Rajpurkar et al., 2016): case, punctuation, the articles
    a/an/the and white space do not count; before that, Unicode's NFKC. An accepted answer of which nothing would
    be left (a row of brackets, the letter "a") is compared with its punctuation and articles.
    """

    name: ClassVar[str] = "exact"

    max_new_tokens: Length = 32
    ignore_case: bool = True
    ignore_punctuation: bool = True
    ignore_articles: bool = True
    first_line: bool = True
    """The answer is the first line that is not empty, not the whole text."""

    def check(self, item: Item) -> str | None:
        return missing_answer(item)

    def score(self, item: Item, output: Output) -> Score:
        text = first_line(output.text) if self.first_line else output.text
        return Score(float(any(self._equal(text, gold) for gold in accepted(item.answer))), output.text)

    def _equal(self, text: str, gold: str) -> bool:
        strict = self._normalised(gold, bare=True)
        if strict:
            return self._normalised(text, bare=True) == strict
        return self._normalised(text, bare=False) == self._normalised(gold, bare=False)

    def _normalised(self, text: str, *, bare: bool) -> str:
        text = unicodedata.normalize("NFKC", text)
        if self.ignore_case:
            text = text.casefold()
        if bare and self.ignore_punctuation:
            text = "".join(c for c in text if c not in string.punctuation and unicodedata.category(c)[0] != "P")
        if bare and self.ignore_articles:
            text = re.sub(r"\b(a|an|the)\b", " ", text, flags=re.IGNORECASE)
        return " ".join(text.split())
