"""Finding an item's own text inside all that the model read.

Each way gives character ranges that hold exactly the text that it names; what cannot be found that way is left
to the next way, and the way that was used is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

WHOLE = "whole prompt"
SHORTEST = 12
"""Characters that a text needs to be sought by itself: shorter ones stand anywhere, so their place must be certain."""
_SPECIAL = re.compile(r"<\|[^|<>\s]{1,40}\|>|<｜[^｜<>\s]{1,40}｜>|<s>|<bos>|\[BOS\]|\[gMASK\]")
"""A text that begins like this brings its own first token."""


_TAIL = re.compile(
    r"(?:(?:<\|[^|<>\s]{1,40}\|>|<｜[^｜<>\s]{1,40}｜>|</?(?:s|think)>|<(?:start|end)_of_turn>"
    r"|\[/INST\])(?:assistant|model|Assistant)?\s*)+\Z"
)
"""What a chat template puts behind the last message: special tokens, and the role of who answers."""
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Characters of scripts that put no space between words."""


class Found(NamedTuple):
    """Where the own text stands."""

    start: int
    end: int
    """Characters [start, end), without white space at either end."""
    way: str
    """How it was found, in words."""


def last_occurrence(seen: str, own: str, way: str, *, before: int | None = None, closes: bool = False) -> Found | None:
    """The last place of a text in what the model read; None if it is not there or empty.

    A place inside a word is none (``ant`` in ``assistant``), nor is one in what a chat template puts behind the last
    message. A text of fewer than ``SHORTEST`` characters must have one place only. [ours]

    Parameters
    ----------
    before
        The text ends at or before this character; None: anywhere.
    closes
        The text is known to stand at the end: there a short one may have other places too.
    """
    own = own.strip()
    if not own:
        return None
    tail = _tail(seen)
    end = tail if before is None else min(before, tail)
    places = _places(seen, own, 0, end)
    last = next(places, None)
    if last is None:
        return None
    at_end = closes and not seen[last + len(own) : end].strip()
    if len(own) < SHORTEST and not at_end and next(places, None) is not None:
        return None
    return Found(last, last + len(own), way)


def _tail(seen: str) -> int:
    """Where the chat template's end begins; the text's length if it has none."""
    lead = max(0, len(seen) - 200)
    match = _TAIL.search(seen, lead)
    return match.start() if match else len(seen)


def _places(seen: str, own: str, start: int, end: int) -> Iterator[int]:
    """Where a text stands as whole words, from the last to the first place."""
    at = seen.rfind(own, start, end)
    while at >= 0:
        if not _joined(seen, at) and not _joined(seen, at + len(own)):
            yield at
        at = seen.rfind(own, start, at + len(own) - 1)


def _joined(seen: str, at: int) -> bool:
    """Whether the characters before and after a position belong to one word."""
    pair = seen[max(0, at - 1) : at + 1]
    return at > 0 and len(pair) == 2 and pair.isalnum() and _UNSPACED.search(pair) is None


def from_first_to_last(seen: str, parts: Iterable[str], way: str, *, start: int = 0) -> Found | None:
    """From the first to the last of several texts that stand after ``start``; None if none is there.

    A text that occurs several times there is taken where it first occurs.
    """
    spans = [
        Found(at, at + len(text), way)
        for part in parts
        if (text := part.strip()) and (at := seen.find(text, start)) >= 0
    ]
    if not spans:
        return None
    return Found(min(span.start for span in spans), max(span.end for span in spans), way)


def trimmed(seen: str, start: int, end: int, way: str) -> Found | None:
    """A range without the white space at its ends; None if nothing is left."""
    text = seen[start:end]
    lead = len(text) - len(text.lstrip())
    size = len(text.strip())
    return Found(start + lead, start + lead + size, way) if size else None


def whole(seen: str) -> Found | None:
    """All that the model read; None if it is empty."""
    return trimmed(seen, 0, len(seen), WHOLE)


def begins_itself(prompt: str, bos: str | None) -> bool:
    """Whether a prompt brings its own first token, so that none is put before it (as lm-evaluation-harness decides it).

    Where the tokenizer's own token (``bos``) is not known, a text that begins like a special token does.
    """
    if bos is not None:
        return prompt.startswith(bos)
    return _SPECIAL.match(prompt) is not None
