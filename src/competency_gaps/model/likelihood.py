"""Log-likelihoods of continuations, batched over the items of a benchmark."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from competency_gaps.errors import UserError
from competency_gaps.model.batches import pad, plan_batches
from competency_gaps.model.forward import enough_memory
from competency_gaps.model.load import LanguageModel

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


class Likelihood(NamedTuple):
    """Log-likelihood of one continuation."""

    logprob: float
    """Sum of the log-probabilities (natural logarithm) of its tokens, <= 0."""
    tokens: int
    """Number of its tokens."""


@dataclass(frozen=True)
class Continuation:
    """Tokens whose likelihood is asked, after a prefix."""

    prefix: np.ndarray
    """int32 of shape (>= 1,)."""
    ids: np.ndarray
    """int32 of shape (tokens,); without tokens the likelihood is 1."""


def tokenize_continuation(
    tokenizer: PreTrainedTokenizerBase, prompt_text: str, prompt_ids: np.ndarray, text: str, *, skip: int
) -> np.ndarray:
    """Token ids of a continuation of a prompt that is already tokenised.

    Prompt and continuation are tokenised together, so that the continuation's tokens are those of
    the whole text; where the tokenizer merges across the border, the continuation is tokenised by
    itself, because the prompt's tokens are fixed.

    Parameters
    ----------
    skip
        Number of leading tokens of ``prompt_ids`` that stand for no text (the first token).

    Raises
    ------
    UserError
        If the continuation is empty.
    """
    whole = tokenizer(prompt_text + text, add_special_tokens=False, verbose=False)["input_ids"]
    own = prompt_ids[skip:]
    if len(whole) > len(own) and np.array_equal(whole[: len(own)], own):
        return np.asarray(whole[len(own) :], dtype=np.int32)
    alone = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    if not alone:
        raise UserError(f"the option {text!r} has no tokens, so its likelihood is not defined.")
    return np.asarray(alone, dtype=np.int32)


def likelihoods(
    lm: LanguageModel, asked: Sequence[Continuation], token_budget: int, advance: Callable[[int], None]
) -> list[Likelihood]:
    """Log-likelihoods of continuations, in the order given.

    A prefix that several continuations share (a question and its options) is read once: its keys and
    values are kept, and only the continuations' own tokens are computed for each. The first token of
    a continuation needs no pass of its own at all, as the prefix's last position predicts it.
    """
    members: dict[bytes, list[int]] = {}
    for index, one in enumerate(asked):
        members.setdefault(one.prefix.tobytes(), []).append(index)
    groups = list(members.values())
    found: list[Likelihood | None] = [None] * len(asked)
    for batch in plan_batches([len(asked[group[0]].prefix) for group in groups], token_budget):
        chosen = [groups[row] for row in batch]
        scored = _score_prefixes(lm, [[asked[i] for i in group] for group in chosen], token_budget)
        for index, value in zip((i for group in chosen for i in group), scored, strict=True):
            found[index] = value
        advance(sum(len(group) for group in chosen))
    return [value for value in found if value is not None]


@dataclass(frozen=True)
class _Prefixes:
    """What one pass over a batch of prefixes leaves."""

    cache: Any
    """transformers' key-value cache, one row per prefix."""
    mask: torch.Tensor
    """int64 of shape (prefixes, longest): 0 at the padding on the left."""
    lengths: list[int]
    next_logprobs: torch.Tensor
    """float32 of shape (prefixes, vocabulary): log-probabilities of the token after each prefix."""


def _score_prefixes(lm: LanguageModel, groups: list[list[Continuation]], token_budget: int) -> list[Likelihood]:
    """Likelihoods of the continuations of a batch of prefixes, group after group."""
    import torch

    flat = [(row, one) for row, group in enumerate(groups) for one in group]
    totals = [0.0] * len(flat)
    with torch.inference_mode():
        prefixes = _read_prefixes(lm, [group[0].prefix for group in groups])
        for index, (row, one) in enumerate(flat):
            if len(one.ids):
                totals[index] = float(prefixes.next_logprobs[row, int(one.ids[0])])
        longer = [i for i, (_, one) in enumerate(flat) if len(one.ids) > 1]
        sizes = [prefixes.lengths[flat[i][0]] + len(flat[i][1].ids) for i in longer]
        parts = plan_batches(sizes, 4 * token_budget)
        for part in parts:
            indices = [longer[i] for i in part]
            rests = _score_rest(lm, prefixes, [flat[i] for i in indices], last=len(parts) == 1)
            for index, value in zip(indices, rests, strict=True):
                totals[index] += value
    return [Likelihood(total, len(one.ids)) for total, (_, one) in zip(totals, flat, strict=True)]


def _read_prefixes(lm: LanguageModel, prefixes: list[np.ndarray]) -> _Prefixes:
    """One pass over prefixes, padded on the left so that all end where their continuations begin."""
    import torch

    lengths = [len(prefix) for prefix in prefixes]
    longest = max(lengths)
    ids = torch.full((len(prefixes), longest), lm.pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prefix in enumerate(prefixes):
        ids[row, longest - len(prefix) :] = torch.from_numpy(prefix.astype(np.int64))
        mask[row, longest - len(prefix) :] = 1
    ids, mask = ids.to(lm.device), mask.to(lm.device)
    positions = (mask.cumsum(dim=1) - 1).clamp_min(0)
    with enough_memory(ids):
        out = lm.model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1)
    return _Prefixes(out.past_key_values, mask, lengths, out.logits[:, -1].float().log_softmax(dim=-1))


def _score_rest(
    lm: LanguageModel, prefixes: _Prefixes, asked: list[tuple[int, Continuation]], *, last: bool
) -> list[float]:
    """Summed log-probabilities of the continuations' tokens after the first."""
    import torch

    rows = torch.tensor([row for row, _ in asked], device=lm.device)
    # The cache is changed in place, so it is copied unless this is its last use.
    cache = prefixes.cache if last else copy.deepcopy(prefixes.cache)
    cache.reorder_cache(rows)
    ids = torch.from_numpy(pad([one.ids for _, one in asked], lm.pad_id)).to(lm.device)
    inputs = ids[:, :-1]
    mask = torch.cat([prefixes.mask[rows], torch.ones_like(inputs)], dim=1)
    starts = torch.tensor([prefixes.lengths[row] for row, _ in asked], device=lm.device)
    positions = starts[:, None] + torch.arange(inputs.shape[1], device=lm.device)
    with enough_memory(mask):
        logits = lm.model(
            input_ids=inputs, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        ).logits
    found = []
    for row, (_, one) in enumerate(asked):
        steps = logits[row, : len(one.ids) - 1].float().log_softmax(dim=-1)
        found.append(float(steps.gather(1, ids[row, 1 : len(one.ids), None]).sum()))
    return found
