"""Equivalence of mathematical answers."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from competency_gaps.errors import MissingExtraError
from competency_gaps.items.item import Item, Reason
from competency_gaps.items.policy import Output, Score
from competency_gaps.scoring.limits import TimeLimitReached, time_limit
from competency_gaps.scoring.text import NEXT_QUESTION, Length, ReferencePolicy, accepted


@dataclass(frozen=True)
class Math(ReferencePolicy):
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
        parse, verify = _math_verify()
        try:
            with time_limit(self.seconds):
                # Its own time limits work in the main thread only and would cancel a timer that already runs.
                answer = parse(output.text, parsing_timeout=None)
                right = any(
                    verify(parse(f"${gold}$", parsing_timeout=None), answer, timeout_seconds=None) for gold in golds
                )
        except TimeLimitReached:
            return Score(
                None,
                output.text,
                Reason("comparison_timeout", f"the comparison took longer than {self.seconds:g} s", (self.seconds,)),
            )
        return Score(float(right), output.text)


def _math_verify() -> tuple[Any, Any]:
    try:
        from math_verify import parse, verify
    except ImportError as error:
        raise MissingExtraError("math-verify", "run", "The scoring policy 'math'") from error
    # It warns that there is no time limit; ``time_limit`` is ours.
    for module in ("math_verify.parser", "math_verify.grader"):
        logging.getLogger(module).setLevel(logging.ERROR)
    return parse, verify


def _words(text: str) -> str:
    """A text without LaTeX markup: the content of the last ``\\boxed``, without dollars, ``\\text`` and spaces."""
    text = text.strip()
    boxed = text.rfind("\\boxed{")
    if boxed >= 0:
        text = _braced(text[boxed + len("\\boxed") :])
    text = re.sub(r"\\(?:text|mathrm|textbf)\s*\{([^{}]*)\}", r"\1", text)
    return re.sub(r"[\s$]|\\[ ,;!]", "", text).rstrip(".").casefold()


def _braced(text: str) -> str:
    """The text between its first character, an opening brace, and the matching closing brace."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[1:index]
    return text[1:]
