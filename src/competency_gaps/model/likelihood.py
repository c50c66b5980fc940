"""Log-likelihoods of continuations, batched over the items of a benchmark.

The pass over a prefix gives its activations too, to whoever wants them (:mod:`competency_gaps.model.tap`).
"""

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
from competency_gaps.model.tap import PrefixTap, Tap

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


class Likelihood(NamedTuple):
    """Log-likelihood of one continuation."""

    logprob: float
    """Sum of the log-probabilities (natural logarithm) of its tokens, <= 0."""
    token_logprobs: tuple[float, ...]
    """Of each token, <= 0."""
    greedy: bool
    """Whether each of its tokens is the likeliest one at its place."""

    @property
    def tokens(self) -> int:
        """Number of its tokens."""
        return len(self.token_logprobs)


@dataclass(frozen=True)
class Continuation:
    """Tokens whose likelihood is asked, after a prefix."""

    prefix: np.ndarray
    """int32 of shape (>= 1,)."""
    ids: np.ndarray
    """int32 of shape (tokens,); without tokens the likelihood is 1."""
    asked: int | None = None
    """The asked prompt that the prefix is, for the tap; null: another text."""


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


def encode_pair(
    tokenizer: PreTrainedTokenizerBase, context: str, text: str, *, bos_id: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of a context and its continuation, cut as lm-evaluation-harness cuts them.

    Blanks at the context's end go to the continuation; both are tokenised together, and the continuation's tokens are
    those after as many as the context alone has. An empty context is the first token of an input (beginning, else end
    of text).

    Parameters
    ----------
    bos_id
        Put before the whole; null: nothing is.

    Returns
    -------
    tuple of ndarray of int32
        The prefix, at least one token, and the continuation.

    Raises
    ------
    UserError
        If the continuation has no tokens.
    """

    def encode(part: str) -> list[int]:
        return list(tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"])

    if context == "":
        first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        ids = encode(text)
        prefix, rest = ([first], ids) if ids[:1] != [first] else (ids[:1], ids[1:])
    else:
        stripped = context.rstrip()
        prefix = encode(stripped)
        rest = encode(stripped + context[len(stripped) :] + text)[len(prefix) :]
        prefix = ([bos_id] if bos_id is not None else []) + prefix
    if not rest or not prefix:
        raise UserError(f"the option {text!r} has no tokens of its own, so its likelihood is not defined.")
    return np.asarray(prefix, np.int32), np.asarray(rest, np.int32)


def likelihoods(
    lm: LanguageModel,
    asked: Sequence[Continuation],
    token_budget: int,
    advance: Callable[[int], None],
    *,
    tap: Tap | None = None,
    model_precision: bool = False,
) -> list[Likelihood]:
    """Log-likelihoods of continuations, in the order given.

    A prefix that several continuations share (a question and its options) is read once: its keys and
    values are kept, and only the continuations' own tokens are computed for each. The first token of
    a continuation needs no pass of its own at all, as the prefix's last position predicts it.

    Parameters
    ----------
    tap
        Gets the activations of the prefixes that are asked prompts; null: nobody wants them.
    model_precision
        Take the softmax and the sum in the model's own precision, as lm-evaluation-harness does, not in float32.
    """
    members: dict[bytes, list[int]] = {}
    for index, one in enumerate(asked):
        members.setdefault(one.prefix.tobytes(), []).append(index)
    groups = list(members.values())
    found: list[Likelihood | None] = [None] * len(asked)
    for batch in plan_batches([len(asked[group[0]].prefix) for group in groups], token_budget):
        chosen = [groups[row] for row in batch]
        scored = _score_prefixes(
            lm, [[asked[i] for i in group] for group in chosen], token_budget, PrefixTap(tap), model_precision
        )
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
    """Of shape (prefixes, vocabulary): log-probabilities of the token after each prefix, in float32 or the model's
    precision."""


def _score_prefixes(
    lm: LanguageModel, groups: list[list[Continuation]], token_budget: int, tap: PrefixTap, model_precision: bool
) -> list[Likelihood]:
    """Likelihoods of the continuations of a batch of prefixes, group after group."""
    import torch

    flat = [(row, one) for row, group in enumerate(groups) for one in group]
    with torch.inference_mode():
        owners = [list(dict.fromkeys(one.asked for one in group if one.asked is not None)) for group in groups]
        prefixes = _read_prefixes(lm, [group[0].prefix for group in groups], owners, tap, model_precision)
        best = prefixes.next_logprobs.argmax(dim=-1)
        steps: list[list[torch.Tensor]] = []
        greedy: list[bool] = []
        for row, one in flat:
            first = int(one.ids[0]) if len(one.ids) else None
            steps.append([] if first is None else [prefixes.next_logprobs[row, first : first + 1]])
            greedy.append(first is None or int(best[row]) == first)
        longer = [i for i, (_, one) in enumerate(flat) if len(one.ids) > 1]
        parts = _plan_rests([len(flat[i][1].ids) - 1 for i in longer], max(prefixes.lengths), token_budget)
        for part in parts:
            indices = [longer[i] for i in part]
            rests = _score_rest(lm, prefixes, [flat[i] for i in indices], last=len(parts) == 1)
            for index, (values, likeliest) in zip(indices, rests, strict=True):
                steps[index].append(values)
                greedy[index] &= likeliest
        return [_likelihood(each, likeliest) for each, likeliest in zip(steps, greedy, strict=True)]


CACHED = 8
"""So many times more tokens of kept prefixes than of a forward pass may be in memory: they cost no arithmetic."""


def _plan_rests(lengths: list[int], prefix: int, token_budget: int) -> list[np.ndarray]:
    """Batches of continuations of like length, so that little padding is computed, under two budgets: the tokens that
    are computed, and the keys and values of prefixes (of ``prefix`` tokens at most) that are kept beside them."""
    order = np.lexsort((np.arange(len(lengths)), -np.asarray(lengths)))
    batches, start = [], 0
    while start < len(order):
        longest = lengths[order[start]]
        rows = max(1, min(token_budget // longest, CACHED * token_budget // (prefix + longest)))
        batches.append(order[start : start + rows])
        start += rows
    return batches


def _likelihood(steps: list[torch.Tensor], greedy: bool) -> Likelihood:
    import torch

    if not steps:
        return Likelihood(0.0, (), greedy)
    values = torch.cat(steps)
    return Likelihood(float(values.sum()), tuple(values.tolist()), greedy)


def _read_prefixes(
    lm: LanguageModel, prefixes: list[np.ndarray], owners: list[list[int]], tap: PrefixTap, model_precision: bool
) -> _Prefixes:
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
    with enough_memory(ids), tap.over(lm, prefixes, owners):
        out = lm.model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1)
    logits = out.logits[:, -1]
    return _Prefixes(
        out.past_key_values, mask, lengths, (logits if model_precision else logits.float()).log_softmax(dim=-1)
    )


def _score_rest(
    lm: LanguageModel, prefixes: _Prefixes, asked: list[tuple[int, Continuation]], *, last: bool
) -> list[tuple[torch.Tensor, bool]]:
    """Log-probabilities of the continuations' tokens after the first, and whether all of these are the likeliest."""
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
        steps = logits[row, : len(one.ids) - 1].to(prefixes.next_logprobs.dtype).log_softmax(dim=-1)
        tokens = ids[row, 1 : len(one.ids)]
        found.append((steps.gather(1, tokens[:, None])[:, 0], bool((steps.argmax(dim=-1) == tokens).all())))
    return found
