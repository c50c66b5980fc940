"""Whether a latent's strongest windows of text have a meaning in common, as another model reads them [ours].

A latent may depend on no word and still stand for nothing that a reader can name. Its strongest windows, each of
another text, are embedded as sentences; those of a topic or a skill are more alike than windows drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.metrics.tokens import mix
from competency_gaps.progress import Progress
from competency_gaps.sae.peaks import KeptPeaks, find_peaks
from competency_gaps.sae.reference import WINDOW
from competency_gaps.sae.surface import PIECE, Active, TextTokens, number_texts, own_tokens
from competency_gaps.sae.training.texts import TokenPiece

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STRONGEST = 10
"""Windows that are compared of each latent, each of another text."""
FEWEST = 5
"""Fewest different windows from which coherence is measured."""
TOKENS = 1_000_000
"""About how many tokens of the corpus have windows that are compared, since embedding takes longer than reading. Of a
longer corpus, texts are drawn at random: the first may all be of one source."""
USUAL = 2048
"""Windows, drawn at random, whose mean is what all texts have in common."""
BATCH = 1024
"""Windows that are embedded between two steps of progress, and latents whose windows are compared at once."""


class StrongestWindows:
    """Each latent's strongest windows over a corpus, one of each text; the same however texts are grouped.

    Parameters
    ----------
    width
        Number of latents.
    pieces
        The whole corpus in order.
    """

    def __init__(self, width: int, pieces: Sequence[TokenPiece]) -> None:
        self._pieces = pieces
        self._sizes = np.array([int(own_tokens(piece).sum()) for piece in pieces], np.int64)
        texts = number_texts(pieces)
        share = TOKENS / max(1, int(self._sizes.sum()))
        self._compared = mix(texts.astype(np.uint64)) < share * 2.0**64
        self._kept = KeptPeaks(width, STRONGEST, place=np.dtype(np.int64))

    def add(self, tokens: TextTokens, active: Active) -> None:
        """Add all activations on the tokens of whole texts."""
        used = self._compared[tokens.place[active.token] // PIECE]
        latent, token, value = active.latent[used], active.token[used], active.value[used]
        if len(latent):
            peaks = find_peaks(latent, tokens.text[token], value)
            self._kept.add(latent[peaks], -value[peaks].astype(np.float64), place=tokens.place[token[peaks]])

    def coherence(
        self,
        tokenizer: PreTrainedTokenizerBase,
        embed: Callable[[Sequence[str]], np.ndarray],
        progress: Progress,
        seed: int = 0,
    ) -> np.ndarray:
        """Compare each latent's windows.

        With ``u`` the embedding of a window less the mean of windows drawn at random, at length 1, coherence is the
        mean product ``u_i u_j`` over pairs of the latent's windows: near 0 if they have nothing in common.

        Parameters
        ----------
        embed
            Makes unit vectors of texts.

        Returns
        -------
        ndarray of float64 of shape (width,)
            At most 1; NaN: fewer than five different windows.
        """
        kept = np.where(self._kept["place"] < 0, -1, self._kept["place"] // WINDOW)
        sizes = np.where(self._compared, -(-self._sizes // WINDOW), 0)
        if not sizes.sum():
            return np.full(len(kept), np.nan)
        every = np.concatenate([i * (PIECE // WINDOW) + np.arange(size) for i, size in enumerate(sizes)])
        usual = np.random.default_rng(seed).choice(every, min(len(every), USUAL), replace=False)
        windows = np.unique(np.concatenate([kept[kept >= 0], usual]))
        texts = [self._text(int(window), tokenizer) for window in windows]
        vectors = _embedded(texts, embed, progress)
        centred = vectors - vectors[np.searchsorted(windows, usual)].mean(axis=0)
        centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
        # The same text in two places counts once.
        places: dict[str, int] = {}
        first = np.array([places.setdefault(text, i) for i, text in enumerate(texts)])
        rows = first[np.searchsorted(windows, np.maximum(kept, windows[0]))]
        return np.concatenate(
            [
                _mean_products(centred, rows[start : start + BATCH], kept[start : start + BATCH] >= 0)
                for start in range(0, len(rows), BATCH)
            ]
        )

    def _text(self, window: int, tokenizer: PreTrainedTokenizerBase) -> str:
        """A window's text; the last of a piece begins earlier, so that it is as long as others."""
        piece, number = divmod(window, PIECE // WINDOW)
        ids = self._pieces[piece].ids[own_tokens(self._pieces[piece])]
        start = max(0, min(number * WINDOW, len(ids) - WINDOW))
        return str(tokenizer.decode(ids[start : start + WINDOW].tolist()))


def _embedded(texts: Sequence[str], embed: Callable[[Sequence[str]], np.ndarray], progress: Progress) -> np.ndarray:
    parts = []
    with progress.stage("comparing windows", total=len(texts), unit="windows") as bar:
        for start in range(0, len(texts), BATCH):
            parts.append(embed(texts[start : start + BATCH]))
            bar.advance(len(parts[-1]))
    return np.concatenate(parts)


def _mean_products(vectors: np.ndarray, rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean product of pairs of different windows, for latents with the vectors ``rows`` where ``known``."""
    rows = np.sort(np.where(known, rows, len(vectors)), axis=1)
    fresh = (rows < len(vectors)) & np.c_[np.ones(len(rows), bool), rows[:, 1:] != rows[:, :-1]]
    count = fresh.sum(axis=1)
    sums = np.einsum("lwd,lw->ld", vectors[np.minimum(rows, len(vectors) - 1)], fresh.astype(vectors.dtype))
    pairs = np.maximum(1, count * (count - 1))
    products: np.ndarray = ((sums.astype(np.float64) ** 2).sum(axis=1) - count) / pairs
    return np.where(count >= FEWEST, products, np.nan)
