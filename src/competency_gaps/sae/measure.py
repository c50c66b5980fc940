"""Measure an SAE's latents over texts: base rates, reconstruction, dependence on the tokens' surface, and coherence.

Coherence [ours] says whether a latent's strongest windows of text have a meaning in common, as another model reads
them: a latent may depend on no word and still stand for nothing that a reader can name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.evidence.chi import typical_cas
from competency_gaps.evidence.tokens import MajorityToken, mix
from competency_gaps.model.batches import plan_batches, token_budget_on
from competency_gaps.model.embed import embed_texts
from competency_gaps.model.hooks import read_hook
from competency_gaps.model.load import LanguageModel
from competency_gaps.sae.gate import LatentStatistics
from competency_gaps.sae.load import LoadedPair, SparseAutoencoder
from competency_gaps.sae.reference import WINDOW, Reference
from competency_gaps.sae.surface import (
    POSITIONS_PER_PIECE,
    Active,
    KeptPeaks,
    Surface,
    TextTokens,
    find_peaks,
    number_texts,
)
from competency_gaps.sae.texts import TokenPiece, first_tokens
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

CHUNK_TOKENS = 4096
Embed = Callable[[Sequence[str]], np.ndarray]
"""Function that returns one unit vector per text: shape (texts, d)."""
BLOCK_TOKENS = 16_384
"""Tokens of whole texts whose activations are in memory at once, approximately."""
WINDOWS_PER_LATENT = 10
"""Most windows that are compared per latent, each from another text."""
MIN_WINDOWS = 5
"""Fewest different windows from which coherence is measured."""
MAX_COMPARED_TOKENS = 1_000_000
"""Approximate number of tokens whose windows are compared, since embedding takes longer than reading. From a larger
corpus, texts are drawn at random: the first may all come from one source."""
CENTRE_WINDOWS = 2048
"""Number of random windows whose mean embedding, what all texts have in common, is subtracted."""
LATENTS_AT_ONCE = 1024
"""Latents that are compared at once."""

log = logging.getLogger(__name__)


def read_texts(
    pair: LoadedPair, pieces: Iterable[TokenPiece], *, tokens: int, embed: Embed | None = None, progress: Progress
) -> tuple[LatentStatistics, Reference]:
    """Return statistics of an SAE's latents over about ``tokens`` tokens of texts: for the gate, and as a reference.

    Parameters
    ----------
    pieces
        The texts, read in order until there are ``tokens`` tokens.
    embed
        Returns unit vectors of texts, from which coherence is measured; None: coherence is NaN.

    Returns
    -------
    tuple of LatentStatistics and Reference
    """
    lm, sae, chosen = pair.lm, pair.sae, []
    with progress.stage("tokenising texts", total=tokens, unit="tokens") as bar:
        for piece in first_tokens(pieces, tokens):
            chosen.append(piece)
            bar.advance(len(piece.ids))
    running = _Running(sae)
    surface = Surface(sae.d_sae, chosen, lm.tokenizer, sae.average_over)
    strongest = None if embed is None else StrongestWindows(sae.d_sae, chosen)
    with progress.stage("reading texts", total=sum(len(p.ids) for p in chosen), unit="tokens") as bar:
        for block in surface.blocks(BLOCK_TOKENS):
            sizes = [int(chosen[i].in_body.sum()) for i in block]
            offsets = np.cumsum([0, *sizes])
            active: list[Active] = []
            for batch in plan_batches([len(chosen[i].ids) for i in block], token_budget_on(lm.device)):
                rows = [chosen[block[i]] for i in batch]
                starts = [int(offsets[i]) for i in batch]
                activations = read_hook(lm, pair.hook, [p.ids for p in rows])
                active += running.add(activations, rows, starts)
                bar.advance(sum(len(p.ids) for p in rows))
            text_tokens, values = surface.tokens(block), Active(*map(np.concatenate, zip(*active, strict=True)))
            surface.add(text_tokens, values)
            if strongest is not None:
                strongest.add(text_tokens, values)
    coherence = np.full(sae.d_sae, np.nan)
    if embed is not None and strongest is not None:
        coherence = strongest.coherence(lm.tokenizer, embed)
    return running.statistics, running.reference(lm, coherence=coherence, **surface.columns())


class _Running:
    """Running sums over tokens and windows of text: where a latent is active, and its mean activation there."""

    def __init__(self, sae: SparseAutoencoder) -> None:
        self.sae = sae
        self.statistics = LatentStatistics(sae.d_sae, sae.d_in)
        self.majority = MajorityToken(sae.d_sae)
        self.windows = 0
        self.window_active, self.window_cas = np.zeros((2, sae.d_sae))

    def add(self, activations: torch.Tensor, rows: Sequence[TokenPiece], starts: Sequence[int]) -> list[Active]:
        """Add a batch, and return the activations on the texts' own tokens; each row's tokens count from its start."""
        import torch

        sae = self.sae
        masks = [sae.encoded(p) for p in rows]
        ids = np.concatenate([p.ids[mask] for p, mask in zip(rows, masks, strict=True)])
        contents = [p.content[mask] for p, mask in zip(rows, masks, strict=True)]
        content = np.concatenate(contents)
        content_index = np.concatenate(
            [start + np.cumsum(part) - 1 for start, part in zip(starts, contents, strict=True)]
        )
        parts = [sae.inputs(activations[i], mask) for i, mask in enumerate(masks)]
        longest = max(len(p.ids) for p in rows)
        window = np.concatenate([np.arange(mask.sum()) // WINDOW + i * longest for i, mask in enumerate(masks)])
        x = torch.cat(parts).to(sae.sae.device, sae.sae.dtype)
        active = []
        with torch.inference_mode():
            for start in range(0, len(x), CHUNK_TOKENS):
                part = x[start : start + CHUNK_TOKENS]
                latents = sae.encode(part)
                self.statistics.add(part, latents, sae.sae.decode(latents), content[start : start + CHUNK_TOKENS])
                self._add_windows(latents, np.where(content, window, -1)[start : start + CHUNK_TOKENS])
                where = latents.nonzero(as_tuple=True)
                weights = latents[where].float().cpu().numpy()
                token, concept = start + where[0].cpu().numpy(), where[1].cpu().numpy()
                self.majority.add(concept, ids[token].astype(np.int64), weights)
                in_text = content[token]
                active.append(Active(concept[in_text], content_index[token[in_text]], weights[in_text]))
        return active

    def _add_windows(self, latents: torch.Tensor, window: np.ndarray) -> None:
        """Add latents of shape (tokens, width) to the sums over windows, numbered in ``window``; below 0: in none."""
        import torch

        used = window >= 0
        _, window_index, sizes = np.unique(window[used], return_inverse=True, return_counts=True)
        sums = torch.zeros(len(sizes), latents.shape[1], dtype=torch.float32, device=latents.device)
        mask, index = torch.from_numpy(used).to(latents.device), torch.from_numpy(window_index).to(latents.device)
        sums.index_add_(0, index, latents[mask].float())
        means = sums / torch.from_numpy(sizes).to(sums)[:, None]
        self.windows += len(sizes)
        self.window_active += (means > 0).sum(dim=0).cpu().numpy()
        self.window_cas += means.sum(dim=0, dtype=torch.float64).cpu().numpy()

    def reference(self, lm: LanguageModel, **surface: np.ndarray) -> Reference:
        """Return the statistics as a reference, with the columns of the tokens' surface."""
        statistics, strings = self.statistics, self.majority.token.tolist()
        return Reference(
            mean=statistics.mass / max(1, statistics.tokens - statistics.template_tokens),
            density=statistics.density,
            share=statistics.mass / max(statistics.mass.sum(), 1e-30),
            template_share=statistics.template_share,
            token_share=self.majority.share(),
            window_density=self.window_active / max(1, self.windows),
            window_cas=typical_cas(self.window_cas, self.window_active),
            token=[None if token < 0 else str(lm.tokenizer.decode([token])) for token in strings],
            **surface,
        )


class StrongestWindows:
    """Collects each latent's strongest windows over a corpus, one of each text.

    The result does not depend on how texts are grouped.

    Parameters
    ----------
    width
        Number of latents.
    pieces
        The whole corpus in order.
    """

    def __init__(self, width: int, pieces: Sequence[TokenPiece]) -> None:
        self._pieces = pieces
        self._sizes = np.array([int(piece.in_body.sum()) for piece in pieces], np.int64)
        texts = number_texts(pieces)
        share = MAX_COMPARED_TOKENS / max(1, int(self._sizes.sum()))
        self._compared = mix(texts.astype(np.uint64)) < share * 2.0**64
        self._kept = KeptPeaks(width, WINDOWS_PER_LATENT)

    def add(self, tokens: TextTokens, active: Active) -> None:
        """Add all activations on the tokens of whole texts."""
        used = self._compared[tokens.position[active.token] // POSITIONS_PER_PIECE]
        latent, token, value = active.latent[used], active.token[used], active.value[used]
        if len(latent):
            peaks = find_peaks(latent, tokens.text[token], value)
            self._kept.add(latent[peaks], -value[peaks].astype(np.float64), position=tokens.position[token[peaks]])

    def coherence(self, tokenizer: PreTrainedTokenizerBase, embed: Embed) -> np.ndarray:
        """Return how alike in meaning each latent's windows are.

        With ``u`` the embedding of a window less the mean of windows drawn at random, at length 1, coherence is the
        mean product ``u_i u_j`` over pairs of the latent's windows: near 0 if they have nothing in common.

        Parameters
        ----------
        embed
            Returns unit vectors of texts.

        Returns
        -------
        ndarray of float64 of shape (width,)
            At most 1; NaN with fewer than five different windows.
        """
        kept = np.where(self._kept["position"] < 0, -1, self._kept["position"] // WINDOW)
        sizes = np.where(self._compared, -(-self._sizes // WINDOW), 0)
        if not sizes.sum():
            return np.full(len(kept), np.nan)
        every = np.concatenate([i * (POSITIONS_PER_PIECE // WINDOW) + np.arange(size) for i, size in enumerate(sizes)])
        usual = np.random.default_rng(0).choice(every, min(len(every), CENTRE_WINDOWS), replace=False)
        windows = np.unique(np.concatenate([kept[kept >= 0], usual]))
        texts = [self._text(int(window), tokenizer) for window in windows]
        vectors = embed(texts)
        centred = vectors - vectors[np.searchsorted(windows, usual)].mean(axis=0)
        centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
        # Equal texts count once.
        first_of: dict[str, int] = {}
        first = np.array([first_of.setdefault(text, i) for i, text in enumerate(texts)])
        rows = first[np.searchsorted(windows, np.maximum(kept, windows[0]))]
        ends = range(LATENTS_AT_ONCE, len(rows), LATENTS_AT_ONCE)
        parts = zip(np.split(rows, ends), np.split(kept >= 0, ends), strict=True)
        return np.concatenate([_mean_products(centred, *part) for part in parts])

    def _text(self, window: int, tokenizer: PreTrainedTokenizerBase) -> str:
        """Return a window's text; the last window of a piece begins earlier, so that it is as long as others."""
        piece, number = divmod(window, POSITIONS_PER_PIECE // WINDOW)
        ids = self._pieces[piece].ids[self._pieces[piece].in_body]
        start = max(0, min(number * WINDOW, len(ids) - WINDOW))
        return str(tokenizer.decode(ids[start : start + WINDOW].tolist()))


def _mean_products(vectors: np.ndarray, rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return each latent's mean product over pairs of different windows; NaN with fewer than ``MIN_WINDOWS``.

    The windows of latent ``l`` are ``vectors[rows[l, known[l]]]``.
    """
    rows = np.sort(np.where(known, rows, len(vectors)), axis=1)
    fresh = (rows < len(vectors)) & np.c_[np.ones(len(rows), bool), rows[:, 1:] != rows[:, :-1]]
    count = fresh.sum(axis=1)
    sums = np.einsum("lwd,lw->ld", vectors[np.minimum(rows, len(vectors) - 1)], fresh.astype(vectors.dtype))
    pairs = np.maximum(1, count * (count - 1))
    products: np.ndarray = ((sums.astype(np.float64) ** 2).sum(axis=1) - count) / pairs
    return np.where(count >= MIN_WINDOWS, products, np.nan)


def embedder(progress: Progress) -> Embed | None:
    """Return the embedding function, or None, with a warning, if the package or its model is missing."""
    try:
        embed_texts([])
    except UserError as error:
        log.warning("the coherence of the latents is not measured: %s", error)
        return None
    return partial(embed_texts, progress=progress)
