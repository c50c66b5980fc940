"""Train an SAE on cached activations, and write its pack: weights, reference statistics and card."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competency_gaps.config import TrainingConfig, as_dict
from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.files import write_atomic, write_json
from competency_gaps.installation import versions
from competency_gaps.lock import hold
from competency_gaps.model.forward import hook_width
from competency_gaps.model.hooks import resolve_hook
from competency_gaps.model.load import load_model
from competency_gaps.model.prompts import resolve_bos
from competency_gaps.model.speed import fast_bfloat16
from competency_gaps.progress import Bar, Progress
from competency_gaps.sae.training.activations import IDENTITY_FILE, ActivationCache, cache_activations
from competency_gaps.sae.training.card import embedder, write_card
from competency_gaps.sae.training.checkpoint import FILE as CHECKPOINT_FILE
from competency_gaps.sae.training.checkpoint import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    import torch
    from sae_lens import TrainingSAE

NORM_BATCHES = 16
TRAINING_FILE = "training.json"
SAVE_SECONDS = 60.0


def train_sae(config: TrainingConfig, out: Path, progress: Progress) -> Path:
    """Train an SAE and write its pack: ``cfg.json``, ``sae_weights.safetensors``, ``reference.parquet``, ``card.json``.

    Activations are kept under ``out/activations``: a killed training resumes from them, and another
    configuration of the SAE reuses them. They may be deleted afterwards. The state of the training itself is kept once
    a minute; one that was killed goes on from there.

    Returns
    -------
    Path
        The folder, which ``sae.folder`` of a run's configuration takes.

    Raises
    ------
    MissingExtraError
        If sae-lens is not installed.
    UserError
        If the model, its hook or the texts cannot be read, the folder holds activations of other texts, there are
        fewer than one batch of them, or another process trains in the folder.
    """
    try:
        import sae_lens  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("sae-lens", "run", "Training an SAE") from error
    with hold(out):
        return _train(config, out, progress)


def _train(config: TrainingConfig, out: Path, progress: Progress) -> Path:
    embed = embedder() if config.heldout else None
    with progress.stage("loading the model"):
        lm = load_model(config.model, progress=progress)
    hook = resolve_hook(lm.model, config.hook_name)
    bos_id = resolve_bos(lm.tokenizer, config.model.bos, sae_prepends=True)
    width = hook_width(lm, hook)
    progress.say(f"{config.model.name}: {hook.path} ({width} wide), {lm.identity['dtype']}")
    cache = cache_activations(config, lm, hook, bos_id, out / "activations", progress)
    if cache.size < config.batch:
        raise UserError(
            f"the texts give {cache.size} activations to train on, fewer than one batch of {config.batch}: "
            f"give more texts, or a smaller 'batch'."
        )
    if _is_trained(config, out):
        progress.say(f"{out} holds this SAE, trained: only its card and reference statistics are made again")
    else:
        _save(_fit(config, width, lm.device, bos_id is not None, cache, out, progress), config, out)
    write_card(config, lm, hook, bos_id, cache, out, progress, embed)
    return out


def _is_trained(config: TrainingConfig, out: Path) -> bool:
    """Whether the folder holds the weights of this training; held-out texts, which only the card reads, may differ."""
    record = out / TRAINING_FILE  # written after the weights
    if not record.is_file():
        return False
    known = json.loads(record.read_text(encoding="utf-8"))
    free = ("heldout", "heldout_tokens")
    return {**known, **dict.fromkeys(free)} == {**as_dict(config), **dict.fromkeys(free)}


def _fit(
    config: TrainingConfig,
    width: int,
    device: torch.device,
    prepend_bos: bool,
    cache: ActivationCache,
    out: Path,
    progress: Progress,
) -> TrainingSAE[Any]:
    import torch
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    torch.manual_seed(config.seed)
    total = int(cache.size * config.epochs) // config.batch * config.batch
    steps = total // config.batch
    trainer_config = SAETrainerConfig(
        total_training_samples=total,
        train_batch_size_samples=config.batch,
        lr=config.lr,
        lr_end=0.0,
        lr_warm_up_steps=int(config.warm_up * steps),
        lr_decay_steps=int(config.decay * steps),
        device=str(device),
        dead_feature_window=math.ceil(config.dead_after / config.batch),
        feature_sampling_window=max(1, steps),
        autocast=config.autocast and fast_bfloat16(str(device)),
        n_checkpoints=0,
        logger=LoggingConfig(log_to_wandb=False),
    )
    sae = _new_sae(config, width, device, prepend_bos, steps)
    trainer = SAETrainer(cfg=trainer_config, sae=sae, data_provider=iter(()))
    with torch.enable_grad(), progress.stage("training", total=total, unit="activations") as bar:
        _centre(trainer, sae, cache, config)
        made_of = _made_of(config, cache, trainer_config.autocast)
        if load_checkpoint(trainer, made_of, out):
            bar.skip(trainer.n_training_samples)
        elif (out / CHECKPOINT_FILE).is_file():
            progress.say(f"{out / CHECKPOINT_FILE} is of another training: this one begins anew")
        trainer.data_provider = _batches(trainer, cache, config, made_of, out, bar)
        trainer.fit()
    return sae


def _made_of(config: TrainingConfig, cache: ActivationCache, autocast: bool) -> dict[str, Any]:
    """What a training's state belongs to: its settings, activations, precision and libraries; not held-out texts."""
    settings = {key: value for key, value in as_dict(config).items() if not key.startswith("heldout")}
    identity = json.loads((cache.shards[0].parent / IDENTITY_FILE).read_text(encoding="utf-8"))
    libraries = {name: versions()[name] for name in ("torch", "sae-lens")}
    return {**settings, "activations": identity, "size": cache.size, "autocast": autocast, **libraries}


def _batches(
    trainer: Any, cache: ActivationCache, config: TrainingConfig, made_of: dict[str, Any], out: Path, bar: Bar
) -> Iterator[torch.Tensor]:
    """The batches that are still to be trained on; between two of them the trainer's state is saved now and then."""
    saved = time.monotonic()
    batches = cache.batches(config.batch, seed=config.seed)
    for batch in itertools.islice(batches, trainer.n_training_steps, None):
        if time.monotonic() - saved > SAVE_SECONDS:
            save_checkpoint(trainer, made_of, out)
            saved = time.monotonic()
        bar.advance(len(batch))
        yield batch


def _centre(trainer: Any, sae: Any, cache: ActivationCache, config: TrainingConfig) -> None:
    """Scale inputs to a mean norm of sqrt(width) and start the decoder's bias at their mean.

    Starting at the mean leaves no latent to spend on it: fewer latents die early.
    """
    import torch

    batches = cache.batches(config.batch, seed=config.seed + 1)
    sample = torch.cat([next(batches) for _ in range(NORM_BATCHES)])
    scale = math.sqrt(sample.shape[1]) / sample.norm(dim=1).mean().item()
    trainer.activation_scaler.scaling_factor = scale
    with torch.no_grad():
        sae.b_dec.copy_(sample.mean(dim=0) * scale)


def _new_sae(
    config: TrainingConfig, width: int, device: torch.device, prepend_bos: bool, steps: int
) -> TrainingSAE[Any]:
    import sae_lens
    from sae_lens.saes.sae import SAEMetadata

    metadata = SAEMetadata(
        model_name=config.model.name,
        hook_name=config.hook_name,
        hf_hook_name=None,
        prepend_bos=prepend_bos,
        context_size=config.context,
        **({"average_over": config.average_over} if config.average_over > 1 else {}),
    )
    common: dict[str, Any] = {
        "d_in": width,
        "d_sae": config.d_sae,
        "device": str(device),
        "metadata": metadata,
        "normalize_activations": "expected_average_only_in",
    }
    if config.architecture == "batchtopk":
        return sae_lens.BatchTopKTrainingSAE(sae_lens.BatchTopKTrainingSAEConfig(k=float(config.k), **common))
    if config.architecture == "topk":
        return sae_lens.TopKTrainingSAE(sae_lens.TopKTrainingSAEConfig(k=config.k, **common))
    warm_up = steps // 4
    jumprelu = sae_lens.JumpReLUTrainingSAEConfig(
        l0_coefficient=config.l0_coefficient, l0_warm_up_steps=warm_up, **common
    )
    return sae_lens.JumpReLUTrainingSAE(jumprelu)


def _save(sae: TrainingSAE[Any], config: TrainingConfig, out: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    (out / TRAINING_FILE).unlink(missing_ok=True)
    weights, cfg = sae.save_inference_model(out)
    tensors = {name: tensor.to(getattr(torch, config.save_dtype)) for name, tensor in load_file(weights).items()}
    write_atomic(Path(weights), lambda path: save_file(tensors, path))
    # Indented, and with float32 as the precision of computation, whatever the file's.
    settings = json.loads(Path(cfg).read_text())
    Path(cfg).write_text(json.dumps({**settings, "device": "cpu", "dtype": "float32"}, indent=1) + "\n")
    write_json(out / TRAINING_FILE, as_dict(config))
    (out / CHECKPOINT_FILE).unlink(missing_ok=True)
