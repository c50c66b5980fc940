"""A model's modules without its weights, to check a hook before gigabytes are read."""

from __future__ import annotations

import copy
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from competency_gaps.config import ModelConfig
from competency_gaps.errors import UserError
from competency_gaps.model.hooks import Hook, decoder_blocks
from competency_gaps.model.load import model_source, text_config
from competency_gaps.progress import Progress

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

_STREAM = ("hook_resid_pre", "hook_resid_mid", "hook_resid_post")


@dataclass(frozen=True)
class Outline:
    """A model on torch's device ``meta``, where parameters have shapes and no values."""

    model: PreTrainedModel
    settings: PretrainedConfig
    """The model's configuration in transformers."""

    def stream_width(self, hook: Hook) -> int | None:
        """Width of the residual stream, if the hook reads it; None elsewhere, where only a pass shows the width."""
        stream = hook.name.endswith(_STREAM)
        with suppress(UserError):  # the model is no stack of blocks
            stream = stream or hook.path == f"{decoder_blocks(self.model)[0]}.{hook.layer}"
        return int(text_config(self.model).hidden_size) if stream else None


def read_outline(config: ModelConfig, progress: Progress | None = None) -> Outline | None:
    """Make a model from its configuration alone.

    Parameters
    ----------
    progress
        Shows the download of an embedded model, whose configuration lies in the file with its weights.

    Returns
    -------
    Outline or None
        None where the configuration does not suffice; loading the model says what is wrong, if anything is.
    """
    try:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM
    except ImportError:
        return None
    source, extra = model_source(config.name, progress)
    options = {"trust_remote_code": config.trust_remote_code, **extra}
    if config.revision is not None:
        options["revision"] = config.revision
    try:
        settings = AutoConfig.from_pretrained(source, **options)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(
                copy.deepcopy(settings), trust_remote_code=config.trust_remote_code
            )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, TypeError, AttributeError):
        return None
    return Outline(model, settings)
