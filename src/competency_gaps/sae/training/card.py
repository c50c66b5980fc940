"""The card of a pack: the SAE's training and its quality."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np

from competency_gaps.config import SAEConfig, TrainingConfig, as_dict
from competency_gaps.errors import UserError
from competency_gaps.files import write_json
from competency_gaps.installation import versions
from competency_gaps.model.hooks import Hook
from competency_gaps.model.load import LanguageModel
from competency_gaps.progress import Progress
from competency_gaps.sae.evaluate import evaluate_sae
from competency_gaps.sae.load import SparseAutoencoder, load_sae
from competency_gaps.sae.reference import FILE as REFERENCE_FILE
from competency_gaps.sae.training.activations import ActivationCache
from competency_gaps.sae.training.texts import cut_pieces, read_documents

FILE = "card.json"
LOSS_TOKENS = 30_000
DEAD_TOKENS = 1_000_000


def write_card(
    config: TrainingConfig,
    lm: LanguageModel,
    hook: Hook,
    bos_id: int | None,
    cache: ActivationCache,
    out: Path,
    progress: Progress,
) -> None:
    """Measure the finished SAE on the held-out texts and write its card and its reference statistics."""
    sae = load_sae(SAEConfig(folder=out, hook_name=config.hook_name), lm.device)
    figures: dict[str, Any] = {"trained_tokens": cache.tokens, **dead_share(sae, cache, progress)}
    if config.heldout:
        pieces = cut_pieces(read_documents(config.heldout), lm.tokenizer, context=config.context, bos_id=bos_id)
        measured, reference = evaluate_sae(
            lm,
            hook,
            sae,
            pieces,
            tokens=config.heldout_tokens,
            loss_tokens=LOSS_TOKENS,
            progress=progress,
            name="reading held-out texts",
        )
        reference.write(out / REFERENCE_FILE)
        figures |= {f"heldout_{key}": value for key, value in measured.as_dict().items()}
    content = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "figures": {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()},
        "training": as_dict(config),
        "model": lm.identity,
        "hook": {"name": hook.name, "path": hook.path, "layer": hook.layer},
        "versions": versions(),
    }
    write_json(out / FILE, content)


def dead_share(sae: SparseAutoencoder, cache: ActivationCache, progress: Progress) -> dict[str, Any]:
    """Share of the latents that are silent over a million of the training activations (or all, if fewer)."""
    import torch

    fired = np.zeros(sae.d_sae, dtype=bool)
    seen, wanted = 0, min(DEAD_TOKENS, cache.tokens)
    with progress.stage("counting dead latents", total=wanted, unit="tokens") as bar, torch.inference_mode():
        for rows in cache.in_order(4096):
            fired |= (sae.encode(rows[: wanted - seen]) > 0).any(dim=0).cpu().numpy()
            seen += len(rows[: wanted - seen])
            bar.advance(len(rows))
            if seen >= wanted:
                break
    return {"dead_tokens": seen, "dead_share": float(1 - fired.mean())}


def read_card(folder: Path) -> dict[str, Any]:
    """Read a pack's card.

    Raises
    ------
    UserError
        If the folder has none.
    """
    path = folder / FILE
    if not path.is_file():
        raise UserError(f"{str(folder)!r} has no {FILE}: expected a folder made by 'cgaps train-sae'.")
    return dict(json.loads(path.read_text(encoding="utf-8")))
