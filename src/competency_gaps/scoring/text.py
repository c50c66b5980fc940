"""Scorers that compare a generated text with accepted texts, ready-made scores, and time limits."""

from __future__ import annotations

import re
import signal
import string
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Annotated, Any, ClassVar

from pydantic import Field

from competency_gaps.items.item import NO_SCORE, Item, Reason
from competency_gaps.items.scorer import Generation, Output, Request, Score, Scorer


class TimeLimitReached(BaseException):
    """The time ran out. Not an ``Exception``, so that the code under the limit cannot swallow it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise ``TimeLimitReached`` inside the block once it has run for ``seconds``.

    Uses the alarm signal, which exists only in the main thread of a Unix process: elsewhere there is no limit.
    A timer that was already running (a test's time limit, say) goes on afterwards.
    """
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise TimeLimitReached

    started = time.monotonic()
    handler = signal.signal(signal.SIGALRM, stop)
    earlier, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if earlier:
            # Not 0, which would switch the earlier timer off.
            signal.setitimer(signal.ITIMER_REAL, max(earlier - (time.monotonic() - started), 1e-3), interval)


def score_within(seconds: float, what: str, output: Output, value: Callable[[], float]) -> Score:
    """Return the score that ``value`` computes for an output; unscored if that takes longer than ``seconds``."""
    try:
        with time_limit(seconds):
            return Score(value(), output.text)
    except TimeLimitReached:
        why = Reason(f"{what}_timeout", f"the {what} took longer than {seconds:g} s", (seconds,))
        return Score(None, output.text, why)


Length = Annotated[int, Field(gt=0)]
"""Number of new tokens."""

NEXT_QUESTION = ("\nQuestion:", "\nQ:", "\nProblem:")
"""Stop strings for models without a chat format, which continue with a next question of their own. Unlike an empty
line, they do not cut an answer with reasoning."""


@dataclass(frozen=True)
class GenerationScorer(Scorer):
    """A scorer of generated text; the prompt does not list the options."""

    default_after: ClassVar[str] = "\nAnswer:"

    max_new_tokens: Length = 64
    """Longest answer in tokens."""
    stop: tuple[str, ...] = ("\n\n",)
    """The answer ends before the first of these."""

    def prompt(self, item: Item) -> str:
        return item.prompt  # beside lettered options a model may answer with a letter, and the key is a text

    def request(self, item: Item) -> Request:
        return Generation(self.max_new_tokens, self.stop)


@dataclass(frozen=True)
class ReferenceScorer(GenerationScorer):
    """A scorer that compares a generated text with the item's answer: a text, a number, or a list of them."""

    def check(self, item: Item) -> str | None:
        answers = item.answer if isinstance(item.answer, (list, tuple)) else [item.answer]
        if any(not isinstance(gold, (str, int, float)) and gold is not None for gold in answers):
            return f"the answer {item.answer!r} is neither a text nor a list of texts"
        return None if accepted(item.answer) else "there is no answer to compare with"


def accepted(answer: Any) -> tuple[str, ...]:
    """Return the accepted answers as texts, from one text or number or a list of them; empty if there is none."""
    answers = answer if isinstance(answer, (list, tuple)) else [answer]
    return tuple(str(gold) for gold in answers if gold is not None and str(gold).strip())


def first_line(text: str) -> str:
    """Return the first line that is not blank, stripped; empty if there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


@dataclass(frozen=True)
class Exact(ReferenceScorer):
    """1 if the answer equals any of the accepted ones, else 0.

    Both are normalised as SQuAD's evaluation does (Rajpurkar et al., 2016): case, punctuation, the articles
    a/an/the and white space do not count; Unicode is brought to NFKC first. An accepted answer that would become empty
    (a row of brackets, the letter "a") is compared with its punctuation and articles.
    """

    name: ClassVar[str] = "exact"

    max_new_tokens: Length = 32
    first_line: bool = True
    """Compare the first line that is not empty, not the whole text."""

    def score(self, item: Item, output: Output) -> Score:
        text = first_line(output.text) if self.first_line else output.text
        return Score(float(any(_is_equal(text, gold) for gold in accepted(item.answer))), output.text)


def _is_equal(text: str, gold: str) -> bool:
    """Whether two texts are equal after SQuAD's normalisation, or by case and space alone if it empties the gold."""
    text, gold = (" ".join(unicodedata.normalize("NFKC", value).casefold().split()) for value in (text, gold))
    return _squad(text) == _squad(gold) if _squad(gold) else text == gold


def _squad(folded: str) -> str:
    """Return a case-folded text without punctuation and articles, as SQuAD's evaluation compares it."""
    bare = "".join(c for c in folded if c not in string.punctuation and unicodedata.category(c)[0] != "P")
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


@dataclass(frozen=True)
class Contains(ReferenceScorer):
    """1 if the answer contains any of the accepted texts, else 0; case and the length of white space do not count."""

    name: ClassVar[str] = "contains"

    whole_words: bool = False
    """Match whole words only."""

    def score(self, item: Item, output: Output) -> Score:
        text, *parts = (" ".join(value.split()).casefold() for value in (output.text, *accepted(item.answer)))
        if self.whole_words:
            contained = any(re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text) for part in parts)
        else:
            contained = any(part in text for part in parts)
        return Score(float(contained), output.text)


@dataclass(frozen=True)
class Regex(ReferenceScorer):
    """1 if any of the answer's regular expressions (Python's) is found in the generated text, else 0.

    ``^`` and ``$`` match at every line; ``(?i)`` ignores case.
    """

    name: ClassVar[str] = "regex"

    seconds: Annotated[float, Field(gt=0)] = 5.0
    """Longest search; longer ones leave the item unscored. Works only in the main thread of a process."""

    def check(self, item: Item) -> str | None:
        problem = super().check(item)
        if problem:
            return problem
        for pattern in accepted(item.answer):
            try:
                re.compile(pattern)
            except re.error as error:
                return f"the answer {pattern!r} is not a regular expression ({error})"
        return None

    def score(self, item: Item, output: Output) -> Score:
        def is_found() -> float:
            return float(any(re.search(pattern, output.text, re.MULTILINE) for pattern in accepted(item.answer)))

        return score_within(self.seconds, "search", output, is_found)


@dataclass(frozen=True)
class Imported(Scorer):
    """The score and response that came with the item; an item without a score is unscored."""

    name: ClassVar[str] = "imported"

    def request(self, item: Item) -> Request:
        return None

    def score(self, item: Item, output: Output) -> Score:
        return Score(item.score, item.response, NO_SCORE if item.score is None else None)


@dataclass(frozen=True)
class Unscored(Scorer):
    """No score: the items count for coverage only."""

    name: ClassVar[str] = "none"

    max_new_tokens: Length | None = None
    """Most tokens of an answer that is generated anyway; None: none is generated."""

    def request(self, item: Item) -> Request:
        return Generation(self.max_new_tokens) if self.max_new_tokens else None

    def score(self, item: Item, output: Output) -> Score:
        return Score(None, output.text or item.response, Reason("scores_nothing", "the scorer 'none' scores nothing"))
