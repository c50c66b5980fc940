"""One pass over a batch of prefixes, in which what all of them begin with is read once.

Items of a benchmark often begin alike: a system prompt, an instruction, examples. A token of a causal model depends on
the tokens before it alone, so keys and values of a shared beginning are computed in one row and handed to all others.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from competency_gaps.model.forward import enough_memory
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.tap import PrefixTap

if TYPE_CHECKING:
    import torch

_WORTH = 8
"""A beginning is shared if it is at least one part in so many of the longest prefix: its pass has costs of its own."""


@dataclass(frozen=True)
class PrefixPass:
    """What one pass over a batch of prefixes leaves."""

    cache: Any
    """transformers' key-value cache, one row per prefix."""
    mask: torch.Tensor
    """int64 of shape (prefixes, longest): 0 at the padding on the left."""
    lengths: list[int]
    """Tokens per prefix."""
    logprobs: torch.Tensor
    """Of shape (prefixes, kept, vocabulary): log-probabilities of the token after each of a prefix's last ``kept``
    tokens, in float32 or the model's precision."""


def shared_start(lm: LanguageModel, prefixes: Sequence[np.ndarray]) -> int:
    """Number of tokens that all prefixes begin with; 0 where it does not pay to read them once.

    At least one token of each prefix comes after them. Models whose cache is no plain list of keys and values (sliding
    windows, recurrent states) share nothing.
    """
    shortest = min((len(one) for one in prefixes), default=0)
    if len(prefixes) < 2 or shortest < 2:
        return 0
    starts = np.stack([one[: shortest - 1] for one in prefixes])
    differs = np.flatnonzero((starts != starts[0]).any(axis=0))
    count = int(differs[0]) if len(differs) else shortest - 1
    worth = count * _WORTH >= max(len(one) for one in prefixes)
    return count if worth and _has_plain_cache(lm) else 0


def read_prefixes(
    lm: LanguageModel,
    prefixes: Sequence[np.ndarray],
    owners: Sequence[Sequence[int]],
    tap: PrefixTap,
    *,
    shared: int,
    kept: int,
    model_precision: bool,
) -> PrefixPass:
    """One pass over prefixes, padded on the left so that all end where their continuations begin.

    Parameters
    ----------
    owners
        Per prefix, the asked prompts that may be read from it.
    shared
        Number of tokens that all begin with and that are read once; see :func:`shared_start`.
    kept
        Positions whose log-probabilities are wanted, from the end; at most the tokens after the shared ones.
    """

    ids, mask = pad_left(lm, prefixes)
    positions = (mask.cumsum(dim=1) - 1).clamp_min(0)
    with enough_memory(ids), tap.over(lm, prefixes, owners, passes=2 if shared else 1):
        cache = read_start(lm, prefixes[0][:shared], mask) if shared else None
        out = lm.model(
            input_ids=ids[:, shared:],
            attention_mask=mask,
            position_ids=positions[:, shared:],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=kept,
        )
    logits = out.logits[:, -kept:]
    lengths = [len(prefix) for prefix in prefixes]
    return PrefixPass(
        out.past_key_values, mask, lengths, (logits if model_precision else logits.float()).log_softmax(dim=-1)
    )


def pad_left(lm: LanguageModel, prefixes: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, int64 of shape (prefixes, longest), on the model's device; the mask is 0 at the padding."""
    import torch

    longest = max(len(prefix) for prefix in prefixes)
    ids = torch.full((len(prefixes), longest), lm.pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prefix in enumerate(prefixes):
        ids[row, longest - len(prefix) :] = torch.from_numpy(prefix.astype(np.int64))
        mask[row, longest - len(prefix) :] = 1
    return ids.to(lm.device), mask.to(lm.device)


def read_start(lm: LanguageModel, start: np.ndarray, mask: torch.Tensor) -> Any:
    """Cache of the first columns of a batch whose rows all begin alike, padded on the left.

    A row that is shorter than the longest begins with padding, so it has less of the beginning in these columns; the
    rest of it is among the columns that are computed.
    """
    import torch

    ids = torch.from_numpy(start.astype(np.int64)).to(lm.device)[None]
    cache = lm.model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
    padding = mask.shape[1] - mask.sum(dim=1)
    columns = (torch.arange(len(start), device=lm.device)[None] - padding[:, None]).clamp_min(0)
    for layer in cache.layers:
        where = columns.to(layer.keys.device)
        layer.keys = layer.keys[0][:, where].transpose(0, 1)
        layer.values = layer.values[0][:, where].transpose(0, 1)
    return cache


def rows_of_cache(cache: Any, rows: torch.Tensor, *, last: bool) -> Any:
    """A cache with some rows of another, which stays as it is unless this is its last use."""
    if is_plain(cache):
        # Layers of this kind never change a tensor, they put another in its place.
        new = copy.copy(cache)
        new.layers = [copy.copy(layer) for layer in cache.layers]
    else:
        new = cache if last else copy.deepcopy(cache)
    new.reorder_cache(rows)
    return new


def is_plain(cache: Any) -> bool:
    """Whether a cache is a list of keys and values of every position, and nothing else."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    return type(cache) is DynamicCache and all(type(layer) is DynamicLayer for layer in cache.layers)


_PLAIN: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
"""Per model, whether its cache is plain."""


def _has_plain_cache(lm: LanguageModel) -> bool:
    """Asked of a pass over one token, once per model."""
    import torch

    if lm.model not in _PLAIN:
        ids = torch.full((1, 1), lm.pad_id, dtype=torch.long, device=lm.device)
        with torch.inference_mode():
            _PLAIN[lm.model] = is_plain(lm.model(input_ids=ids, use_cache=True).past_key_values)
    return _PLAIN[lm.model]
