"""A random sample of windows, and the hard negatives in it: near a concept's exemplars, but without the concept."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from competency_gaps.dictionary.exemplars.windows import ConceptWindows


@dataclass(frozen=True)
class PoolRows:
    """The sampled windows, in the order of the texts."""

    window: np.ndarray
    """int64 of shape (windows,)."""
    peaks: sp.csr_array
    """float32 of shape (windows, concepts): highest activation of each concept in each window."""


class WindowPool:
    """A random sample: the ``size`` windows with the highest lottery numbers."""

    def __init__(self, concepts: int, size: int) -> None:
        self.concepts = concepts
        self.size = size
        self._heap: list[tuple[float, int, np.ndarray, np.ndarray]] = []

    def add(self, window: int, number: float, concept: np.ndarray, peak: np.ndarray) -> None:
        """Offer a window with its active concepts."""
        if len(self._heap) < self.size:
            heapq.heappush(self._heap, (number, window, concept.astype(np.int32), peak))
        elif number > self._heap[0][0]:
            heapq.heapreplace(self._heap, (number, window, concept.astype(np.int32), peak))

    def rows(self) -> PoolRows:
        """The sample."""
        held = sorted(self._heap, key=lambda entry: entry[1])
        indptr = np.cumsum([0, *(len(entry[2]) for entry in held)])
        concept = np.concatenate([entry[2] for entry in held]) if held else np.zeros(0, np.int32)
        peak = np.concatenate([entry[3] for entry in held]) if held else np.zeros(0, np.float32)
        peaks = sp.csr_array((peak.astype(np.float32), concept, indptr), shape=(len(held), self.concepts))
        return PoolRows(np.asarray([entry[1] for entry in held], np.int64), peaks)

    def restore(self, rows: PoolRows, numbers: np.ndarray) -> None:
        """Restore the result of :meth:`rows`, with each window's lottery number."""
        parts = zip(rows.peaks.indptr[:-1], rows.peaks.indptr[1:], strict=True)
        self._heap = [
            (float(number), int(window), rows.peaks.indices[a:b].astype(np.int32), rows.peaks.data[a:b])
            for number, window, (a, b) in zip(numbers, rows.window, parts, strict=True)
        ]
        heapq.heapify(self._heap)


CHUNK = 256
"""Concepts that are compared with the whole pool at once."""
PEAK_TOKENS = 3
"""Most frequent peak tokens of a concept that a negative may share."""
RARE = 1e-3
"""``a`` in the weight of a token, ``a / (a + share of the token)``."""


@dataclass(frozen=True)
class Negatives:
    """Pairs of a concept and a window of the pool, by concept, the hardest first. Arrays of shape (pairs,)."""

    concept: np.ndarray
    """int32."""
    window: np.ndarray
    """int64."""
    value: np.ndarray
    """float32 in [-1, 1]: cosine to the mean of the concept's exemplars."""


def find_negatives(
    exemplars: ConceptWindows,
    pool: PoolRows,
    tokens: np.ndarray,
    embedding: Callable[[np.ndarray], np.ndarray],
    count: int,
    advance: Callable[[float], None] = lambda amount: None,
) -> Negatives:
    """Find hard negatives of every concept that has exemplars.

    Up to half are windows that hold one of the concept's most frequent peak tokens (of equally frequent ones those of
    lower id), the most similar first; the others are the most similar windows. Similarity is the cosine of mean token
    embeddings, in which rare tokens weigh more (smooth inverse frequency, Arora et al. 2017).

    Parameters
    ----------
    tokens : ndarray of int32 of shape (windows, WINDOW)
        Tokens of all windows, padded with -1.
    embedding
        Rows of the model's input embedding: from token ids, int64 of shape (ids,), to float32 of shape (ids, d). Asked
        once, for the tokens that occur.
    count
        Negatives per concept; fewer if it is silent in fewer windows of the pool.
    """
    if not len(pool.window) or not len(exemplars):
        return Negatives(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float32))
    vectors = _TokenVectors(tokens, pool.window, exemplars.window, embedding)
    held = _token_matrix(tokens[pool.window], len(vectors.row))
    order = np.argsort(exemplars.concept, kind="stable")
    concepts, start = np.unique(exemplars.concept[order], return_index=True)
    ends = np.append(start[1:], len(order))
    negatives: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for a in range(0, len(concepts), CHUNK):
        rows = [order[start[i] : ends[i]] for i in range(a, min(a + CHUNK, len(concepts)))]
        centres = np.stack([_centre(exemplars, tokens, own_rows, vectors) for own_rows in rows])
        cosine = centres @ vectors.pool.T
        silent = pool.peaks[:, concepts[a : a + CHUNK]].toarray().T == 0
        share = np.stack([_shares(exemplars, tokens, own_rows, held) for own_rows in rows])
        for i, concept in enumerate(concepts[a : a + CHUNK]):
            chosen = _choose(cosine[i], silent[i], share[i], count)
            negatives.append((np.full(len(chosen), concept, np.int32), pool.window[chosen], cosine[i, chosen]))
        advance(len(rows))
    return Negatives(*(np.concatenate(parts) for parts in zip(*negatives, strict=True)))


def _choose(cosine: np.ndarray, silent: np.ndarray, share: np.ndarray, count: int) -> np.ndarray:
    """Positions in the pool of silent windows: first those that share a peak token, then the most similar."""
    nearest = np.flatnonzero(silent)[np.argsort(-cosine[silent], kind="stable")]
    same = nearest[share[nearest]][: count // 2]
    return np.concatenate([same, nearest[~np.isin(nearest, same)][: count - len(same)]])


class _TokenVectors:
    """Vectors of the pool's windows, and what those of ``others`` are made from."""

    def __init__(
        self, tokens: np.ndarray, pool: np.ndarray, others: np.ndarray, embedding: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        held = tokens[pool]
        ids = np.unique(tokens[np.union1d(pool, others)])
        ids = ids[ids >= 0].astype(np.int64)
        self.row = np.full(int(ids[-1]) + 1, -1, np.int32)
        """Each token's row of the embedding, by its id; -1 where it does not occur."""
        self.row[ids] = np.arange(len(ids))
        counts = np.bincount(self.row[held[held >= 0]], minlength=len(ids)).astype(np.float64)
        weight = (RARE / (RARE + counts / max(1.0, counts.sum()))).astype(np.float32)
        # Float32, and only rows of tokens that occur: vocabularies have hundreds of thousands.
        self._embedding = embedding(ids) * weight[:, None]
        plain = self.of(held)
        self.mean = plain.mean(axis=0)
        """float32 of shape (d,): mean of the pool's windows, subtracted from all."""
        self.pool = _unit(plain - self.mean)
        """float32 of shape (pool, d), unit rows."""

    def of(self, held: np.ndarray) -> np.ndarray:
        """Mean of the weighted tokens of each window: float32 of shape (windows, d)."""
        return np.stack([self._embedding[self.row[ids[ids >= 0]]].mean(axis=0) for ids in held])


def _centre(exemplars: ConceptWindows, tokens: np.ndarray, rows: np.ndarray, vectors: _TokenVectors) -> np.ndarray:
    each = vectors.of(tokens[exemplars.window[rows]])
    return _unit(_unit(each - vectors.mean).mean(axis=0)[None])[0]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def _token_matrix(held: np.ndarray, vocabulary: int) -> sp.csr_array:
    """Bool of shape (vocabulary, pool): which window holds which token."""
    row, column = np.nonzero(held >= 0)
    parts = (np.ones(len(row), np.int8), (held[row, column], row))
    return sp.csr_array(sp.coo_array(parts, shape=(vocabulary, len(held))))


def _shares(exemplars: ConceptWindows, tokens: np.ndarray, rows: np.ndarray, held: sp.csr_array) -> np.ndarray:
    """Which windows of the pool hold one of the concept's peak tokens: bool of shape (pool,)."""
    peak = exemplars.shape[rows].argmax(axis=1)
    ids, counts = np.unique(tokens[exemplars.window[rows], peak], return_counts=True)
    common = ids[np.argsort(-counts, kind="stable")][:PEAK_TOKENS]
    share = np.zeros(held.shape[1], bool)
    for token in common[common >= 0]:
        share[held.indices[held.indptr[token] : held.indptr[token + 1]]] = True
    return share
