"""Evaluate an SAE on texts: sparsity, reconstruction, and the model's loss with the reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.metrics.suite import typical_cas
from competency_gaps.metrics.tokens import MajorityToken
from competency_gaps.model.batches import plan_batches, token_budget_on
from competency_gaps.model.forward import read_hook
from competency_gaps.model.hooks import Hook
from competency_gaps.model.load import LanguageModel
from competency_gaps.progress import Progress
from competency_gaps.sae.coherence import StrongestWindows
from competency_gaps.sae.gate import LatentStatistics
from competency_gaps.sae.load import SparseAutoencoder
from competency_gaps.sae.losses import measure_losses
from competency_gaps.sae.reference import WINDOW, Reference
from competency_gaps.sae.stability import measure_stability
from competency_gaps.sae.surface import Active, Surface
from competency_gaps.sae.training.texts import TokenPiece, first_tokens

if TYPE_CHECKING:
    import torch

CHUNK = 4096
Embed = Callable[[Sequence[str]], np.ndarray]
"""Makes unit vectors of texts."""
BLOCK = 16_384
"""Tokens of whole texts whose activations are in memory at once."""


@dataclass(frozen=True)
class SAEFigures:
    """An SAE measured on texts; first tokens are left out throughout."""

    tokens: int
    l0: float
    """Mean number of active latents per token."""
    explained_variance: float
    """1 - sum |x - x_hat|^2 / sum |x - mean x|^2."""
    silent_share: float
    """Share of the latents that are never active on these texts."""
    loss: float
    """Cross-entropy of the next token (nats) of the untouched model."""
    loss_reconstructed: float
    """The same with the SAE's reconstruction in place of the activation."""
    loss_ablated: float
    """The same with zeros in its place (for an SAE of averages: without the average)."""
    loss_recovered: float
    """(ablated - reconstructed) / (ablated - untouched); 1 = nothing lost."""
    loss_tokens: int
    """Tokens over which the losses are averaged."""


def evaluate_sae(
    lm: LanguageModel,
    hook: Hook,
    sae: SparseAutoencoder,
    pieces: Iterable[TokenPiece],
    *,
    tokens: int,
    loss_tokens: int,
    embed: Embed | None = None,
    progress: Progress,
) -> tuple[SAEFigures, Reference]:
    """Measure an SAE on texts.

    Parameters
    ----------
    tokens
        Maximum number of tokens to read.
    loss_tokens
        Number of these tokens on which the losses are measured, in three full passes.
    embed
        Makes unit vectors of texts, by which the coherence of latents is measured; None: it is not.
    """
    chosen = _tokenised(pieces, tokens, progress)
    statistics, reference = _read_pieces(lm, hook, sae, chosen, embed, progress)
    losses, counted = measure_losses(lm, hook, sae, list(first_tokens(iter(chosen), loss_tokens)), progress)
    clean, rebuilt, zero = losses
    figures = SAEFigures(
        tokens=statistics.tokens,
        l0=statistics.l0,
        explained_variance=statistics.explained_variance,
        silent_share=float((statistics.active == 0).mean()),
        loss=clean,
        loss_reconstructed=rebuilt,
        loss_ablated=zero,
        loss_recovered=(zero - rebuilt) / (zero - clean),
        loss_tokens=counted,
    )
    return figures, reference


def read_texts(
    lm: LanguageModel,
    hook: Hook,
    sae: SparseAutoencoder,
    pieces: Iterable[TokenPiece],
    *,
    tokens: int,
    against: tuple[SparseAutoencoder, Hook] | None = None,
    embed: Embed | None = None,
    progress: Progress,
) -> tuple[LatentStatistics, Reference]:
    """Statistics of an SAE's latents over at most ``tokens`` tokens of texts, without first tokens.

    Parameters
    ----------
    against
        Another SAE of the model, and its hook: how stable latents are is measured; None: it is not.
    embed
        Makes unit vectors of texts, by which the coherence of latents is measured; None: it is not.
    """
    chosen = _tokenised(pieces, tokens, progress)
    statistics, reference = _read_pieces(lm, hook, sae, chosen, embed, progress)
    if against and statistics.tokens:
        stability = measure_stability(lm, ((sae, hook), against), chosen, progress)
        reference = replace(reference, stability=stability)
    return statistics, reference


def _tokenised(pieces: Iterable[TokenPiece], tokens: int, progress: Progress) -> list[TokenPiece]:
    """Tokenise pieces until they hold this many tokens."""
    chosen = []
    with progress.stage("tokenising texts", total=tokens, unit="tokens") as bar:
        for piece in first_tokens(pieces, tokens):
            chosen.append(piece)
            bar.advance(len(piece.ids))
    return chosen


def _read_pieces(
    lm: LanguageModel,
    hook: Hook,
    sae: SparseAutoencoder,
    chosen: list[TokenPiece],
    embed: Embed | None,
    progress: Progress,
) -> tuple[LatentStatistics, Reference]:
    statistics = LatentStatistics(sae.d_sae, sae.d_in)
    majority = MajorityToken(sae.d_sae)
    windows = _Windows(sae.d_sae)
    surface = Surface(sae.d_sae, chosen, lm.tokenizer, sae.average_over)
    strongest = None if embed is None else StrongestWindows(sae.d_sae, chosen)
    with progress.stage("reading texts", total=sum(len(p.ids) for p in chosen), unit="tokens") as bar:
        for block in surface.blocks(BLOCK):
            sizes = [int((chosen[i].content & ~chosen[i].bos).sum()) for i in block]
            offsets = np.cumsum([0, *sizes])
            active: list[Active] = []
            for batch in plan_batches([len(chosen[i].ids) for i in block], token_budget_on(lm.device)):
                rows = [chosen[block[i]] for i in batch]
                starts = [int(offsets[i]) for i in batch]
                activations = read_hook(lm, hook, [p.ids for p in rows])
                active += _add_rows(statistics, majority, windows, sae, activations, rows, starts)
                bar.advance(sum(len(p.ids) for p in rows))
            own, values = surface.tokens(block), Active(*map(np.concatenate, zip(*active, strict=True)))
            surface.add(own, values)
            if strongest is not None:
                strongest.add(own, values)
    coherence = np.full(sae.d_sae, np.nan)
    if embed is not None and strongest is not None:
        coherence = strongest.coherence(lm.tokenizer, embed, progress)
    return statistics, _reference(statistics, majority, windows, {**surface.columns(), "coherence": coherence}, lm)


def _add_rows(
    statistics: LatentStatistics,
    majority: MajorityToken,
    windows: _Windows,
    sae: SparseAutoencoder,
    activations: torch.Tensor,
    rows: Sequence[TokenPiece],
    starts: Sequence[int],
) -> list[Active]:
    """Add a batch; give the activations on the texts' own tokens, those of each row numbered from its start."""
    import torch

    masks = [sae.encoded(p) for p in rows]
    ids = np.concatenate([p.ids[mask] for p, mask in zip(rows, masks, strict=True)])
    contents = [p.content[mask] for p, mask in zip(rows, masks, strict=True)]
    content = np.concatenate(contents)
    own = np.concatenate([start + np.cumsum(part) - 1 for start, part in zip(starts, contents, strict=True)])
    parts = [sae.inputs(activations[i], mask) for i, mask in enumerate(masks)]
    longest = max(len(p.ids) for p in rows)
    place = np.concatenate([np.arange(mask.sum()) // WINDOW + i * longest for i, mask in enumerate(masks)])
    x = torch.cat(parts).to(sae.sae.device, sae.sae.dtype)
    active = []
    with torch.inference_mode():
        for start in range(0, len(x), CHUNK):
            part = x[start : start + CHUNK]
            latents = sae.encode(part)
            statistics.add(part, latents, sae.sae.decode(latents), content[start : start + CHUNK])
            windows.add(latents, np.where(content, place, -1)[start : start + CHUNK])
            where = latents.nonzero(as_tuple=True)
            weights = latents[where].float().cpu().numpy()
            token, concept = start + where[0].cpu().numpy(), where[1].cpu().numpy()
            majority.add(concept, ids[token].astype(np.int64), weights)
            in_text = content[token]
            active.append(Active(concept[in_text], own[token[in_text]], weights[in_text]))
    return active


class _Windows:
    """Running sums over windows of text: how often a latent is active in one, and its mean activation there."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.active = np.zeros(width)
        self.cas = np.zeros(width)

    def add(self, latents: torch.Tensor, place: np.ndarray) -> None:
        """Add tokens: latents of shape (tokens, width), and each token's window, below 0 for none."""
        import torch

        used = place >= 0
        _, window, sizes = np.unique(place[used], return_inverse=True, return_counts=True)
        sums = torch.zeros(len(sizes), latents.shape[1], dtype=torch.float32, device=latents.device)
        mask, index = torch.from_numpy(used).to(latents.device), torch.from_numpy(window).to(latents.device)
        sums.index_add_(0, index, latents[mask].float())
        means = sums / torch.from_numpy(sizes).to(sums)[:, None]
        self.count += len(sizes)
        self.active += (means > 0).sum(dim=0).cpu().numpy()
        self.cas += means.sum(dim=0, dtype=torch.float64).cpu().numpy()


def _reference(
    statistics: LatentStatistics,
    majority: MajorityToken,
    windows: _Windows,
    surface: dict[str, np.ndarray],
    lm: LanguageModel,
) -> Reference:
    own_tokens = max(1, statistics.tokens - statistics.template_tokens)
    token: list[str | None] = [None if t < 0 else str(lm.tokenizer.decode([int(t)])) for t in majority.token]
    return Reference(
        mean=statistics.mass / own_tokens,
        density=statistics.density,
        share=statistics.mass / max(statistics.mass.sum(), 1e-30),
        template_share=statistics.template_share,
        token_share=majority.share(),
        window_density=windows.active / max(1, windows.count),
        window_cas=typical_cas(windows.cas, windows.active),
        **surface,
        stability=np.full(len(token), np.nan),
        token=token,
    )
