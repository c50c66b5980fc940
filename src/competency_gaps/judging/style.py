"""How answers look, apart from what they say: the covariates of Arena-Hard-Auto's style control (Li et al., 2024)."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

CHARACTERS_PER_TOKEN = 4.0
"""Arena-Hard counts tokens of one vendor's tokenizer; about one per four characters [ours]."""

_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_HEADER = re.compile(r"^#{1,6}\s", re.MULTILINE)
_LIST = re.compile(r"^[ \t]*(?:\d+\.|[-*+])\s", re.MULTILINE)
_BOLD = re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")

FEATURES = ("length", "headers", "lists", "bold")


class Style(NamedTuple):
    """Length and marks of one answer; of code blocks only the length counts."""

    length: float = 0.0
    """Tokens, estimated from the characters; 0 or more."""
    headers: int = 0
    lists: int = 0
    """Items of numbered and other lists."""
    bold: int = 0


def style_of(text: str) -> Style:
    """Count an answer's marks."""
    prose = _FENCED.sub("", text)
    length = len(text) / CHARACTERS_PER_TOKEN
    return Style(length, len(_HEADER.findall(prose)), len(_LIST.findall(prose)), len(_BOLD.findall(prose)))


def style_features(model: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Differences in style between two answers, scaled.

    Length: ``(m - b) / (m + b)``. Marks per token: ``(m - b) / (m + b + 1)``. Both are Arena-Hard's. Then each column
    is divided by its standard deviation. Arena-Hard also takes its mean away, over many models; for one model against
    a baseline that mean is the very thing to control for, so it stays, and 0 means that both look alike [ours].

    Parameters
    ----------
    model, baseline : ndarray of float64 of shape (items, 4)
        :class:`Style` of each answer.

    Returns
    -------
    ndarray of float64 of shape (items, 4)
        A column without spread is 0.
    """
    differences = np.zeros_like(model, dtype=np.float64)
    both = model[:, 0] + baseline[:, 0]
    differences[:, 0] = np.divide(model[:, 0] - baseline[:, 0], both, out=np.zeros_like(both), where=both > 0)
    ours, theirs = _per_token(model), _per_token(baseline)
    differences[:, 1:] = (ours - theirs) / (ours + theirs + 1)
    spread = differences.std(axis=0, ddof=1) if len(differences) > 1 else np.zeros(differences.shape[1])
    return np.asarray(np.divide(differences, spread, out=np.zeros_like(differences), where=spread > 1e-12))


def _per_token(counts: np.ndarray) -> np.ndarray:
    length = counts[:, :1]
    return np.divide(counts[:, 1:], length, out=np.zeros_like(counts[:, 1:]), where=length > 0)
