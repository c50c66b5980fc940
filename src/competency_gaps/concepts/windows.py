"""Windows of text in which concepts are active, random samples of windows, and hard negatives among these."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence.tokens import mix
from competency_gaps.reading.profiles import unit
from competency_gaps.sae.surface import KeptPeaks, find_peaks

if TYPE_CHECKING:
    import torch

    from competency_gaps.sae.load import SparseAutoencoder


WINDOW = 40
"""Tokens per window: a sentence or two."""


@dataclass(frozen=True)
class Firing:
    """Pairs of a window and a concept active in it, sorted by window, then concept. Arrays of shape (pairs,)."""

    window: np.ndarray
    """int64: position of the window in the batch."""
    concept: np.ndarray
    """int64."""
    peak: np.ndarray
    """float32, > 0: highest activation in the window, by which windows are ranked."""


def firing(
    sae: SparseAutoencoder, x: torch.Tensor, window: np.ndarray, inside: np.ndarray
) -> tuple[Firing, torch.Tensor]:
    """Encode tokens and return the concepts that are active in each window.

    Parameters
    ----------
    x : torch.Tensor of shape (tokens, d_in)
        Inputs of the SAE.
    window : ndarray of int64 of shape (tokens,)
        Position of each token's window in the batch.
    inside : ndarray of bool of shape (tokens,)
        Tokens that count; on others no concept is active.

    Returns
    -------
    Firing, and the latents of shape (tokens, d_sae)
    """
    import torch

    x = x.to(sae.sae.device, sae.sae.dtype)
    latents = sae.encode(x)
    if not inside.all():
        latents = latents * torch.from_numpy(inside).to(latents.device)[:, None]
    token, concept = latents.nonzero(as_tuple=True)
    weights = latents[token, concept].float().cpu().numpy()
    where, who = window[token.cpu().numpy()], concept.cpu().numpy().astype(np.int64)
    peaks = find_peaks(where, who, weights)
    return Firing(where[peaks], who[peaks], weights[peaks]), latents


def shapes(latents: torch.Tensor, first: np.ndarray, length: np.ndarray, pairs: Firing, rows: np.ndarray) -> np.ndarray:
    """Return each token's activation as a share of its window's highest.

    Parameters
    ----------
    first, length : ndarray of int64 of shape (windows,)
        Row of ``latents`` at which each window starts, and its number of tokens, at most ``WINDOW``.
    rows
        The wanted pairs, as positions in ``pairs``.

    Returns
    -------
    ndarray of float16 of shape (rows, WINDOW), in [0, 1]; 0 beyond a window's end
    """
    import torch

    window, concept = pairs.window[rows], pairs.concept[rows]
    step = np.arange(WINDOW)
    inside = step < length[window][:, None]
    token = np.where(inside, first[window][:, None] + step, 0)
    index = torch.from_numpy(token).to(latents.device), torch.from_numpy(concept)[:, None].to(latents.device)
    values = latents[index].float().cpu().numpy()
    return np.where(inside, values / pairs.peak[rows][:, None], 0).astype(np.float16)


@dataclass(frozen=True)
class ConceptWindows:
    """Windows in which concepts are active, one row per pair. Arrays of shape (rows,)."""

    concept: np.ndarray
    """int32."""
    window: np.ndarray
    """int64: number of the window, in the order of the texts."""
    peak: np.ndarray
    """float32, > 0: highest activation in the window."""
    shape: np.ndarray
    """float16 of shape (rows, WINDOW): each token's activation as a share of ``peak``, in [0, 1]."""

    def __len__(self) -> int:
        return len(self.concept)

    def take(self, rows: np.ndarray) -> ConceptWindows:
        """Return the rows of a mask or index."""
        return ConceptWindows(*(getattr(self, name)[rows] for name in FIELDS))

    @staticmethod
    def of(kept: KeptPeaks) -> ConceptWindows:
        """Return all stored peaks as rows, sorted by concept, the best first."""
        concept, rank = np.nonzero(kept["position"] >= 0)
        facts = (kept[name][concept, rank] for name in ("position", "peak", "shape"))
        return ConceptWindows(concept.astype(np.int32), *facts)

    @staticmethod
    def join(parts: list[ConceptWindows]) -> ConceptWindows:
        """Return the rows of all parts."""
        return ConceptWindows(*(np.concatenate([getattr(part, name) for part in parts]) for name in FIELDS))


FIELDS = ("concept", "window", "peak", "shape")


def lottery(window: np.ndarray, concept: np.ndarray | int = 0, *, seed: int = 0) -> np.ndarray:
    """Return a reproducible pseudo-random number in [0, 1) for each pair of window and concept.

    The pairs with the highest numbers are a random sample. It is the splitmix64 finaliser over the pair.
    """
    with np.errstate(over="ignore"):
        x = np.asarray(window, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = x ^ (np.asarray(concept, np.uint64) + np.uint64(seed)) * np.uint64(0xD1B54A32D192ED03)
        x = mix(x - np.uint64(0x9E3779B97F4A7C15))
    return (x >> np.uint64(11)).astype(np.float64) / float(1 << 53)


@dataclass(frozen=True)
class PoolRows:
    """The randomly sampled windows, in the order of the texts, with the concepts active in them."""

    window: np.ndarray
    """int64 of shape (windows,)."""
    active: sp.csr_array
    """bool of shape (windows, concepts): in which windows each concept is active."""

    @staticmethod
    def of(sample: list[tuple[float, int, np.ndarray]], concepts: int) -> PoolRows:
        """Return the pool of a sample: for each window its lottery number, its number and its active concepts."""
        chosen = sorted(sample, key=lambda entry: entry[1])
        indptr = np.cumsum([0, *(len(entry[2]) for entry in chosen)])
        concept = np.concatenate([entry[2] for entry in chosen]) if chosen else np.zeros(0, np.int32)
        active = sp.csr_array((np.ones(len(concept), bool), concept, indptr), shape=(len(chosen), concepts))
        return PoolRows(np.asarray([entry[1] for entry in chosen], np.int64), active)


def keep_best(heap: list[Any], entry: Any, most: int) -> None:
    """Add an entry to a heap that stores the ``most`` largest."""
    (heapq.heappush if len(heap) < most else heapq.heappushpop)(heap, entry)


CHUNK = 256
"""Number of concepts that are compared with the pool at a time."""
PEAK_TOKENS = 3
"""Number of a concept's most frequent peak tokens by which negatives are chosen."""
RARE = 1e-3
"""``a`` in a token's weight, ``a / (a + share of the token among all tokens)``."""


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
    """Return hard negatives of every concept that has exemplars.

    Up to half are windows that contain one of the concept's most frequent peak tokens (ties: the lower id), the most
    similar first; the others are the most similar windows. Similarity is the cosine of mean token embeddings, in which
    rare tokens weigh more (smooth inverse frequency, Arora et al. 2017).

    Parameters
    ----------
    tokens : ndarray of int32 of shape (windows, WINDOW)
        Tokens of all windows, padded with -1.
    embedding
        Returns rows of the model's input embedding: from token ids, int64 of shape (ids,), to float32 of shape (ids,
        d). Called once, for the tokens that occur.
    count
        Negatives per concept; fewer if it is silent in fewer windows of the pool.
    """
    if not len(pool.window) or not len(exemplars):
        return Negatives(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float32))
    vectors = _TokenVectors(tokens, pool.window, exemplars.window, embedding)
    pool_matrix = _token_matrix(tokens[pool.window], len(vectors.row))
    order = np.argsort(exemplars.concept, kind="stable")
    concepts, start = np.unique(exemplars.concept[order], return_index=True)
    ends = np.append(start[1:], len(order))
    negatives: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for a in range(0, len(concepts), CHUNK):
        rows = [order[start[i] : ends[i]] for i in range(a, min(a + CHUNK, len(concepts)))]
        centres = np.stack([_centre(exemplars, tokens, own_rows, vectors) for own_rows in rows])
        cosine = centres @ vectors.pool.T
        silent = ~pool.active[:, concepts[a : a + CHUNK]].toarray().T
        share = np.stack([_shares(exemplars, tokens, own_rows, pool_matrix) for own_rows in rows])
        for i, concept in enumerate(concepts[a : a + CHUNK]):
            chosen = _choose(cosine[i], silent[i], share[i], count)
            negatives.append((np.full(len(chosen), concept, np.int32), pool.window[chosen], cosine[i, chosen]))
        advance(len(rows))
    return Negatives(*(np.concatenate(parts) for parts in zip(*negatives, strict=True)))


def _choose(cosine: np.ndarray, silent: np.ndarray, share: np.ndarray, count: int) -> np.ndarray:
    """Return pool positions of the chosen negatives: those that share a peak token, then the most similar."""
    nearest = np.flatnonzero(silent)[np.argsort(-cosine[silent], kind="stable")]
    same = nearest[share[nearest]][: count // 2]
    return np.concatenate([same, nearest[~np.isin(nearest, same)][: count - len(same)]])


class _TokenVectors:
    """Vectors of windows, as weighted means of token embeddings: those of the pool, and :meth:`of` any others."""

    def __init__(
        self, tokens: np.ndarray, pool: np.ndarray, others: np.ndarray, embedding: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        pool_tokens = tokens[pool]
        ids = np.unique(tokens[np.union1d(pool, others)])
        ids = ids[ids >= 0].astype(np.int64)
        self.row = np.full(int(ids[-1]) + 1, -1, np.int32)
        """Row of ``_embedding`` by token id; -1: the token does not occur."""
        self.row[ids] = np.arange(len(ids))
        counts = np.bincount(self.row[pool_tokens[pool_tokens >= 0]], minlength=len(ids)).astype(np.float64)
        weight = (RARE / (RARE + counts / max(1.0, counts.sum()))).astype(np.float32)
        # Float32, and only rows of tokens that occur: vocabularies have hundreds of thousands.
        self._embedding = embedding(ids) * weight[:, None]
        plain = self.of(pool_tokens)
        self.mean = plain.mean(axis=0)
        """float32 of shape (d,): mean of the pool's windows, subtracted from all."""
        self.pool = unit(plain - self.mean)
        """float32 of shape (pool, d), unit rows."""

    def of(self, chosen: np.ndarray) -> np.ndarray:
        """Return the mean of each window's weighted token embeddings: float32 of shape (windows, d)."""
        return np.stack([self._embedding[self.row[ids[ids >= 0]]].mean(axis=0) for ids in chosen])


def _centre(exemplars: ConceptWindows, tokens: np.ndarray, rows: np.ndarray, vectors: _TokenVectors) -> np.ndarray:
    """Return the mean direction of a concept's exemplars: a unit vector of shape (d,)."""
    each = vectors.of(tokens[exemplars.window[rows]])
    return unit(unit(each - vectors.mean).mean(axis=0)[None])[0]


def _token_matrix(windows: np.ndarray, vocabulary: int) -> sp.csr_array:
    """Return which windows contain each token, as a sparse matrix of shape (vocabulary, pool)."""
    row, column = np.nonzero(windows >= 0)
    parts = (np.ones(len(row), np.int8), (windows[row, column], row))
    return sp.csr_array(sp.coo_array(parts, shape=(vocabulary, len(windows))))


def _shares(exemplars: ConceptWindows, tokens: np.ndarray, rows: np.ndarray, pool_matrix: sp.csr_array) -> np.ndarray:
    """Return which windows of the pool contain one of the concept's peak tokens: bool of shape (pool,)."""
    peak = exemplars.shape[rows].argmax(axis=1)
    ids, counts = np.unique(tokens[exemplars.window[rows], peak], return_counts=True)
    common = ids[np.argsort(-counts, kind="stable")][:PEAK_TOKENS]
    share = np.zeros(pool_matrix.shape[1], bool)
    for token in common[common >= 0]:
        share[pool_matrix.indices[pool_matrix.indptr[token] : pool_matrix.indptr[token + 1]]] = True
    return share
