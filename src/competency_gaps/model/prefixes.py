"""Read a batch of prefixes in one pass, their shared start only once, and tap the activations at a hook.

Items of a benchmark often begin alike: a system prompt, an instruction, examples. In most causal models a token depends
only on the tokens before it, so the keys and values of a shared start are computed in one row and copied to the others.
For other models nothing is shared: see :func:`shared_start`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from competency_gaps.model.batches import common_start
from competency_gaps.model.hooks import Hook, captured
from competency_gaps.model.load import LanguageModel, text_config
from competency_gaps.util.errors import UserError

if TYPE_CHECKING:
    import torch

_MAX_PREFIX_TO_START = 8
"""A start is shared if it is at least 1/8 of the longest prefix, as its pass has a cost."""
_LENGTH_DEPENDENT_ROPE = frozenset({"longrope", "dynamic"})
"""Types of rotary position embeddings that depend on the length of the whole input."""


@dataclass(frozen=True)
class Tap:
    """Takes the activations of prompts from the passes that score or answer them."""

    hook: Hook
    wanted: Sequence[np.ndarray | None]
    """Per prompt, the tokens whose activations are wanted: int32 of shape (tokens,), the prompt up to its span's end;
    None: none are wanted."""
    keep: Callable[[Sequence[int], Sequence[torch.Tensor]], Sequence[Any]]
    """What is kept of some prompts, from their numbers and activations, each of shape (>= wanted tokens, width)."""
    taken: dict[int, Any] = field(default_factory=dict)
    """What was kept, by number of the prompt."""


@contextmanager
def tapped(
    lm: LanguageModel, prefixes: Sequence[np.ndarray], owners: Sequence[Sequence[int]], tap: Tap | None, *, passes: int
) -> Iterator[None]:
    """Pass a tap the activations of the first passes in the body of the ``with``, which reads padded prefixes.

    Parameters
    ----------
    prefixes
        Token ids; the body pads them on the left.
    owners
        Per prefix, the indices of the prompts whose activations it can provide; a prompt of which the prefix does not
        contain all wanted tokens (for example, because its last blanks went to the continuation) is skipped.
    passes
        2: the first pass reads the shared start of all prefixes, in one row, and the second the rest of each.
    """
    owned = [(row, prompt) for row, prompts in enumerate(owners) for prompt in prompts]
    owned = [pair for pair in owned if tap and _holds(prefixes[pair[0]], tap, pair[1])]
    if tap is None or not owned:
        yield
        return
    with captured(lm.model, tap.hook, stop=False, passes=passes) as captures:
        yield
    if len(captures) < passes:
        return
    start, rest = captures[0].flatten(start_dim=2)[0], captures[-1].flatten(start_dim=2)
    activations = [_row(start, rest[row], len(prefixes[row])) for row, _ in owned]
    asked = [prompt for _, prompt in owned]
    tap.taken.update(zip(asked, tap.keep(asked, activations), strict=True))


def _holds(prefix: np.ndarray, tap: Tap, asked: int) -> bool:
    """Whether a prefix contains all tokens of a prompt from which activations are wanted and were not taken."""
    wanted = tap.wanted[asked]
    return wanted is not None and asked not in tap.taken and np.array_equal(prefix[: len(wanted)], wanted)


def _row(start: torch.Tensor, rest: torch.Tensor, tokens: int) -> torch.Tensor:
    """Return the activations of all tokens of a row; those that the last pass did not compute are the first of
    ``start``.

    Parameters
    ----------
    rest : torch.Tensor of shape (positions, width)
        Activations of the row's last positions, or of all positions after padding.
    """
    import torch

    before = max(0, tokens - len(rest))
    rest_ = rest[len(rest) - (tokens - before) :]
    return torch.cat([start[:before], rest_]) if before else rest_


@dataclass(frozen=True)
class PrefixPass:
    """Results of one pass over a batch of prefixes."""

    cache: Any
    """transformers' key-value cache, one row per prefix; None if the model has none."""
    mask: torch.Tensor
    """int64 of shape (prefixes, longest): 0 at the left padding."""
    lengths: list[int]
    """Tokens per prefix."""
    logprobs: torch.Tensor
    """Of shape (prefixes, 1, vocabulary): log-probabilities of the token after each prefix, in float32 or the model's
    precision."""


def shared_start(lm: LanguageModel, prefixes: Sequence[np.ndarray]) -> int:
    """Return the length of the prefixes' shared start, shorter than each of them; 0 if sharing does not pay.

    Nothing is shared by models whose cache is no plain list of keys and values (sliding windows, recurrent states), or
    whose rotary positions depend on the length of the input.
    """
    if len(prefixes) < 2:
        return 0
    count = min(common_start(prefixes), min(len(prefix) for prefix in prefixes) - 1)
    worth = count > 0 and count * _MAX_PREFIX_TO_START >= max(len(prefix) for prefix in prefixes)
    return count if worth and _can_share(lm) else 0


def read_prefixes(
    lm: LanguageModel,
    prefixes: Sequence[np.ndarray],
    owners: Sequence[Sequence[int]],
    tap: Tap | None,
    *,
    shared: int,
    model_precision: bool,
) -> PrefixPass:
    """One pass over prefixes, padded on the left so that all end where their continuations begin.

    Parameters
    ----------
    owners
        Per prefix, the numbers of the prompts whose activations it can give.
    shared
        Length of the shared start; see :func:`shared_start`.
    """
    ids, mask = pad_left(lm, prefixes)
    positions = (mask.cumsum(dim=1) - 1).clamp_min(0)
    with tapped(lm, prefixes, owners, tap, passes=2 if shared else 1):
        cache = read_start(lm, prefixes[0][:shared], mask) if shared else None
        out = lm.model(
            input_ids=ids[:, shared:],
            attention_mask=mask,
            position_ids=positions[:, shared:],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
    logits = out.logits[:, -1:]
    logprobs = (logits if model_precision else logits.float()).log_softmax(dim=-1)
    return PrefixPass(getattr(out, "past_key_values", None), mask, [len(prefix) for prefix in prefixes], logprobs)


def pad_left(lm: LanguageModel, prefixes: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and mask, int64 of shape (prefixes, longest), on the model's device; the mask is 0 at padding."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    rows = [torch.from_numpy(prefix.astype(np.int64)) for prefix in prefixes]
    ids = pad_sequence(rows, batch_first=True, padding_value=lm.pad_id, padding_side="left")
    mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True, padding_side="left")
    return ids.to(lm.device), mask.to(lm.device)


def read_start(lm: LanguageModel, start: np.ndarray, mask: torch.Tensor) -> Any:
    """Return a cache of the first columns of a batch with a shared start, padded on the left.

    A row shorter than the longest begins with padding, so these columns contain less of its start; the other columns,
    which are computed, contain the rest.
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


def rows_of_cache(cache: Any, rows: torch.Tensor) -> Any:
    """Return a cache with some rows of another, which remains unchanged.

    Raises
    ------
    UserError
        If the model has no cache of keys and values.
    """
    # What goes on from a recurrent state comes out wrong; from transformers 5.24 on, it looks like any other cache.
    recurrent = any(getattr(cache, "is_linear", ()))
    if recurrent or not hasattr(cache, "reorder_cache"):
        raise UserError(
            "this model has no key-value cache, so options of several tokens cannot be scored. "
            "Use a scorer that generates answers, or options of one token."
        )
    if is_plain(cache):
        # Layers of this type replace tensors and never change them in place.
        new = copy.copy(cache)
        new.layers = [copy.copy(layer) for layer in cache.layers]
    else:
        new = copy.deepcopy(cache)
    new.reorder_cache(rows)
    return new


def is_plain(cache: Any) -> bool:
    """Return whether a cache is just a list of keys and values of every position."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    return type(cache) is DynamicCache and all(type(layer) is DynamicLayer for layer in cache.layers)


def _can_share(lm: LanguageModel) -> bool:
    """Return whether keys and values of a start can be copied to other rows; a pass over one token shows it."""
    import torch

    if _rope_types(text_config(lm.model)) & _LENGTH_DEPENDENT_ROPE:
        return False
    ids = torch.full((1, 1), lm.pad_id, dtype=torch.long, device=lm.device)
    with torch.inference_mode():
        return is_plain(getattr(lm.model(input_ids=ids, use_cache=True), "past_key_values", None))


def _rope_types(config: Any) -> set[str]:
    """Return the types of rotary position embeddings in a configuration; some models have one per type of layer."""
    settings = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    nested = [value for value in settings.values() if isinstance(value, dict)]
    return {str(part.get("rope_type", part.get("type"))) for part in (settings, *nested)}
