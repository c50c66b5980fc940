"""Train an SAE on the activations of texts with SAELens' trainer, and measure it on other texts."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from competency_gaps.items.config import SAEConfig, TrainingConfig, as_dict
from competency_gaps.model.batches import plan_batches, token_budget_on
from competency_gaps.model.hooks import Hook, hook_width, read_hook, resolve_hook
from competency_gaps.model.load import LanguageModel, load_model, versions
from competency_gaps.model.prompts import resolve_bos
from competency_gaps.sae.load import LoadedPair, load_sae
from competency_gaps.sae.measure import embedder, read_texts
from competency_gaps.sae.reference import FILE as REFERENCE_FILE
from competency_gaps.sae.texts import TokenPiece, cut_pieces, read_documents
from competency_gaps.util.errors import UserError, needed
from competency_gaps.util.files import write_json
from competency_gaps.util.progress import Progress

if TYPE_CHECKING:
    import torch
    from sae_lens import TrainingSAE

CARD = "card.json"
MIXED_BATCHES = 32
"""Number of batches among which activations are shuffled, so that one batch has tokens of many documents."""
PIECES_PER_READ = 64
"""Number of pieces of texts that are sorted into batches of similar length."""
NORM_BATCHES = 16
"""Number of batches over which SAELens measures the mean norm to which inputs are scaled."""


def train_sae(config: TrainingConfig, out: Path, progress: Progress) -> Path:
    """Train an SAE, write it into a folder, and return the folder.

    The files are ``cfg.json``, ``sae_weights.safetensors``, ``card.json`` and, with ``heldout``, ``reference.parquet``.

    Returns
    -------
    Path
        The folder, which ``sae.folder`` of a run's configuration takes.

    Raises
    ------
    MissingExtraError
        If sae-lens is not installed.
    UserError
        If the model, its hook or the texts cannot be read, or SAELens refuses a setting.
    """
    with needed("sae-lens", "run", "Training an SAE"):
        from sae_lens.training.sae_trainer import SAETrainer
    import torch

    missing = [str(path) for path in (*config.texts, *config.heldout) if not path.is_file()]
    if missing:
        raise UserError(f"texts {missing[0]!r}: there is no such file (looked from {Path.cwd()}).")
    with progress.stage("loading the model"):
        lm = load_model(config.model, progress=progress)
    hook = resolve_hook(lm.model, config.hook_name)
    bos_id = resolve_bos(lm.tokenizer, config.model.bos, sae_prepends=True)
    progress.say(f"{config.model.name}: {hook.path}, {lm.identity['dtype']}")
    torch.manual_seed(config.seed)
    sae, settings = _new_sae(config, hook_width(lm, hook), str(lm.device), bos_id is not None)
    with torch.enable_grad(), progress.stage("training", total=config.tokens, unit="tokens") as bar:

        def batches() -> Iterator[torch.Tensor]:
            for batch in activation_batches(lm, hook, bos_id, config):
                bar.advance(len(batch))
                yield batch

        SAETrainer(cfg=settings, sae=sae, data_provider=batches()).fit()
    out.mkdir(parents=True, exist_ok=True)
    sae.save_inference_model(out)
    figures: dict[str, Any] = {"trained_tokens": config.tokens}
    if config.heldout:
        trained = LoadedPair(lm, load_sae(SAEConfig(folder=out, hook_name=config.hook_name), lm.device), hook, bos_id)
        heldout = cut_pieces(read_documents(config.heldout), lm.tokenizer, context=config.context, bos_id=bos_id)
        tokens, embed = config.heldout_tokens, embedder(progress)
        measured, statistics = read_texts(trained, heldout, tokens=tokens, embed=embed, progress=progress)
        statistics.write(out / REFERENCE_FILE)
        figures |= {
            "heldout_tokens": measured.tokens,
            "heldout_l0": measured.l0,
            "heldout_explained_variance": measured.explained_variance,
            "heldout_silent_share": float((measured.active == 0).mean()),
        }
    content = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "figures": {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()},
        "training": as_dict(config),
        "model": lm.identity,
        "hook": {"name": hook.name, "path": hook.path, "layer": hook.layer},
        "versions": versions(),
    }
    write_json(out / CARD, content)
    return out


def _new_sae(config: TrainingConfig, width: int, device: str, prepend_bos: bool) -> tuple[TrainingSAE[Any], Any]:
    """Return an untrained SAE, and the trainer's settings."""
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.registry import get_sae_training_class
    from sae_lens.saes.sae import SAEMetadata

    metadata = SAEMetadata(
        model_name=config.model.name,
        hook_name=config.hook_name,
        hf_hook_name=None,
        prepend_bos=prepend_bos,
        context_size=config.context,
    )
    common = {"d_in": width, "d_sae": config.d_sae, "device": device, "metadata": metadata}
    steps = config.tokens // config.batch
    trainer = {
        "lr": config.lr,
        "lr_end": 0.0,
        "lr_warm_up_steps": steps // 20,
        "lr_decay_steps": steps // 3,
        "dead_feature_window": max(1, 100_000 // config.batch),
        "n_batches_for_norm_estimate": NORM_BATCHES,
        **config.trainer,
    }
    try:
        kind, settings = get_sae_training_class(config.architecture)
        sae = kind(settings(**{"normalize_activations": "expected_average_only_in", **common, **config.sae}))
        trainer_config = SAETrainerConfig(
            total_training_samples=max(1, steps) * config.batch,
            train_batch_size_samples=config.batch,
            device=device,
            n_checkpoints=0,
            feature_sampling_window=max(1, steps),
            logger=LoggingConfig(log_to_wandb=False),
            **trainer,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"SAELens rejects these settings of {config.architecture!r}: {error}") from error
    return sae, trainer_config


def activation_batches(
    lm: LanguageModel, hook: Hook, bos_id: int | None, config: TrainingConfig
) -> Iterator[torch.Tensor]:
    """Yield shuffled batches of the texts' activations, without end: float32 of shape (batch, width).

    Texts are read again when they end; a share of the chat documents includes the template's tokens.
    """
    from sae_lens.training.mixing_buffer import mixing_buffer

    def read() -> Iterator[torch.Tensor]:
        while True:
            documents = read_documents(config.texts)
            pieces = cut_pieces(documents, lm.tokenizer, context=config.context, bos_id=bos_id)
            first = next(pieces, None)
            if first is None:
                raise UserError("the files contain no text to train on: give files with text in them.")
            yield from _activations(lm, hook, itertools.chain([first], pieces), config)

    yield from mixing_buffer(MIXED_BATCHES * config.batch, config.batch, read())


def _activations(
    lm: LanguageModel, hook: Hook, pieces: Iterator[TokenPiece], config: TrainingConfig
) -> Iterator[torch.Tensor]:
    """Yield the activations of each piece's tokens that are trained on, of shape (tokens, width)."""
    import torch

    while waiting := list(itertools.islice(pieces, PIECES_PER_READ)):
        for batch in plan_batches([len(piece.ids) for piece in waiting], token_budget_on(lm.device)):
            rows = read_hook(lm, hook, [waiting[i].ids for i in batch])
            for row, i in zip(rows, batch, strict=True):
                piece = waiting[i]
                with_template = np.random.default_rng((config.seed, piece.document)).random() < config.template_share
                chosen = ~piece.bos if with_template else piece.in_body
                # Indexing copies out of inference mode, so that gradients can be taken.
                yield row[: len(chosen)][torch.from_numpy(chosen).to(row.device)].float()
