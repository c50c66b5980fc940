"""Where concepts are active in a batch of texts, window by window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from competency_gaps.sae.load import SparseAutoencoder

if TYPE_CHECKING:
    import torch

WINDOW = 40
"""Tokens of a window: a sentence or two, which is what an explainer and a person read at once."""

Ranking = Literal["activation", "reconstruction"]


@dataclass(frozen=True)
class Firing:
    """Pairs of a window and a concept active in it, sorted by window, then concept. Arrays of shape (pairs,)."""

    window: np.ndarray
    """int64: position of the window in the batch."""
    concept: np.ndarray
    """int64."""
    peak: np.ndarray
    """float32, > 0: highest activation in the window."""
    value: np.ndarray
    """float32: what windows are ranked by."""


def firing(
    sae: SparseAutoencoder, x: torch.Tensor, window: np.ndarray, ranking: Ranking
) -> tuple[Firing, torch.Tensor]:
    """Encode tokens and find who is active in which window.

    Parameters
    ----------
    x : torch.Tensor of shape (tokens, d_in)
        Activations at the hook.
    window : ndarray of int64 of shape (tokens,)
        Position of each token's window.
    ranking
        ``activation``: a window's value is its highest activation. ``reconstruction``: how much the squared error of
        the SAE's reconstruction, summed over the window's tokens, rises when the concept is dropped.

    Returns
    -------
    Firing, and the latents of shape (tokens, d_sae)
    """
    x = x.to(sae.sae.device, sae.sae.dtype)
    latents = sae.encode(x)
    token, concept = latents.nonzero(as_tuple=True)
    weights = latents[token, concept].float().cpu().numpy()
    rise = error_rise(sae, x, latents, token, concept) if ranking == "reconstruction" else None
    where, who = window[token.cpu().numpy()], concept.cpu().numpy().astype(np.int64)
    order = np.lexsort((who, where))
    where, who, weights = where[order], who[order], weights[order]
    start = np.flatnonzero(np.diff(where, prepend=-1) | np.diff(who, prepend=-1))
    if not len(start):
        nothing = np.zeros(0, np.float32)
        return Firing(where, who, nothing, nothing), latents
    peak = np.maximum.reduceat(weights, start)
    value = peak if rise is None else np.add.reduceat(rise[order], start)
    return Firing(where[start], who[start], peak, value.astype(np.float32)), latents


def error_rise(
    sae: SparseAutoencoder, x: torch.Tensor, latents: torch.Tensor, token: torch.Tensor, concept: torch.Tensor
) -> np.ndarray:
    """How much the squared reconstruction error of a token rises when one concept is dropped.

    With residual ``r = x - x_hat`` and the concept's part ``p = s z_c d_c`` of ``x_hat`` (``s``: the scale that the
    SAE's normalisation puts back on a token), dropping it gives ``|r + p|^2 - |r|^2 = 2 r.p + |p|^2``.

    Parameters
    ----------
    latents : torch.Tensor of shape (tokens, d_sae)
        What the SAE's ``encode``, called last with ``x``, gave.
    token, concept : torch.Tensor of int64 of shape (pairs,)
        Pairs at which the concept is active.

    Returns
    -------
    ndarray of float64 of shape (pairs,); negative where the reconstruction is better without the concept
    """
    import torch

    decoder = sae.sae.W_dec
    # Both at once: SAELens forgets a token's normalisation when it has decoded.
    rebuilt, bias = sae.sae.decode(torch.stack([latents, torch.zeros_like(latents)]))
    without_bias = rebuilt - bias
    plain = latents @ decoder
    size = (plain * plain).sum(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    scale = (without_bias * plain).sum(dim=1) / size
    along = ((x - rebuilt) @ decoder.T)[token, concept]
    part = scale[token] * latents[token, concept]
    rise = 2 * part * along + part * part * (decoder * decoder).sum(dim=1)[concept]
    return rise.double().cpu().numpy()


def best_of_each_text(pairs: Firing, text: np.ndarray) -> np.ndarray:
    """Of each text and concept the window of the highest value, the first if tied: texts repeat themselves.

    Parameters
    ----------
    text : ndarray of int64 of shape (windows of the batch,)
        Text of each window.

    Returns
    -------
    ndarray of int64: positions in ``pairs``, ascending.
    """
    owner = text[pairs.window]
    order = np.lexsort((pairs.window, -pairs.value, pairs.concept, owner))
    new = np.diff(owner[order], prepend=-1).astype(bool) | np.diff(pairs.concept[order], prepend=-1).astype(bool)
    return np.sort(order[new])


def shapes(latents: torch.Tensor, first: np.ndarray, length: np.ndarray, pairs: Firing, rows: np.ndarray) -> np.ndarray:
    """Each token's activation as a part of its window's highest.

    Parameters
    ----------
    first, length : ndarray of int64 of shape (windows,)
        Where each window's tokens start in ``latents``, and how many there are, at most ``WINDOW``.
    rows
        The pairs that are asked for.

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
