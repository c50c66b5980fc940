"""Windows as an explainer reads them: marked, bounded, and harmless."""

from __future__ import annotations

import numpy as np

from competency_gaps.dictionary.exemplars.store import Exemplar
from competency_gaps.text import shorten, visible

OPEN, CLOSE = "«", "»"
MARKED = 0.3
"""Tokens with at least this part of a window's highest activation are marked."""
LONGEST = 600
"""Characters of a window that are shown; the marks stay in."""


def active_tokens(exemplar: Exemplar) -> np.ndarray:
    """Tokens that are marked: bool of shape (tokens,)."""
    peak = exemplar.activations.max(initial=0.0)
    return (exemplar.activations >= MARKED * peak) & (exemplar.activations > 0)


def marked(exemplar: Exemplar, mask: np.ndarray) -> str:
    """The window's text with the tokens of a mask between marks, neighbours together.

    Marks of the text itself are replaced, control and directional characters are written as code points.
    """
    parts: list[str] = []
    inside = waiting = False
    for token, marks in zip(exemplar.tokens(), mask.tolist(), strict=True):
        on = marks or waiting
        waiting = on and not token  # a part of a character: its mark goes to the whole
        if token and on != inside:
            parts.append(OPEN if on else CLOSE)
            inside = on
        parts.append(plain(token))
    if inside:
        parts.append(CLOSE)
    text = "".join(parts)
    if len(text) <= LONGEST:
        return text
    first = text.find(OPEN)
    start = max(0, min(first - LONGEST // 2, len(text) - LONGEST)) if first >= 0 else 0
    return ("…" if start else "") + text[start : start + LONGEST] + ("…" if start + LONGEST < len(text) else "")


def plain(text: str) -> str:
    """Foreign text without our marks and without characters that act."""
    return visible(text.replace(OPEN, "<<").replace(CLOSE, ">>"))


def short_token(token: str) -> str:
    """A token for a list of tokens."""
    return shorten(plain(token), 40)
