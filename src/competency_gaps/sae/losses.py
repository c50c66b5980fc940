"""The model's loss on texts: untouched, with an SAE's reconstruction, and without what the SAE encodes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.model.batches import pad, plan_batches, token_budget_on
from competency_gaps.model.hooks import Hook, replaced
from competency_gaps.model.load import LanguageModel
from competency_gaps.progress import Progress
from competency_gaps.sae.averaging import local_mean
from competency_gaps.sae.load import SparseAutoencoder
from competency_gaps.sae.training.texts import TokenPiece

if TYPE_CHECKING:
    import torch


def measure_losses(
    lm: LanguageModel, hook: Hook, sae: SparseAutoencoder, pieces: list[TokenPiece], progress: Progress
) -> tuple[list[float], int]:
    """Mean next-token loss untouched, through the SAE, and without what it encodes; first tokens are never replaced."""
    import torch

    totals, count = np.zeros(3), 0
    with progress.stage("measuring losses", total=sum(len(p.ids) for p in pieces), unit="tokens") as bar:
        for batch in plan_batches([len(p.ids) for p in pieces], token_budget_on(lm.device)):
            rows = [pieces[i] for i in batch]
            ids = torch.from_numpy(pad([p.ids for p in rows], lm.pad_id)).to(lm.device)
            real = torch.from_numpy(pad([np.ones(len(p.ids), np.int32) for p in rows], 0)).bool().to(lm.device)
            changed = torch.from_numpy(pad([sae.encoded(p).astype(np.int32) for p in rows], 0)).bool().to(lm.device)
            lengths = changed.sum(dim=1).tolist()
            rebuilt = functools.partial(_with_encoded, sae, lengths, zero=False)
            ablated = functools.partial(_with_encoded, sae, lengths, zero=True)
            for i, change in enumerate((None, rebuilt, ablated)):
                totals[i] += _loss_sum(lm, hook, ids, real, changed, change)
            count += int(real[:, 1:].sum())
            bar.advance(sum(len(p.ids) for p in rows))
    return (totals / count).tolist(), count


def _with_encoded(sae: SparseAutoencoder, lengths: list[int], x: torch.Tensor, *, zero: bool) -> torch.Tensor:
    """Replace in activations what the SAE encodes of them by its reconstruction, or by zeros.

    An SAE of averages encodes only what neighbouring tokens have in common: the average of their directions, at each
    token's own norm. The rest of the activation stays.

    Parameters
    ----------
    lengths
        Tokens of each text, which follow each other in ``x``.
    """
    import torch

    parts = []
    for part in x.split(lengths):
        own = part.to(sae.sae.device, sae.sae.dtype)
        encoded = local_mean(own, sae.average_over)
        new = torch.zeros_like(encoded) if zero else sae.sae.decode(sae.encode(encoded))
        scale = own.norm(dim=1, keepdim=True) if sae.average_over > 1 else 1
        parts.append((own + scale * (new - encoded)).to(x.device, x.dtype))
    return torch.cat(parts)


def _loss_sum(
    lm: LanguageModel,
    hook: Hook,
    ids: torch.Tensor,
    real: torch.Tensor,
    changed: torch.Tensor,
    change: Callable[[torch.Tensor], torch.Tensor] | None,
) -> float:
    import torch

    with torch.inference_mode(), replaced(lm.model, hook, changed, change):
        logits = lm.model(input_ids=ids, use_cache=False).logits[:, :-1]
        steps = logits[real[:, 1:]].float()
        return float(torch.nn.functional.cross_entropy(steps, ids[:, 1:][real[:, 1:]], reduction="sum"))
