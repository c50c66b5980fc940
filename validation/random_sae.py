"""Make an SAE that knows nothing, of the same shape as a trained one: the baseline for whatever an SAE seems to show.

    python validation/random_sae.py SAE TEXTS.parquet --kind random|permuted --out FOLDER

random    encoder directions from a normal distribution, as long as the trained ones
permuted  each trained direction with its weights in another order

Each latent's threshold lets it fire as often on TEXTS as the trained latent does, and its decoder direction is its
encoder direction. The folder holds base rates too; it is read by ``cgaps run --set sae.folder=FOLDER --set
sae.force=true``, as the gate rightly refuses it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from competency_gaps.items.config import ModelConfig, SAEConfig
from competency_gaps.model.batches import plan_batches, token_budget_on
from competency_gaps.model.embed import embed_texts
from competency_gaps.model.hooks import read_hook, resolve_hook
from competency_gaps.model.load import load_model
from competency_gaps.model.prompts import resolve_bos
from competency_gaps.sae.load import LoadedPair, load_sae, local_mean, sae_folder
from competency_gaps.sae.measure import read_texts
from competency_gaps.sae.texts import cut_pieces, first_tokens, read_documents
from competency_gaps.util.progress import Progress

LATENTS_AT_ONCE = 256
REFERENCE_TOKENS = 30_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sae")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--kind", choices=("random", "permuted"), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--tokens", type=int, default=60_000)
    args = parser.parse_args()
    lm = load_model(ModelConfig(name=args.model))
    config = SAEConfig(folder=args.sae)
    trained = load_sae(config, lm.device)
    hook = resolve_hook(lm.model, trained.hook_name)
    bos_id = resolve_bos(lm.tokenizer, "auto", sae_prepends=trained.prepend_bos)
    pieces = list(
        first_tokens(cut_pieces(read_documents([args.texts]), lm.tokenizer, context=256, bos_id=bos_id), args.tokens)
    )
    rows = []
    for batch in plan_batches([len(piece.ids) for piece in pieces], token_budget_on(lm.device)):
        for i, activations in zip(batch, read_hook(lm, hook, [pieces[i].ids for i in batch]), strict=True):
            encoded = torch.from_numpy(trained.encoded(pieces[i])).to(activations.device)
            rows.append(local_mean(activations[: len(encoded)][encoded].float(), trained.average_over).cpu())
    folder = sae_folder(config)
    assert folder is not None, "expected an SAE in a folder"
    weights = {name: value.float() for name, value in load_file(folder / "sae_weights.safetensors").items()}
    baseline = baseline_of(weights, torch.cat(rows), args.kind)
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(baseline, args.out / "sae_weights.safetensors")
    (args.out / "cfg.json").write_text((folder / "cfg.json").read_text())
    made = LoadedPair(lm, load_sae(SAEConfig(folder=args.out), lm.device), hook, None)
    quiet = Progress(quiet=True)
    statistics, reference = read_texts(made, pieces, tokens=REFERENCE_TOKENS, embed=embed_texts, progress=quiet)
    reference.write(args.out / "reference.parquet")
    print(f"L0 {statistics.l0:.1f}, explained variance {statistics.explained_variance:.3f}")


def baseline_of(weights: dict[str, torch.Tensor], activations: torch.Tensor, kind: str) -> dict[str, torch.Tensor]:
    """Weights of a JumpReLU SAE whose latents fire as often on the activations (T, d_in) as the trained ones do."""
    rng = np.random.default_rng(0)
    encoder = weights["W_enc"].numpy()
    if kind == "random":
        made = rng.normal(size=encoder.shape)
        made *= np.linalg.norm(encoder, axis=0) / np.linalg.norm(made, axis=0)
    else:
        made = rng.permuted(encoder, axis=0)
    directions = torch.from_numpy(made.astype(np.float32))
    centred = activations - weights["b_dec"]
    thresholds = torch.empty(encoder.shape[1])
    for first in range(0, len(thresholds), LATENTS_AT_ONCE):
        part = slice(first, first + LATENTS_AT_ONCE)
        hidden = centred @ weights["W_enc"][:, part] + weights["b_enc"][part]
        fires = (hidden > weights["threshold"][part].clamp(min=0)).sum(dim=0)
        ordered = (centred @ directions[:, part]).sort(dim=0, descending=True).values
        thresholds[part] = ordered[fires.clamp(max=len(ordered) - 1), torch.arange(ordered.shape[1])]
    return {
        "W_enc": directions,
        "b_enc": torch.zeros(len(thresholds)),
        "threshold": thresholds.clamp(min=1e-6),
        "W_dec": (directions / directions.norm(dim=0)).T.contiguous(),
        "b_dec": weights["b_dec"],
    }


if __name__ == "__main__":
    main()
