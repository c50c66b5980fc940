"""One forward pass over a batch of rows, for activations, log-likelihoods, or both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.errors import MachineError, UserError
from competency_gaps.model.batches import pad
from competency_gaps.model.hooks import Hook, captured
from competency_gaps.model.load import LanguageModel

if TYPE_CHECKING:
    import torch


def read_hook(lm: LanguageModel, hook: Hook, sequences: Sequence[np.ndarray]) -> torch.Tensor:
    """Activations at the hook, of shape (rows, longest, width); the pass ends there.

    Rows are padded on the right. No attention mask is needed: a position of a causal model never
    sees the padding after it, and a pass without a mask takes the fast attention kernels.

    Raises
    ------
    MachineError
        If memory runs out; the message says what to lower.
    """
    import torch

    ids = torch.from_numpy(pad(sequences, lm.pad_id)).to(lm.device)
    with torch.inference_mode(), enough_memory(ids), captured(lm.model, hook, stop=True) as activations:
        lm.model(input_ids=ids, use_cache=False)
    if not activations:
        raise UserError(
            f"hook {hook.name!r}: the model never calls {hook.path!r}. Give the path of a module inside it."
        )
    return activations[0].flatten(start_dim=2)


def hook_width(lm: LanguageModel, hook: Hook) -> int:
    """Width of the activations at the hook, found by a pass over one token."""
    return int(read_hook(lm, hook, [np.asarray([lm.pad_id], np.int32)]).shape[-1])


@contextmanager
def enough_memory(ids: torch.Tensor) -> Iterator[None]:
    """Turn "out of memory" on a GPU into an error that says what to lower."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        rows, longest = ids.shape
        raise MachineError(
            f"memory ran out on a batch of {rows} x {longest} tokens. Lower batch_tokens and run again: "
            f"what is finished is kept."
        ) from error
