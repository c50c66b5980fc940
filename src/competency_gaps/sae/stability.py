"""How much of one SAE comes back in another: each latent's largest correlation with a latent there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from competency_gaps.model.batches import plan_batches, token_budget_on
from competency_gaps.model.forward import read_hook
from competency_gaps.model.hooks import Hook
from competency_gaps.model.load import LanguageModel
from competency_gaps.progress import Progress
from competency_gaps.sae.load import SparseAutoencoder
from competency_gaps.sae.training.texts import TokenPiece

if TYPE_CHECKING:
    import torch


MOST_TOKENS = 2**18
"""Tokens of which activations are kept for comparing two SAEs."""
FEWEST_ACTIVE = 10
"""Fewest of these on which a latent must be active to be compared."""
_BLOCK = 2**24
"""Correlations in memory at once."""


def measure_stability(
    lm: LanguageModel,
    places: tuple[tuple[SparseAutoencoder, Hook], tuple[SparseAutoencoder, Hook]],
    pieces: Sequence[TokenPiece],
    progress: Progress,
) -> np.ndarray:
    """Compare the latents of an SAE with those of another one of the same model.

    Parameters
    ----------
    places
        The SAE and the other one, each with the hook where it reads; they need not read the same place.
    pieces
        Texts; of more than ``MOST_TOKENS`` tokens, pieces spread evenly over them.

    Returns
    -------
    ndarray of float64 of shape (width of the SAE,)
        As of :func:`largest_correlations`.
    """
    total = sum(len(piece.ids) for piece in pieces)
    chosen = pieces[:: max(1, -(-total // MOST_TOKENS))]
    rows: tuple[list[sp.csr_array], list[sp.csr_array]] = ([], [])
    with progress.stage("comparing two SAEs", total=sum(len(p.ids) for p in chosen), unit="tokens") as bar:
        for batch in plan_batches([len(p.ids) for p in chosen], token_budget_on(lm.device)):
            own = [chosen[i] for i in batch]
            for (sae, hook), kept in zip(places, rows, strict=True):
                activations = read_hook(lm, hook, [p.ids for p in own])
                for row, piece in enumerate(own):
                    kept.append(_content_latents(sae, activations[row, : len(piece.ids)], piece))
            bar.advance(sum(len(p.ids) for p in own))
    first, second = (sp.csr_array(sp.vstack(kept, format="csr")) for kept in rows)
    return largest_correlations(first, second)


def _content_latents(sae: SparseAutoencoder, activations: torch.Tensor, piece: TokenPiece) -> sp.csr_array:
    """Latents of a piece on the text's own tokens: shape (tokens, width). First tokens are not encoded."""
    import torch

    with torch.inference_mode():
        encoded = sae.encoded(piece)
        x = sae.inputs(activations, encoded).to(sae.sae.device, sae.sae.dtype)
        latents = sae.encode(x)[torch.from_numpy(piece.content[encoded]).to(sae.sae.device)]
        return sp.csr_array(latents.float().cpu().numpy())


def largest_correlations(own: sp.csr_array, other: sp.csr_array) -> np.ndarray:
    """Give each latent's largest correlation, over tokens, with a latent of another SAE.

    Parameters
    ----------
    own, other : csr_array of shape (tokens, width), (tokens, other width)
        Activations on the same tokens.

    Returns
    -------
    ndarray of float64 of shape (width,)
        In [-1, 1]; NaN: active on fewer than ``FEWEST_ACTIVE`` tokens, or no latent there is active on as many.
    """
    tokens = own.shape[0]
    mean, deviation = _moments(own)
    other_mean, other_deviation = _moments(other)
    candidates = np.flatnonzero(~np.isnan(other_deviation))
    best = np.full(own.shape[1], np.nan)
    if not len(candidates):
        return best
    by_latent = sp.csr_array(own.astype(np.float64).T)
    others = sp.csc_array(other.astype(np.float64))[:, candidates].tocsr()
    asked = np.flatnonzero(~np.isnan(deviation))
    size = max(1, _BLOCK // len(candidates))
    for start in range(0, len(asked), size):
        rows = asked[start : start + size]
        products = (by_latent[rows] @ others).toarray() / tokens
        products -= np.outer(mean[rows], other_mean[candidates])
        products /= other_deviation[candidates]
        best[rows] = products.max(axis=1) / deviation[rows]
    return best


def _moments(values: sp.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each latent; the deviation is NaN where there is nothing to compare."""
    width, tokens = values.shape[1], max(1, values.shape[0])
    data = values.data.astype(np.float64)
    mean = np.bincount(values.indices, data, width) / tokens
    variance = np.bincount(values.indices, data**2, width) / tokens - mean**2
    known = (np.bincount(values.indices, minlength=width) >= FEWEST_ACTIVE) & (variance > 0)
    return mean, np.sqrt(np.where(known, variance, np.nan))
