"""Where concepts are active, window by window, and the best few windows of each, kept while texts stream by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import torch

    from competency_gaps.sae.load import SparseAutoencoder


WINDOW = 40
"""Tokens of a window: a sentence or two."""

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
    sae: SparseAutoencoder, x: torch.Tensor, window: np.ndarray, ranking: Ranking, inside: np.ndarray
) -> tuple[Firing, torch.Tensor]:
    """Encode tokens and find the concepts active in each window.

    Parameters
    ----------
    x : torch.Tensor of shape (tokens, d_in)
        What the SAE encodes of the tokens.
    window : ndarray of int64 of shape (tokens,)
        Position of each token's window.
    inside : ndarray of bool of shape (tokens,)
        Tokens that count; on others no concept is active.
    ranking
        ``activation``: a window's value is its highest activation. ``reconstruction``: how much the squared error of
        the SAE's reconstruction, summed over the window's tokens, rises when the concept is dropped.

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
    # Both in one call: SAELens forgets a token's normalisation after decoding.
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
    """For each text and concept, the window of the highest value, the first if tied: texts repeat themselves.

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


PENDING = 200_000
"""Rows that are gathered before they are sorted in."""


@dataclass(frozen=True)
class ConceptWindows:
    """Windows in which concepts are active, one row per pair. Arrays of shape (rows,)."""

    concept: np.ndarray
    """int32."""
    key: np.ndarray
    """float64: key by which the rows of a concept compete; the highest are kept."""
    value: np.ndarray
    """float32: the pair's rank value."""
    window: np.ndarray
    """int64: number of the window, in the order of the texts."""
    peak: np.ndarray
    """float32, > 0: highest activation in the window."""
    shape: np.ndarray
    """float16 of shape (rows, window): each token's activation as a part of ``peak``, in [0, 1]."""

    def __len__(self) -> int:
        return len(self.concept)

    def take(self, rows: np.ndarray) -> ConceptWindows:
        """Select rows by mask or index."""
        return ConceptWindows(*(getattr(self, name)[rows] for name in FIELDS))

    @staticmethod
    def empty(window: int) -> ConceptWindows:
        """No rows."""
        types = (np.int32, np.float64, np.float32, np.int64, np.float32)
        concept, key, value, number, peak = (np.zeros(0, dtype) for dtype in types)
        return ConceptWindows(concept, key, value, number, peak, np.zeros((0, window), np.float16))

    @staticmethod
    def join(parts: list[ConceptWindows]) -> ConceptWindows:
        """Concatenate rows."""
        return ConceptWindows(*(np.concatenate([getattr(part, name) for part in parts]) for name in FIELDS))


FIELDS = ("concept", "key", "value", "window", "peak", "shape")


class BestOf:
    """The ``keep`` rows of highest key of each concept; of equal keys the earliest windows.

    What is kept depends on the rows alone, not on how they were cut into batches. Memory: at most
    ``concepts * keep + PENDING`` rows, and one batch.
    """

    def __init__(self, concepts: int, keep: int, window: int) -> None:
        self.keep = keep
        self._floor = np.full(concepts, -np.inf)
        self._kept = ConceptWindows.empty(window)
        self._pending: list[ConceptWindows] = []

    def wanted(self, concept: np.ndarray, key: np.ndarray) -> np.ndarray:
        """Which rows can still be among the kept ones: bool of shape (rows,)."""
        return key >= self._floor[concept]

    def add(self, rows: ConceptWindows) -> None:
        """Add rows."""
        self._pending.append(rows)
        if sum(len(part) for part in self._pending) > PENDING:
            self._sort_in()

    def rows(self) -> ConceptWindows:
        """All kept rows: by concept, then the best first."""
        self._sort_in()
        return self._kept

    def restore(self, rows: ConceptWindows) -> None:
        """Restore the result of :meth:`rows`."""
        self._pending = [rows]
        self._sort_in()

    def _sort_in(self) -> None:
        if not self._pending:
            return
        rows = ConceptWindows.join([self._kept, *self._pending])
        self._pending = []
        order = np.lexsort((rows.window, -rows.key, rows.concept))
        concept = rows.concept[order]
        first = np.searchsorted(concept, concept, side="left")
        rank = np.arange(len(order)) - first
        self._kept = rows.take(order[rank < self.keep])
        full = rank == self.keep - 1
        self._floor[concept[full]] = rows.key[order[full]]


def lottery(window: np.ndarray, concept: np.ndarray | int = 0, *, seed: int = 0) -> np.ndarray:
    """A pseudo-random number in [0, 1) for each pair, the same every time: the pairs with the highest are a random
    sample.

    The finaliser of the splitmix64 generator over the pair.
    """
    with np.errstate(over="ignore"):
        x = np.asarray(window, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = x ^ (np.asarray(concept, np.uint64) + np.uint64(seed)) * np.uint64(0xD1B54A32D192ED03)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(11)).astype(np.float64) / float(1 << 53)
