"""Keep the state of a training on disk, so that one that was stopped goes on and ends in the same SAE."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competency_gaps.files import write_atomic

if TYPE_CHECKING:
    from sae_lens.training.sae_trainer import SAETrainer

FILE = "training.safetensors"
"""Weights, the optimizer's moments and counters; deleted when the SAE is finished."""
_COUNTERS = ("n_training_samples", "n_training_steps", "n_frac_active_samples")
_TENSORS = ("n_forward_passes_since_fired", "act_freq_scores")


def save_checkpoint(trainer: SAETrainer[Any, Any], configuration: Mapping[str, Any], folder: Path) -> None:
    """Write a trainer's state between two steps, in place of an earlier one.

    Parameters
    ----------
    configuration
        Identifies the training.
    """
    from safetensors.torch import save_file

    tensors = {f"weight/{name}": value.detach() for name, value in trainer.sae.state_dict().items()}
    for i, moments in trainer.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{i}/{name}": value for name, value in moments.items()}
    tensors |= {name: getattr(trainer, name) for name in _TENSORS}
    plain = {"configuration": configuration, **{name: getattr(trainer, name) for name in _COUNTERS}}
    kept = {name: value.contiguous() for name, value in tensors.items()}
    write_atomic(folder / FILE, lambda path: save_file(kept, path, {"state": json.dumps(plain)}))


def load_checkpoint(trainer: SAETrainer[Any, Any], configuration: Mapping[str, Any], folder: Path) -> bool:
    """Give a new trainer the state that was saved.

    Returns
    -------
    bool
        False: there is none, or it is of another training; nothing was changed.
    """
    from safetensors import safe_open

    if not (folder / FILE).is_file():
        return False
    with safe_open(folder / FILE, framework="pt", device=str(trainer.cfg.device)) as file:
        plain = json.loads(file.metadata()["state"])
        if plain["configuration"] != dict(configuration):
            return False
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dictionary
    trainer.sae.load_state_dict({k.removeprefix("weight/"): v for k, v in tensors.items() if k.startswith("weight/")})
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, i, moment = name.split("/")
            state.setdefault(int(i), {})[moment] = value
    groups = trainer.optimizer.state_dict()["param_groups"]
    trainer.optimizer.load_state_dict({"state": state, "param_groups": groups})
    for name in _TENSORS:
        setattr(trainer, name, tensors[name])
    for name in _COUNTERS:
        setattr(trainer, name, plain[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch expects a step of the optimizer before each of these
        for _ in range(trainer.n_training_steps):
            trainer.lr_scheduler.step()
            for scheduler in trainer.coefficient_schedulers.values():
                scheduler.step()
    return True
