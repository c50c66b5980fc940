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

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "STATUS_ALLOC_FAILED")
"""What the allocators of processors and devices say, and CUDA's libraries, where they raise a plain RuntimeError."""


def read_hook(lm: LanguageModel, hook: Hook, sequences: Sequence[np.ndarray]) -> torch.Tensor:
    """Activations at the hook, of shape (rows, longest, width); the pass ends there.

    Rows are padded on the right. No attention mask is needed: a position of a causal model never
    sees the padding after it, and a pass without a mask takes the fast attention kernels.

    Raises
    ------
    OutOfMemoryError
        If memory runs out; the message says what to lower.
    """
    import torch

    ids = torch.from_numpy(pad(sequences, lm.pad_id)).to(lm.device)
    with torch.inference_mode(), _enough_memory(ids), captured(lm.model, hook, stop=True) as activations:
        lm.model(input_ids=ids, use_cache=False)
    if not activations:
        raise UserError(
            f"hook {hook.name!r}: the model never calls {hook.path!r}. Give the path of a module inside it."
        )
    return activations[0].flatten(start_dim=2)


def hook_width(lm: LanguageModel, hook: Hook) -> int:
    """Width of the activations at the hook, found by a pass over one token."""
    return int(read_hook(lm, hook, [np.asarray([lm.pad_id], np.int32)]).shape[-1])


class OutOfMemoryError(MachineError):
    """A batch does not fit into memory."""


def ran_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    import torch

    if isinstance(error, (OutOfMemoryError, MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


@contextmanager
def _enough_memory(ids: torch.Tensor) -> Iterator[None]:
    """Turn "out of memory" into an error that says what to lower."""
    try:
        yield
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
        rows, longest = ids.shape
        raise OutOfMemoryError(
            f"memory ran out on a batch of {rows} x {longest} tokens. Lower batch_tokens and run again: "
            f"what is finished is kept."
        ) from error
