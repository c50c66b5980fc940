"""Measure an SAE on texts or on the prompts of benchmark files.

    python recipes/stretches/evaluate.py SAE --texts corpus/heldout.parquet
    python recipes/stretches/evaluate.py SAE --prompts BENCHMARKS     # a folder of JSONL files with a field "prompt"

Prompts are read plainly and, every second one, in the model's chat template. Prints one JSON document: L0, explained
variance, silent latents, and the share of the loss recovered: (ablated - reconstructed) / (ablated - untouched), where
what the SAE encodes of an activation is replaced by its reconstruction, or by zeros.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from competency_gaps.items.config import ModelConfig, SAEConfig
from competency_gaps.items.item import Message
from competency_gaps.model.embed import embed_texts
from competency_gaps.model.hooks import Hook, changed, resolve_hook
from competency_gaps.model.load import LanguageModel, load_model
from competency_gaps.model.prompts import resolve_bos
from competency_gaps.sae.load import LoadedPair, SparseAutoencoder, load_sae, local_mean
from competency_gaps.sae.measure import Embed, read_texts
from competency_gaps.sae.reference import Reference
from competency_gaps.sae.texts import TokenPiece, cut_pieces, first_tokens, read_documents
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sae")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--texts", type=Path, nargs="*", default=[])
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--tokens", type=int, default=150_000)
    parser.add_argument("--loss-tokens", type=int, default=30_000)
    args = parser.parse_args()
    lm = load_model(ModelConfig(name=args.model))
    sae = load_sae(SAEConfig(folder=args.sae), lm.device)
    documents = prompts(args.prompts) if args.prompts else read_documents(args.texts)
    bos_id = resolve_bos(lm.tokenizer, "auto", sae_prepends=sae.prepend_bos)
    pieces = cut_pieces(documents, lm.tokenizer, context=1024, bos_id=bos_id)
    hook = resolve_hook(lm.model, sae.hook_name)
    figures, _ = measure(lm, hook, sae, pieces, tokens=args.tokens, loss_tokens=args.loss_tokens)
    print(json.dumps(figures, indent=1))


def prompts(folder: Path) -> Iterator[str | list[Message]]:
    """Prompts of all files below a folder, shuffled."""
    shuffled: list[str] = []
    for path in sorted(folder.rglob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").split("\n")
        shuffled += [json.loads(line)["prompt"] for line in lines if line.strip()]
    random.Random(0).shuffle(shuffled)
    for index, prompt in enumerate(shuffled):
        yield prompt if index % 2 else [{"role": "user", "content": prompt}]


def measure(
    lm: LanguageModel,
    hook: Hook,
    sae: SparseAutoencoder,
    pieces: Iterable[TokenPiece],
    *,
    tokens: int,
    loss_tokens: int,
) -> tuple[dict[str, Any], Reference]:
    """Figures of an SAE on at most ``tokens`` tokens of texts, and its reference statistics."""
    chosen = list(first_tokens(pieces, tokens))
    pair = LoadedPair(lm, sae, hook, None)
    statistics, reference = read_texts(pair, chosen, tokens=tokens, embed=embedder(), progress=Progress(quiet=True))
    clean, rebuilt, zero = losses(lm, hook, sae, list(first_tokens(chosen, loss_tokens)))
    figures = {
        "tokens": statistics.tokens,
        "l0": statistics.l0,
        "explained_variance": statistics.explained_variance,
        "silent_share": float((statistics.active == 0).mean()),
        "loss": clean,
        "loss_reconstructed": rebuilt,
        "loss_ablated": zero,
        "loss_recovered": (zero - rebuilt) / (zero - clean),
    }
    return figures, reference


def embedder() -> Embed | None:
    """What embeds texts, by which coherence is measured; None where it is not installed."""
    try:
        embed_texts([])
    except UserError:
        return None
    return embed_texts


def losses(lm: LanguageModel, hook: Hook, sae: SparseAutoencoder, pieces: list[TokenPiece]) -> list[float]:
    """Mean next-token loss untouched, through the SAE, and without what it encodes, text by text."""
    totals, count = np.zeros(3), 0
    for piece in pieces:
        ids = torch.from_numpy(piece.ids.astype(np.int64)).to(lm.device)[None]
        encoded = torch.from_numpy(sae.encoded(piece)).to(lm.device)
        for i, zero in enumerate((None, False, True)):
            totals[i] += loss_sum(lm, hook, ids, partial(_replaced, sae, encoded, zero))
        count += ids.shape[1] - 1
    return (totals / count).tolist()


def _replaced(sae: SparseAutoencoder, encoded: torch.Tensor, zero: bool | None, value: torch.Tensor) -> torch.Tensor:
    """Activations of one text of shape (1, tokens, width), with what the SAE encodes of them replaced.

    An SAE of averages encodes only what neighbouring tokens have in common: the average of their directions, at each
    token's own norm. The rest of the activation stays.
    """
    if zero is None:
        return value
    own = value[0, encoded].to(sae.sae.device, sae.sae.dtype)
    mean = local_mean(own, sae.average_over)
    new = torch.zeros_like(mean) if zero else sae.sae.decode(sae.encode(mean))
    scale = own.norm(dim=1, keepdim=True) if sae.average_over > 1 else 1
    out = value.clone()
    out[0, encoded] = (own + scale * (new - mean)).to(value.device, value.dtype)
    return out


def loss_sum(lm: LanguageModel, hook: Hook, ids: torch.Tensor, change: Callable[[torch.Tensor], torch.Tensor]) -> float:
    with torch.inference_mode(), changed(lm.model, hook, change):
        logits = lm.model(input_ids=ids, use_cache=False).logits[0, :-1].float()
    return float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))


if __name__ == "__main__":
    main()
