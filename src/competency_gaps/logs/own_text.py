"""Finding an item's own text inside all that the model read.

Each way gives character ranges that hold exactly the text that it names; what cannot be found that way is left
to the next way, and the way that was used is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

WHOLE = "whole prompt"
_SPECIAL = re.compile(r"<\|[^|<>\s]{1,40}\|>|<｜[^｜<>\s]{1,40}｜>|<s>|<bos>|\[BOS\]|\[gMASK\]")
"""A text that begins like this brings its own first token."""


class Found(NamedTuple):
    """Where the own text stands."""

    start: int
    end: int
    """Characters [start, end), without white space at either end."""
    way: str
    """How it was found, in words."""


def last_occurrence(seen: str, own: str, way: str, *, before: int | None = None) -> Found | None:
    """The last place of a text in what the model read; null if it is not there or empty.

    Parameters
    ----------
    before
        The text ends at or before this character; null: anywhere.
    """
    own = own.strip()
    if not own:
        return None
    start = seen.rfind(own, 0, before)
    return None if start < 0 else Found(start, start + len(own), way)


def from_first_to_last(seen: str, parts: Iterable[str], way: str, *, start: int = 0) -> Found | None:
    """From the first to the last of several texts that stand after ``start``; null if none is there.

    A text that occurs several times there is taken where it first occurs.
    """
    found = [
        Found(at, at + len(text), way)
        for part in parts
        if (text := part.strip()) and (at := seen.find(text, start)) >= 0
    ]
    if not found:
        return None
    return Found(min(one.start for one in found), max(one.end for one in found), way)


def trimmed(seen: str, start: int, end: int, way: str) -> Found | None:
    """A range without the white space at its ends; null if nothing is left."""
    text = seen[start:end]
    lead = len(text) - len(text.lstrip())
    size = len(text.strip())
    return Found(start + lead, start + lead + size, way) if size else None


def whole(seen: str) -> Found | None:
    """All that the model read; null if it is empty."""
    return trimmed(seen, 0, len(seen), WHOLE)


def begins_itself(prompt: str, bos: str | None) -> bool:
    """Whether a prompt brings its own first token, so that none is put before it (as lm-evaluation-harness decides it).

    Where the tokenizer's own token (``bos``) is not known, a text that begins like a special token does.
    """
    if bos is not None:
        return prompt.startswith(bos)
    return _SPECIAL.match(prompt) is not None
