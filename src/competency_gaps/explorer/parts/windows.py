"""Which part of a long text a static explorer holds, and how ranges of characters move with it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from competency_gaps.activations.tokens import TokenActivations
from competency_gaps.explorer.parts.sources import Sources


class Windows(NamedTuple):
    """The part of each item's text that is kept."""

    start: np.ndarray
    """int64 of shape (items,): first character."""
    end: np.ndarray
    """int64 of shape (items,): behind the last one."""
    length: np.ndarray
    """int64 of shape (items,): characters of the whole text."""


def windows(sources: Sources, limit: int | None) -> Windows:
    """Choose at most ``limit`` characters of each text, around the item's own text, which may lie at its end.

    Parameters
    ----------
    limit : int, optional
        None keeps texts whole, and then nobody asks how long they are: each seems as long as a text may be.
    """
    if limit is None:
        longest = np.full(sources.items.height, np.iinfo(np.int32).max, np.int64)
        return Windows(np.zeros_like(longest), longest, longest)
    table = sources.lengths.fill_null(0)
    length, first, last = (table[name].cast(int).to_numpy() for name in ("length", "own_start", "own_end"))
    room = np.maximum(limit - (last - first), 0)
    start = np.clip(first - room // 2, 0, np.maximum(length - limit, 0))
    return Windows(start, np.minimum(start + limit, length), length)


def moved(ranges: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move ranges of characters into a kept part.

    Parameters
    ----------
    ranges : ndarray of int of shape (n, 2)
    start, end : ndarray of int of shape (n,) or ()
        The kept part of each range's text.

    Returns
    -------
    tuple of ndarray
        The moved ranges, and bool of shape (n,): whether each stands for text and lies in the kept part.
    """
    first, last = ranges[:, 0].astype(np.int64), ranges[:, 1].astype(np.int64)
    inside = (last > first) & (first >= start) & (last <= end)
    return np.stack([first - start, last - start], axis=1), inside


def kept_tokens(activations: TokenActivations, start: int, end: int, limit: int | None) -> list[tuple[int, int, float]]:
    """The tokens on which a concept is active, as far as they lie in the kept part of the text.

    Parameters
    ----------
    start, end : int
        The kept part.
    limit : int, optional
        Most tokens, the strongest; None: all.

    Returns
    -------
    list of tuple
        Per token, in their order: start and end of its range in the kept part, and its activation to four digits.
    """
    ranges, inside = moved(np.stack([activations.start, activations.end], axis=1), np.array(start), np.array(end))
    held = np.flatnonzero(inside)
    held = np.sort(held[np.argsort(-activations.activation[held], kind="stable")][:limit])
    return [
        (first, last, float(f"{value:.4g}"))
        for (first, last), value in zip(ranges[held].tolist(), activations.activation[held].tolist(), strict=True)
    ]
