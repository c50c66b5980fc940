"""The card of a trained SAE: what it was made of, and how it does on held-out texts."""

from __future__ import annotations

import datetime
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from competency_gaps.config import SAEConfig, TrainingConfig, as_dict
from competency_gaps.errors import UserError
from competency_gaps.files import write_json
from competency_gaps.installation import versions
from competency_gaps.model.embed import embed_texts
from competency_gaps.model.hooks import Hook
from competency_gaps.model.load import LanguageModel
from competency_gaps.progress import Progress
from competency_gaps.sae.evaluate import Embed, evaluate_sae
from competency_gaps.sae.load import SparseAutoencoder, load_sae
from competency_gaps.sae.reference import FILE as REFERENCE_FILE
from competency_gaps.sae.training.activations import ActivationCache
from competency_gaps.sae.training.texts import cut_pieces, read_documents

log = logging.getLogger(__name__)
CARD = "card.json"
LOSS_TOKENS = 30_000
"""Held-out tokens on which the losses are measured, in three full passes."""
DEAD_TOKENS = 1_000_000
"""Training activations over which a dead latent is silent."""


def write_card(
    config: TrainingConfig,
    lm: LanguageModel,
    hook: Hook,
    bos_id: int | None,
    cache: ActivationCache,
    out: Path,
    progress: Progress,
    embed: Embed | None,
) -> None:
    """Measure the finished SAE on the held-out texts and write its card and its reference statistics."""
    sae = load_sae(SAEConfig(folder=out, hook_name=config.hook_name), lm.device)
    figures: dict[str, Any] = {
        "trained_tokens": cache.tokens,
        "trained_activations": cache.size,
        **dead_share(sae, cache, progress),
    }
    if config.heldout:
        pieces = cut_pieces(read_documents(config.heldout), lm.tokenizer, context=config.context, bos_id=bos_id)
        measured, reference = evaluate_sae(
            lm,
            hook,
            sae,
            pieces,
            tokens=config.heldout_tokens,
            loss_tokens=LOSS_TOKENS,
            embed=embed,
            progress=progress,
        )
        reference.write(out / REFERENCE_FILE)
        figures |= {f"heldout_{key}": value for key, value in asdict(measured).items()}
    content = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "figures": {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()},
        "training": as_dict(config),
        "model": lm.identity,
        "hook": {"name": hook.name, "path": hook.path, "layer": hook.layer},
        "versions": versions(),
    }
    write_json(out / CARD, content)


def embedder() -> Embed | None:
    """What embeds texts; None, with a warning: it, or its model, is missing."""
    try:
        embed_texts([])
    except UserError as error:
        log.warning("how coherent the latents are is not measured: %s", error)
        return None
    return embed_texts


def dead_share(sae: SparseAutoencoder, cache: ActivationCache, progress: Progress) -> dict[str, Any]:
    """Share of the latents that are silent over a million of the training activations (or all, if fewer)."""
    import torch

    fired = np.zeros(sae.d_sae, dtype=bool)
    seen, wanted = 0, min(DEAD_TOKENS, cache.size)
    with progress.stage("counting dead latents", total=wanted, unit="activations") as bar, torch.inference_mode():
        for rows in cache.in_order(4096):
            fired |= (sae.encode(rows[: wanted - seen]) > 0).any(dim=0).cpu().numpy()
            seen += len(rows[: wanted - seen])
            bar.advance(len(rows))
            if seen >= wanted:
                break
    return {"dead_tokens": seen, "dead_share": float(1 - fired.mean())}
