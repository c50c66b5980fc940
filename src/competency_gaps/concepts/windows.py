"""Windows of text in which concepts are active, random samples of windows, and hard negatives among these."""

from __future__ import annotations

import heapq
from collections.abc import Callable
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


def firing(
    sae: SparseAutoencoder, x: torch.Tensor, window: np.ndarray, inside: np.ndarray
) -> tuple[np.recarray, torch.Tensor]:
    """Encode tokens and find the concepts active in each window.

    Parameters
    ----------
    x : torch.Tensor of shape (tokens, d_in)
        What the SAE encodes of the tokens.
    window : ndarray of int64 of shape (tokens,)
        Position of each token's window.
    inside : ndarray of bool of shape (tokens,)
        Tokens that count; on others no concept is active.

    Returns
    -------
    recarray of shape (pairs,), and the latents of shape (tokens, d_sae)
        Pairs of a window and a concept active in it, sorted by window, then concept: ``window`` (int64, its position in
        the batch), ``concept`` (int64), and ``peak`` (float32, > 0: the highest activation, by which windows are
        ranked).
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
    facts = where[peaks], who[peaks], weights[peaks]
    return np.rec.fromarrays(facts, formats="i8,i8,f4", names="window,concept,peak"), latents


def shapes(latents: torch.Tensor, first: np.ndarray, length: np.ndarray, pairs: np.recarray) -> np.ndarray:
    """Each token's activation as a part of its window's highest.

    Parameters
    ----------
    first, length : ndarray of int64 of shape (windows,)
        Where each window's tokens start in ``latents``, and how many there are, at most ``WINDOW``.
    pairs
        The wanted ones, of :func:`firing`.

    Returns
    -------
    ndarray of float16 of shape (pairs, WINDOW), in [0, 1]; 0 beyond a window's end
    """
    import torch

    step = np.arange(WINDOW)
    inside = step < length[pairs.window][:, None]
    token = np.where(inside, first[pairs.window][:, None] + step, 0)
    concept = torch.from_numpy(pairs.concept.copy())[:, None]
    values = latents[torch.from_numpy(token).to(latents.device), concept.to(latents.device)].float().cpu().numpy()
    return np.where(inside, values / pairs.peak[:, None], 0).astype(np.float16)


CONCEPT_WINDOW = np.dtype(
    [("concept", np.int32), ("window", np.int64), ("value", np.float32), ("shape", np.float16, (WINDOW,))]
)
"""A window in which a concept is active: number of the window, in the order of the texts; highest activation in it,
> 0; each token's activation as a part of that, in [0, 1]."""
NEGATIVE = np.dtype([("concept", np.int32), ("window", np.int64), ("value", np.float32)])
"""A concept and a window of the pool; cosine to the mean of the concept's exemplars, in [-1, 1]."""


def concept_windows(kept: KeptPeaks) -> np.ndarray:
    """All kept peaks as ``CONCEPT_WINDOW``: by concept, then the best first."""
    concept, rank = np.nonzero(kept["position"] >= 0)
    facts = [kept[name][concept, rank] for name in ("position", "peak", "shape")]
    return np.rec.fromarrays([concept, *facts], dtype=CONCEPT_WINDOW)


def lottery(window: np.ndarray, concept: np.ndarray | int = 0, *, seed: int = 0) -> np.ndarray:
    """Return a reproducible pseudo-random number in [0, 1) for each pair of window and concept.

    The pairs with the highest numbers are a random sample. It is the splitmix64 finaliser over the pair.
    """
    with np.errstate(over="ignore"):
        x = np.asarray(window, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = x ^ (np.asarray(concept, np.uint64) + np.uint64(seed)) * np.uint64(0xD1B54A32D192ED03)
        x = mix(x - np.uint64(0x9E3779B97F4A7C15))
    return (x >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def pool_of(sample: list[tuple[float, int, np.ndarray]], concepts: int) -> tuple[np.ndarray, sp.csr_array]:
    """The sampled windows, in the order of the texts.

    Parameters
    ----------
    sample
        For each window its lottery number, its own number and its active concepts.

    Returns
    -------
    ndarray of int64 of shape (windows,), and csr_array of bool of shape (windows, concepts)
        Their numbers, and in which windows each concept is active.
    """
    chosen = sorted(sample, key=lambda entry: entry[1])
    indptr = np.cumsum([0, *(len(entry[2]) for entry in chosen)])
    concept = np.concatenate([entry[2] for entry in chosen]) if chosen else np.zeros(0, np.int32)
    active = sp.csr_array((np.ones(len(concept), bool), concept, indptr), shape=(len(chosen), concepts))
    return np.asarray([entry[1] for entry in chosen], np.int64), active


def keep_best(heap: list[Any], entry: Any, most: int) -> None:
    """Add an entry to a heap that stores the ``most`` largest."""
    (heapq.heappush if len(heap) < most else heapq.heappushpop)(heap, entry)


CHUNK = 256
"""Number of concepts that are compared with the pool at a time."""
PEAK_TOKENS = 3
"""Number of a concept's most frequent peak tokens by which negatives are chosen."""
RARE = 1e-3
"""``a`` in a token's weight, ``a / (a + share of the token among all tokens)``."""


def find_negatives(
    exemplars: np.ndarray,
    pool: tuple[np.ndarray, sp.csr_array],
    tokens: np.ndarray,
    embedding: Callable[[np.ndarray], np.ndarray],
    count: int,
    advance: Callable[[float], None] = lambda amount: None,
) -> np.ndarray:
    """Find hard negatives of every concept that has exemplars.

    Up to half are windows that hold one of the concept's most frequent peak tokens (of equally frequent ones those of
    lower id), the most similar first; the others are the most similar windows. Similarity is the cosine of mean token
    embeddings, in which rare tokens weigh more (smooth inverse frequency, Arora et al. 2017).

    Parameters
    ----------
    exemplars : ndarray of CONCEPT_WINDOW
    pool
        Windows and the concepts active in them, as of :func:`pool_of`.
    tokens : ndarray of int32 of shape (windows, WINDOW)
        Tokens of all windows, padded with -1.
    embedding
        Rows of the model's input embedding: from token ids, int64 of shape (ids,), to float32 of shape (ids, d). Asked
        once, for the tokens that occur.
    count
        Negatives per concept; fewer if it is silent in fewer windows of the pool.

    Returns
    -------
    ndarray of NEGATIVE
        By concept, the hardest first.
    """
    windows, active = pool
    if not len(windows) or not len(exemplars):
        return np.zeros(0, NEGATIVE)
    pool_tokens = tokens[windows]
    vectors = _TokenVectors(tokens, windows, exemplars["window"], embedding)
    order = np.argsort(exemplars["concept"], kind="stable")
    concepts, start = np.unique(exemplars["concept"][order], return_index=True)
    ends = np.append(start[1:], len(order))
    negatives: list[np.ndarray] = []
    for a in range(0, len(concepts), CHUNK):
        rows = [order[start[i] : ends[i]] for i in range(a, min(a + CHUNK, len(concepts)))]
        centres = np.stack([_centre(exemplars[own_rows], tokens, vectors) for own_rows in rows])
        cosine = centres @ vectors.pool.T
        silent = ~active[:, concepts[a : a + CHUNK]].toarray().T
        share = np.stack([_shares(exemplars[own_rows], tokens, pool_tokens) for own_rows in rows])
        for i, concept in enumerate(concepts[a : a + CHUNK]):
            chosen = _choose(cosine[i], silent[i], share[i], count)
            of_concept = np.full(len(chosen), concept), windows[chosen], cosine[i, chosen]
            negatives.append(np.rec.fromarrays(of_concept, dtype=NEGATIVE))
        advance(len(rows))
    return np.concatenate(negatives)


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


def _centre(exemplars: np.ndarray, tokens: np.ndarray, vectors: _TokenVectors) -> np.ndarray:
    """Return the mean direction of a concept's exemplars: a unit vector of shape (d,)."""
    each = vectors.of(tokens[exemplars["window"]])
    return unit(unit(each - vectors.mean).mean(axis=0)[None])[0]


def _shares(exemplars: np.ndarray, tokens: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Which of the pool's windows of tokens hold one of the concept's peak tokens: bool of shape (pool,)."""
    peak = exemplars["shape"].argmax(axis=1)
    ids, counts = np.unique(tokens[exemplars["window"], peak], return_counts=True)
    common = ids[np.argsort(-counts, kind="stable")][:PEAK_TOKENS]
    return np.asarray(np.isin(pool, common[common >= 0]).any(axis=1))
