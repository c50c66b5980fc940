"""Texts as vectors: how similar the meanings of entries, scopes and labels are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from competency_gaps.model.embed import embed_texts

Embed = Callable[[Sequence[str]], np.ndarray]
"""Maps texts to float32 of shape (texts, dimensions), rows of length 1."""
BLOCK = 8192
"""Labels compared at a time."""


def embedding(model: str | None) -> Embed:
    """The embedding of a sentence-transformers model, which is loaded at the first text.

    Parameters
    ----------
    model
        A hub id or a folder; None: the packaged all-MiniLM-L6-v2.
    """
    return functools.partial(embed_texts, model=model)


def embed_distinct(embed: Embed, texts: Sequence[str]) -> np.ndarray:
    """Embed each distinct text once.

    Returns
    -------
    ndarray of float32 of shape (texts, dimensions)
    """
    distinct = list(dict.fromkeys(texts))
    rows = np.asarray(embed(distinct), dtype=np.float32)
    if rows.ndim != 2 or len(rows) != len(distinct) or not np.isfinite(rows).all():
        raise ValueError(f"the embedding gave an array of shape {rows.shape} for {len(distinct)} texts")
    place = {text: i for i, text in enumerate(distinct)}
    return rows[[place[text] for text in texts]]


def best_similarity(entries: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The largest cosine of each entry with any label, float32 of shape (entries,)."""
    best = np.full(len(entries), -np.inf, dtype=np.float32)
    for start in range(0, len(labels), BLOCK):
        np.maximum(best, (entries @ labels[start : start + BLOCK].T).max(axis=1), out=best)
    return best
