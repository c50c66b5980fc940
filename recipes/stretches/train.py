"""Train an SAE on averages over stretches of text with SAELens' trainer: the embedded SAE, and Qwen's.

    python recipes/stretches/train.py recipes/stretches/train.yaml --out sae

Activations are read once and kept in shards under ``sae/activations`` (2 bytes times the model's width per average), so
that a stopped run goes on from its last shard and another SAE on the same texts starts at once; delete them afterwards.
The result is a folder for ``sae.folder`` of a run: weights, ``cfg.json``, ``reference.parquet`` and ``card.json``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from evaluate import measure
from safetensors.torch import load_file, save_file

from competency_gaps.items.config import ModelConfig, SAEConfig, as_dict, parse_config, read_yaml
from competency_gaps.items.config.load import Config
from competency_gaps.model.batches import plan_batches, token_budget_on
from competency_gaps.model.hooks import Hook, hook_width, read_hook, resolve_hook
from competency_gaps.model.load import LanguageModel, fast_bfloat16, load_model, versions
from competency_gaps.model.prompts import resolve_bos
from competency_gaps.sae.load import load_sae
from competency_gaps.sae.texts import TokenPiece, cut_pieces, read_documents
from competency_gaps.util.files import sha256, write_atomic, write_json
from competency_gaps.util.progress import Progress

SHARD_TOKENS = 65_536
NORM_BATCHES = 16


class Recipe(Config):
    """What an SAE of stretches is made of."""

    model: ModelConfig
    texts: list[Path]
    heldout: list[Path]
    heldout_tokens: int = 300_000
    hook_name: str
    average_over: int = 16
    """Tokens of a stretch; ``stride``: every how many tokens an average is kept, as neighbours are nearly the same."""
    stride: int = 2
    d_sae: int = 8192
    k: int = 48
    tokens: int = 5_000_000
    epochs: float = 1.0
    context: int = 256
    batch: int = 1024
    lr: float = 8e-4
    dead_after: int = 100_000
    """Averages of silence after which a latent gets the auxiliary loss."""
    save_dtype: str = "float16"
    seed: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    train(parse_config(Recipe, read_yaml(args.config, args.set), str(args.config)), args.out, Progress())


def train(recipe: Recipe, out: Path, progress: Progress) -> None:
    lm = load_model(recipe.model, progress=progress)
    hook = resolve_hook(lm.model, recipe.hook_name)
    bos_id = resolve_bos(lm.tokenizer, recipe.model.bos, sae_prepends=True)
    shards = read_stretches(recipe, lm, hook, bos_id, out / "activations", progress)
    size = sum(len(load_file(shard)["activations"]) for shard in shards)
    sae = fit(recipe, lm, hook, bos_id, shards, size, progress)
    save(sae, recipe, out)
    trained = load_sae(SAEConfig(folder=out, hook_name=recipe.hook_name), lm.device)
    pieces = cut_pieces(read_documents(recipe.heldout), lm.tokenizer, context=recipe.context, bos_id=bos_id)
    figures, reference = measure(lm, hook, trained, pieces, tokens=recipe.heldout_tokens, loss_tokens=30_000)
    reference.write(out / "reference.parquet")
    card = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "figures": {"trained_activations": size, **{f"heldout_{key}": value for key, value in figures.items()}},
        "training": as_dict(recipe),
        "model": lm.identity,
        "hook": asdict(hook),
        "versions": versions(),
    }
    write_json(out / "card.json", card)


def full_stretches(activations: torch.Tensor, over: int) -> torch.Tensor:
    """Average each whole stretch of a text once, each activation divided by its norm: (tokens - over + 1, width)."""
    if len(activations) < over:
        return activations[:0]
    unit = torch.nn.functional.normalize(activations.float(), dim=1)
    return torch.nn.functional.avg_pool1d(unit.T[None], over, stride=1)[0].T.to(activations.dtype)


def read_stretches(
    recipe: Recipe, lm: LanguageModel, hook: Hook, bos_id: int | None, folder: Path, progress: Progress
) -> list[Path]:
    """Shards of averages, each shuffled inside; existing ones of the same texts and model are kept."""
    keys = ("hook_name", "average_over", "stride", "context", "seed")
    identity = {key: getattr(recipe, key) for key in keys} | {
        "shard": min(SHARD_TOKENS, recipe.tokens),
        "texts": {path.name: sha256(path) for path in recipe.texts},
        "model": lm.identity["content_sha256"],
    }
    stamp = folder / "identity.json"
    if stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) != identity:
        raise SystemExit(f"{folder} holds activations of something else: choose another folder, or delete that one.")
    write_json(stamp, identity)
    pieces = cut_pieces(read_documents(recipe.texts), lm.tokenizer, context=recipe.context, bos_id=bos_id)
    shards = []
    with progress.stage("computing activations", total=recipe.tokens, unit="tokens") as bar:
        for number, group in enumerate(groups(pieces, recipe.tokens)):
            shard = folder / f"shard-{number:05d}.safetensors"
            if not shard.exists():
                write_shard(shard, lm, hook, group, recipe, seed=recipe.seed + number)
            shards.append(shard)
            bar.advance(sum(int(piece.in_body.sum()) for piece in group))
    return shards


def groups(pieces: Iterator[TokenPiece], tokens: int) -> Iterator[list[TokenPiece]]:
    """Whole shards until there are enough tokens, so that more tokens later only add shards."""
    group: list[TokenPiece] = []
    size = total = 0
    for piece in pieces:
        group.append(piece)
        size += int(piece.in_body.sum())
        if size >= min(SHARD_TOKENS, tokens):
            yield group
            total, group, size = total + size, [], 0
            if total >= tokens:
                return
    if group:
        yield group


def write_shard(shard: Path, lm: LanguageModel, hook: Hook, group: list[TokenPiece], recipe: Recipe, seed: int) -> None:
    kept = []
    for batch in plan_batches([len(piece.ids) for piece in group], token_budget_on(lm.device)):
        rows = read_hook(lm, hook, [group[i].ids for i in batch])
        for row, i in zip(rows, batch, strict=True):
            own = torch.from_numpy(group[i].in_body).to(row.device)
            stretches = full_stretches(row[: len(own)][own], recipe.average_over)
            kept.append(stretches[:: recipe.stride].to("cpu", torch.bfloat16))
    activations = torch.cat(kept)
    shuffle = torch.from_numpy(np.random.default_rng(seed).permutation(len(activations)))
    write_atomic(shard, lambda part: save_file({"activations": activations[shuffle].contiguous()}, part))


def batches(shards: list[Path], batch: int, seed: int) -> Iterator[torch.Tensor]:
    """Endless shuffled float32 batches; shards are mixed eight at a time, so that a batch is of many documents."""
    rng = np.random.default_rng(seed)
    rest: list[torch.Tensor] = []
    while True:
        order = rng.permutation(len(shards))
        for start in range(0, len(order), 8):
            pool = torch.cat([*rest, *(load_file(shards[i])["activations"] for i in order[start : start + 8])])
            pool = pool[torch.from_numpy(rng.permutation(len(pool)))]
            whole = len(pool) // batch * batch
            yield from (pool[first : first + batch].float() for first in range(0, whole, batch))
            rest = [pool[whole:]]


def fit(
    recipe: Recipe,
    lm: LanguageModel,
    hook: Hook,
    bos_id: int | None,
    shards: list[Path],
    size: int,
    progress: Progress,
) -> Any:
    import sae_lens
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.saes.sae import SAEMetadata
    from sae_lens.training.sae_trainer import SAETrainer

    steps = int(size * recipe.epochs) // recipe.batch
    if steps < 1:
        raise SystemExit(f"the texts give {size} averages, fewer than one batch of {recipe.batch}: give more texts.")
    torch.manual_seed(recipe.seed)
    metadata = SAEMetadata(
        model_name=recipe.model.name,
        hook_name=recipe.hook_name,
        hf_hook_name=None,
        prepend_bos=bos_id is not None,
        context_size=recipe.context,
        average_over=recipe.average_over,
    )
    config = sae_lens.BatchTopKTrainingSAEConfig(
        d_in=hook_width(lm, hook),
        d_sae=recipe.d_sae,
        k=float(recipe.k),
        device=str(lm.device),
        metadata=metadata,
        normalize_activations="expected_average_only_in",
    )
    sae = sae_lens.BatchTopKTrainingSAE(config)
    trainer_config = SAETrainerConfig(
        total_training_samples=steps * recipe.batch,
        train_batch_size_samples=recipe.batch,
        lr=recipe.lr,
        lr_end=0.0,
        lr_warm_up_steps=int(0.05 * steps),
        lr_decay_steps=int(0.3 * steps),
        device=str(lm.device),
        dead_feature_window=math.ceil(recipe.dead_after / recipe.batch),
        feature_sampling_window=steps,
        autocast=fast_bfloat16(str(lm.device)),
        n_checkpoints=0,
        logger=LoggingConfig(log_to_wandb=False),
    )
    with torch.enable_grad(), progress.stage("training", total=steps, unit="steps") as bar:

        def counted() -> Iterator[torch.Tensor]:
            for batch in batches(shards, recipe.batch, recipe.seed):
                bar.advance()
                yield batch

        trainer = SAETrainer(cfg=trainer_config, sae=sae, data_provider=counted())
        # Inputs get a mean norm of sqrt(width), and the decoder's bias starts at their mean, which leaves no latent to
        # spend on it: fewer latents die early.
        first = batches(shards, recipe.batch, recipe.seed + 1)
        sample = torch.cat([next(first) for _ in range(NORM_BATCHES)])
        scale = math.sqrt(sample.shape[1]) / sample.norm(dim=1).mean().item()
        trainer.activation_scaler.scaling_factor = scale
        with torch.no_grad():
            sae.b_dec.copy_(sample.mean(dim=0) * scale)
        trainer.fit()
    return sae


def save(sae: Any, recipe: Recipe, out: Path) -> None:
    weights, cfg = sae.save_inference_model(out)
    dtype = getattr(torch, recipe.save_dtype)
    tensors = {name: tensor.to(dtype) for name, tensor in load_file(weights).items()}
    write_atomic(Path(weights), lambda path: save_file(tensors, path))
    # float32 as the precision of computation, whatever the file's.
    settings = json.loads(Path(cfg).read_text())
    Path(cfg).write_text(json.dumps({**settings, "device": "cpu", "dtype": "float32"}, indent=1) + "\n")


if __name__ == "__main__":
    main()
