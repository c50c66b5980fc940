"""Names of the nodes of a tree of items: the concepts, or else the words, that mark a node against its siblings."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.slices.family import Family

LIMIT = 60
"""Characters of a name."""
WORDS = 5
"""Words that are kept for a node."""
_WORD = re.compile(r"[^\W\d_]{3,}(?:['’-][^\W\d_]+)*")


def with_names(
    family: Family, items: pl.DataFrame, concepts: pl.DataFrame, by_concept: ByConcept, space: np.ndarray | None = None
) -> Family:
    """Name the nodes of a tree, and give the words and the two items that are typical of each."""
    members = sp.csr_array((family.weights > 0).astype(np.float32))
    labels, firing = _labelled(concepts, by_concept, items.height)
    vocabulary, presence = _words(items)
    contrasts = _contrasts(members, family.parent)
    marks = _marks(contrasts, firing)
    typical = _marks(contrasts, presence)
    words = [[vocabulary[w] for w in np.argsort(-row)[:WORDS] if row[w] > 0] for row in typical]
    names: list[str] = []
    taken: set[str] = set()
    for marked, own in zip(marks, words, strict=True):
        name = _name([labels[c] for c in np.argsort(-marked)[:6] if marked[c] > 0], own, taken)
        taken.add(name)
        names.append(name)
    return replace(family, names=names, words=words)


def _name(labels: list[str], words: list[str], taken: set[str]) -> str:
    """At most ``LIMIT`` characters that no other node has."""
    parts: list[str] = []
    for part in [*labels, *words]:
        if part not in parts and len("; ".join([*parts, part])) <= LIMIT and len(parts) < 3:
            parts.append(part)
    name = "; ".join(parts) or "items without words in common"
    for part in words:
        if name not in taken:
            return name
        name = f"{name[: LIMIT - len(part) - 2]}, {part}"
    while name in taken:
        name += "'"
    return name


def _labelled(concepts: pl.DataFrame, by_concept: ByConcept, items: int) -> tuple[list[str], sp.csr_array]:
    """Labels of the ranked concepts that a reader named, and their CAS over its root mean square, (concepts, N)."""
    shown = concepts.filter(pl.col("ranked") & pl.col("label").is_not_null() & (pl.col("label_kind") != "automatic"))
    numbers = shown["concept"].to_numpy().astype(np.int64)
    scores = by_concept.cas(numbers, items)
    square = np.asarray(scores.multiply(scores).sum(axis=1)).ravel() / max(1, items)
    scores.data /= np.repeat(np.sqrt(np.maximum(square, 1e-18)), np.diff(scores.indptr)).astype(np.float32)
    return shown["label"].to_list(), scores


def _words(items: pl.DataFrame) -> tuple[list[str], sp.csr_array]:
    """Words of the items' texts, and which items have them: csr_array of shape (words, N)."""
    places: dict[str, list[int]] = {}
    for row, prompt in enumerate(items["prompt"]):
        for word in {word.casefold() for word in _WORD.findall(prompt or "")}:
            places.setdefault(word, []).append(row)
    frequent = sorted(word for word, rows in places.items() if 5 <= len(rows) <= items.height / 2)
    start = np.concatenate([[0], np.cumsum([len(places[word]) for word in frequent])]).astype(np.int64)
    index = np.concatenate([[], *(places[word] for word in frequent)]).astype(np.int64)
    return frequent, sp.csr_array((np.ones(len(index), np.float32), index, start), shape=(len(frequent), items.height))


def _contrasts(members: sp.csr_array, parent: np.ndarray) -> sp.csr_array:
    """Each node's items, and its siblings' that are not its own: (2 K, N), nodes first."""
    everything = sp.csr_array((members.sum(axis=0) > 0).astype(np.float32).reshape(1, -1))
    above = sp.csr_array(sp.vstack([members, everything], format="csr"))[parent]
    others = sp.csr_array(above - members.multiply(above))
    return sp.csr_array(sp.vstack([members, others], format="csr"))


def _marks(contrasts: sp.csr_array, firing: sp.csr_array) -> np.ndarray:
    """How much each row of ``firing`` (M, N) marks each node: standardised difference, float64 of shape (K, M)."""
    size = np.maximum(1, np.asarray(contrasts.sum(axis=1)).ravel())[:, None]
    mean = (contrasts @ firing.T).toarray() / size
    square = (contrasts @ firing.multiply(firing).T).toarray() / size
    half = len(mean) // 2
    error = np.sqrt((square[:half] - mean[:half] ** 2) / size[:half] + (square[half:] - mean[half:] ** 2) / size[half:])
    return np.asarray((mean[:half] - mean[half:]) / np.maximum(error, 1e-3))
