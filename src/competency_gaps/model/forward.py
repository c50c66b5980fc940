"""One forward pass over a batch of rows, for activations, log-likelihoods, or both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from competency_gaps.model.batches import OutOfMemoryError, device_fault, pad, ran_out_of_memory
from competency_gaps.model.hooks import Hook, captured
from competency_gaps.model.load import LanguageModel
from competency_gaps.util.errors import CompetencyGapsError, UserError
from competency_gaps.util.text import error_line

if TYPE_CHECKING:
    import torch


def read_hook(lm: LanguageModel, hook: Hook, sequences: Sequence[np.ndarray], cache: Any = None) -> torch.Tensor:
    """Activations at the hook, of shape (rows, longest, width); the pass ends there.

    Rows are padded on the right. No attention mask is needed: a position of a causal model never
    sees the padding after it, and a pass without a mask takes the fast attention kernels.

    Parameters
    ----------
    cache
        transformers' cache of what stands before the sequences, which the pass fills; None: nothing does.

    Raises
    ------
    OutOfMemoryError
        If memory runs out; the message says what to lower.
    """
    import torch

    ids = torch.from_numpy(pad(sequences, lm.pad_id)).to(lm.device)
    before = {} if cache is None else {"past_key_values": cache}
    with torch.inference_mode(), _enough_memory(ids), captured(lm.model, hook, stop=True) as activations:
        lm.model(input_ids=ids, use_cache=cache is not None, **before)
    return _first(activations, hook)


def _first(activations: list[torch.Tensor], hook: Hook) -> torch.Tensor:
    """Activations of the first pass, of shape (rows, positions, width)."""
    if not activations:
        raise UserError(
            f"hook {hook.name!r}: the model never calls {hook.path!r}. Give the path of a module inside it."
        )
    return activations[0].flatten(start_dim=2)


@dataclass(frozen=True)
class Start:
    """Tokens with which several sequences begin, read once, up to the hook."""

    keys_values: list[tuple[torch.Tensor, torch.Tensor]]
    """Keys and values of each layer below the hook, of shape (1, heads, tokens, head width)."""
    activations: torch.Tensor
    """At the hook, of shape (tokens, width)."""

    def __len__(self) -> int:
        return len(self.activations)


def cache_start(lm: LanguageModel, hook: Hook, ids: np.ndarray) -> Start:
    """Read a start that :func:`~competency_gaps.model.prefixes.shared_start` found; raises as :func:`read_hook`."""
    from transformers.cache_utils import DynamicCache

    cache = DynamicCache()
    activations = read_hook(lm, hook, [ids], cache)[0]
    return Start([(layer.keys, layer.values) for layer in cache.layers], activations)


def read_after(lm: LanguageModel, hook: Hook, start: Start, sequences: Sequence[np.ndarray]) -> list[torch.Tensor]:
    """Activations at the hook of sequences that all begin with a start, of which only the rest is read.

    Returns
    -------
    list of torch.Tensor
        One for each sequence, of shape (>= tokens, width); what follows its tokens is padding.
    """
    import torch
    from transformers.cache_utils import DynamicCache

    if not start.keys_values:  # nothing below the hook attends, and some models count positions by the cache
        return list(read_hook(lm, hook, sequences))
    rests = [sequence[len(start) :] for sequence in sequences]
    rows = len(sequences)
    copies = [(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in start.keys_values]
    activations = read_hook(lm, hook, rests, DynamicCache(copies))
    return [torch.cat([start.activations, row]) for row in activations]


def hook_width(lm: LanguageModel, hook: Hook) -> int:
    """Width of the activations at the hook, found by a pass of the whole model over one token.

    Raises
    ------
    UserError
        If the model fails on it, so that what it fails on later is an input's fault; or never calls the hook.
    MachineError
        If memory runs out, or the device fails.
    """
    import torch

    ids = torch.full((1, 1), lm.pad_id, device=lm.device)
    try:
        with torch.inference_mode(), _enough_memory(ids), captured(lm.model, hook, stop=False) as activations:
            lm.model(input_ids=ids, use_cache=False)
    except CompetencyGapsError:
        raise
    except Exception as error:
        if fault := device_fault(error):
            raise fault from error
        raise UserError(
            f"the model {lm.name!r} fails on a single token: {error_line(error)}. Check that its files are complete "
            "and that the installed transformers and torch can run it here."
        ) from error
    return int(_first(activations, hook).shape[-1])


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
            f"memory ran out on a batch of {rows} x {longest} tokens. Lower batch_tokens and repeat the command: "
            f"finished work is kept."
        ) from error
