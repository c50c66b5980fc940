"""Texts and patterns that an answer has to hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from competency_gaps.items.item import Item
from competency_gaps.items.policy import Output, Score
from competency_gaps.scoring.text import GenerationPolicy, accepted, missing_answer


@dataclass(frozen=True)
class Contains(GenerationPolicy):
    """1 if the answer holds any of the accepted texts, else 0. White space of any length counts as one space."""

    name: ClassVar[str] = "contains"

    ignore_case: bool = True
    whole_words: bool = False
    """The text must not begin or end inside a word of the answer."""

    def check(self, item: Item) -> str | None:
        return missing_answer(item)

    def score(self, item: Item, output: Output) -> Score:
        text = self._normalised(output.text)
        return Score(float(any(self._holds(text, self._normalised(a)) for a in accepted(item.answer))), output.text)

    def _holds(self, text: str, part: str) -> bool:
        if not self.whole_words:
            return part in text
        return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text) is not None

    def _normalised(self, text: str) -> str:
        text = " ".join(text.split())
        return text.casefold() if self.ignore_case else text


@dataclass(frozen=True)
class Regex(GenerationPolicy):
    """1 if any of the answer's regular expressions (Python's) is found in the generated text, else 0."""

    name: ClassVar[str] = "regex"

    ignore_case: bool = False

    def check(self, item: Item) -> str | None:
        problem = missing_answer(item)
        if problem:
            return problem
        for pattern in accepted(item.answer):
            try:
                re.compile(pattern)
            except re.error as error:
                return f"the answer {pattern!r} is no regular expression ({error})"
        return None

    def score(self, item: Item, output: Output) -> Score:
        flags = re.MULTILINE | (re.IGNORECASE if self.ignore_case else 0)
        matches = any(re.search(pattern, output.text, flags) for pattern in accepted(item.answer))
        return Score(float(matches), output.text)
