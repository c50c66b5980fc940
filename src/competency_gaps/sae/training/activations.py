"""Cache activations for training in shards on disk.

Running the model costs several times as much as a training step, so activations are kept: an interrupted run resumes at
its last shard, and another SAE can be trained on them at once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.config import TrainingConfig, as_dict
from competency_gaps.errors import UserError
from competency_gaps.files import sha256, write_atomic, write_json
from competency_gaps.model.batches import plan_batches, token_budget_on
from competency_gaps.model.forward import read_hook
from competency_gaps.model.hooks import Hook
from competency_gaps.model.load import LanguageModel
from competency_gaps.progress import Progress
from competency_gaps.sae.averaging import full_stretches
from competency_gaps.sae.training.texts import TokenPiece, cut_pieces, read_documents

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
SHARD_TOKENS = 65_536
IDENTITY_FILE = "identity.json"
"""What the activations in a folder are of."""


@dataclass(frozen=True)
class ActivationCache:
    """Shards of what is trained on, each of shape (activations, width), shuffled inside."""

    shards: list[Path]
    tokens: int
    """Tokens that were read for them."""
    size: int
    """Activations in all shards."""

    def batches(self, batch: int, *, seed: int) -> Iterator[torch.Tensor]:
        """Endless shuffled float32 batches of shape (batch, width).

        Shards are mixed eight at a time, so that one batch holds tokens of many documents.
        """
        import torch
        from safetensors.torch import load_file

        rng = np.random.default_rng(seed)
        rest: list[torch.Tensor] = []
        while True:
            order = rng.permutation(len(self.shards))
            for start in range(0, len(order), 8):
                shards = [load_file(self.shards[i])["activations"] for i in order[start : start + 8]]
                pool = torch.cat([*rest, *shards])
                pool = pool[torch.from_numpy(rng.permutation(len(pool)))]
                whole = len(pool) // batch * batch
                yield from (pool[first : first + batch].float() for first in range(0, whole, batch))
                rest = [pool[whole:]]

    def in_order(self, batch: int) -> Iterator[torch.Tensor]:
        """All activations once, as float32 of shape (at most batch, width)."""
        from safetensors.torch import load_file

        for shard in self.shards:
            yield from (rows.float() for rows in load_file(shard)["activations"].split(batch))


def cache_activations(
    config: TrainingConfig, lm: LanguageModel, hook: Hook, bos_id: int | None, folder: Path, progress: Progress
) -> ActivationCache:
    """Compute the activations of the configured texts, shard by shard.

    Existing shards are kept.

    Raises
    ------
    UserError
        If a file of texts is missing, or the folder holds activations of other texts, another model or hook.
    """
    identity = _identity(config, lm)
    stamp = folder / IDENTITY_FILE
    if stamp.is_file():
        known = json.loads(stamp.read_text(encoding="utf-8"))
        differing = [key for key in identity if known.get(key) != identity[key]]
        if differing:
            raise UserError(
                f"{str(folder)!r} holds activations that differ in {', '.join(differing)}. They took long to "
                f"compute and are not overwritten: choose another folder, or delete that folder."
            )
    write_json(stamp, identity)
    documents = read_documents(config.texts)
    pieces = cut_pieces(documents, lm.tokenizer, context=config.context, bos_id=bos_id)
    template_share = config.template_share if config.average_over == 1 else 0.0
    chosen = choose_tokens(pieces, template_share=template_share, seed=config.seed)
    shards: list[Path] = []
    total = kept = 0
    with progress.stage("computing activations", total=config.tokens, unit="tokens") as bar:
        for number, group in enumerate(_groups(chosen, config.tokens)):
            path = folder / f"shard-{number:05d}.safetensors"
            sizes = [int(keep.sum()) for _, keep in group]
            if not path.exists():
                _write_shard(path, lm, hook, group, config, seed=config.seed + number, advance=bar.advance)
            else:
                bar.skip(sum(sizes))
            shards.append(path)
            total += sum(sizes)
            kept += sum(max(0, -(-(size - config.average_over + 1) // config.stride)) for size in sizes)
    if total < config.tokens:
        log.warning("the texts hold only %d of the %d tokens that the configuration asks for", total, config.tokens)
    return ActivationCache(shards, total, kept)


def choose_tokens(
    pieces: Iterator[TokenPiece], *, template_share: float, seed: int
) -> Iterator[tuple[TokenPiece, np.ndarray]]:
    """Choose each piece's tokens: those of its text, and in a share of the documents those of the chat template."""
    for piece in pieces:
        with_template = np.random.default_rng((seed, piece.document)).random() < template_share
        yield piece, (~piece.bos if with_template else piece.content)


def _groups(
    chosen: Iterator[tuple[TokenPiece, np.ndarray]], tokens: int
) -> Iterator[list[tuple[TokenPiece, np.ndarray]]]:
    """Whole shards until there are enough tokens, so that more tokens later only add shards."""
    group: list[tuple[TokenPiece, np.ndarray]] = []
    size = total = 0
    for piece, keep in chosen:
        group.append((piece, keep))
        size += int(keep.sum())
        if size >= _shard_tokens(tokens):
            yield group
            total += size
            group, size = [], 0
            if total >= tokens:
                return
    if group:
        yield group


def _shard_tokens(tokens: int) -> int:
    return min(SHARD_TOKENS, tokens)


def _write_shard(
    path: Path,
    lm: LanguageModel,
    hook: Hook,
    group: list[tuple[TokenPiece, np.ndarray]],
    config: TrainingConfig,
    *,
    seed: int,
    advance: Callable[[float], None],
) -> None:
    import torch
    from safetensors.torch import save_file

    chosen: list[torch.Tensor] = []
    for batch in plan_batches([len(piece.ids) for piece, _ in group], token_budget_on(lm.device)):
        pieces = [group[i] for i in batch]
        rows = read_hook(lm, hook, [piece.ids for piece, _ in pieces])
        for row, (_, keep) in zip(rows, pieces, strict=True):
            own = full_stretches(row[: len(keep)][torch.from_numpy(keep)], config.average_over)
            chosen.append(own[:: config.stride].to("cpu", torch.bfloat16))
        advance(sum(int(keep.sum()) for _, keep in pieces))
    activations = torch.cat(chosen)
    shuffle = torch.from_numpy(np.random.default_rng(seed).permutation(len(activations)))
    write_atomic(path, lambda part: save_file({"activations": activations[shuffle].contiguous()}, part))


def _identity(config: TrainingConfig, lm: LanguageModel) -> dict[str, object]:
    parts = as_dict(config)
    keys = ("hook_name", "average_over", "stride", "context", "template_share", "seed")
    for path in (*config.texts, *config.heldout):
        if not path.is_file():
            raise UserError(f"texts {str(path)!r}: there is no such file (looked from {Path.cwd()}).")
    texts = {path.name: sha256(path) for path in config.texts}
    model = lm.identity["content_sha256"]
    return {**{key: parts[key] for key in keys}, "shard": _shard_tokens(config.tokens), "texts": texts, "model": model}
