"""Log-likelihoods of continuations, batched over the items of a benchmark.

The pass over a prefix also gives its activations, to a tap (:class:`~competency_gaps.model.prefixes.Tap`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from competency_gaps.errors import UserError
from competency_gaps.model.batches import common_start, pad, plan_batches
from competency_gaps.model.forward import enough_memory
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prefixes import PrefixPass, PrefixTap, Tap, read_prefixes, rows_of_cache, shared_start

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


_ALIKE = 4
"""Most shared first tokens of a prefix's continuations that are read with the prefix. Their log-probabilities are kept
for every row of the batch, so the number is small."""


class Likelihood(NamedTuple):
    """Log-likelihood of one continuation."""

    logprob: float
    """Sum of the log-probabilities (natural logarithm) of its tokens, <= 0."""
    token_logprobs: tuple[float, ...]
    """Log-probability of each token, <= 0."""
    greedy: bool
    """Whether greedy decoding would give the continuation."""

    @property
    def tokens(self) -> int:
        """Number of its tokens."""
        return len(self.token_logprobs)


@dataclass(frozen=True)
class Continuation:
    """Tokens after a prefix, whose likelihood is requested."""

    prefix: np.ndarray
    """int32 of shape (>= 1,)."""
    ids: np.ndarray
    """int32 of shape (tokens,); if empty, the likelihood is 1."""
    asked: int | None = None
    """Number of the prompt that the prefix is, for the tap; None: another text."""


def tokenize_continuation(
    tokenizer: PreTrainedTokenizerBase, prompt_text: str, prompt_ids: np.ndarray, text: str, *, skip: int
) -> np.ndarray:
    """Token ids of a continuation of a tokenised prompt.

    Prompt and continuation are tokenised together. If the tokenizer merges across the border, the continuation is
    tokenised separately, because the prompt's tokens are fixed.

    Parameters
    ----------
    skip
        Number of leading tokens of ``prompt_ids`` without text (0 or 1).

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
    """Tokens of a context and its continuation, split as by lm-evaluation-harness.

    Trailing blanks of the context go to the continuation; both are tokenised together, and the continuation's tokens
    are those beyond the number that the context alone has. An empty context is the BOS token, else the EOS token.

    Parameters
    ----------
    bos_id
        Token before the context; None: none.

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

    Shared tokens are read once: the common start of all prefixes, a prefix with several continuations (a question and
    its options), the common start of these, and continuations that differ only in their last token. The first token of
    a continuation needs no pass, as the prefix's last position predicts it.

    Parameters
    ----------
    tap
        Receives the activations of prefixes that are prompts; None: they are not kept.
    model_precision
        Compute softmax and sum in the model's precision, as lm-evaluation-harness does, instead of float32.
    """
    members: dict[bytes, list[int]] = {}
    for index, continuation in enumerate(asked):
        members.setdefault(continuation.prefix.tobytes(), []).append(index)
    groups = [_Group([asked[i] for i in indices]) for indices in members.values()]
    shared = shared_start(lm, [group.prefix for group in groups])
    results: list[Likelihood | None] = [None] * len(asked)
    places = list(members.values())
    kept = 1 + max((group.alike for group in groups), default=0)
    lengths = [len(group.read) - shared for group in groups]
    for batch in plan_batches(lengths, token_budget, cached=shared, logits=kept):
        chosen = [groups[row] for row in batch]
        scored = _score_groups(lm, chosen, token_budget, PrefixTap(tap), shared, model_precision)
        for index, value in zip((i for row in batch for i in places[row]), scored, strict=True):
            results[index] = value
        advance(sum(len(group.asked) for group in chosen))
    return [value for value in results if value is not None]


class _Group:
    """Continuations of one prefix."""

    def __init__(self, asked: list[Continuation]) -> None:
        self.asked = asked
        self.prefix = asked[0].prefix
        options = [continuation.ids for continuation in asked]
        self.alike = max(0, min(common_start(options), min(map(len, options)) - 1, _ALIKE))
        """Length of their common start that is read with the prefix, less than the shortest."""
        self.read = np.concatenate([self.prefix, asked[0].ids[: self.alike]])
        """Tokens read once for all: the prefix and the common start."""
        self.owners = list(
            dict.fromkeys(continuation.asked for continuation in asked if continuation.asked is not None)
        )

    def branches(self) -> dict[tuple[int, ...], list[int]]:
        """Token sequences to read after ``read``, each with the continuations scored from it.

        A continuation's last token is only predicted, not read. A sequence that starts another is read with that.
        """
        rests = {i: tuple(continuation.ids[self.alike : -1].tolist()) for i, continuation in enumerate(self.asked)}
        covered: dict[tuple[int, ...], tuple[int, ...]] = {}
        following: tuple[int, ...] = ()
        # In descending order, a sequence comes right after those that it starts.
        for rest in sorted(set(rests.values()), reverse=True):
            covered[rest] = covered[following] if following[: len(rest)] == rest and following else rest
            following = rest
        branches: dict[tuple[int, ...], list[int]] = {}
        for i, rest in rests.items():
            if rest:
                branches.setdefault(covered[rest], []).append(i)
        return branches


def _score_groups(
    lm: LanguageModel, groups: list[_Group], token_budget: int, tap: PrefixTap, shared: int, model_precision: bool
) -> list[Likelihood]:
    """Likelihoods of all continuations in a batch of groups, in order."""
    import torch

    with torch.inference_mode():
        kept = max(group.alike for group in groups) + 1
        read = read_prefixes(
            lm,
            [group.read for group in groups],
            [group.owners for group in groups],
            tap,
            shared=shared,
            kept=kept,
            model_precision=model_precision,
        )
        steps = [
            [[_first_steps(read.logprobs[row], continuation, group.alike)] for continuation in group.asked]
            for row, group in enumerate(groups)
        ]
        branches = [(row, ids, which) for row, group in enumerate(groups) for ids, which in group.branches().items()]
        parts = plan_batches([len(ids) for _, ids, _ in branches], token_budget, cached=max(read.lengths))
        for part in parts:
            chosen = [branches[i] for i in part]
            sequences = [np.asarray(ids, np.int32) for _, ids, _ in chosen]
            rests = _read_branches(lm, read, [row for row, _, _ in chosen], sequences, last=len(parts) == 1)
            for (row, _, which), logprobs in zip(chosen, rests, strict=True):
                for i in which:
                    steps[row][i].append(_steps(logprobs, groups[row].asked[i].ids[groups[row].alike + 1 :]))
        return [_likelihood(each) for group in steps for each in group]


class _Steps(NamedTuple):
    """Consecutive tokens of a continuation."""

    logprobs: torch.Tensor
    """Of shape (tokens,)."""
    greedy: bool
    """Whether each is the likeliest token."""


def _first_steps(logprobs: torch.Tensor, continuation: Continuation, alike: int) -> _Steps:
    """A continuation's tokens in the common start, and the next one."""
    return _steps(logprobs[len(logprobs) - alike - 1 :], continuation.ids[: alike + 1])


def _steps(logprobs: torch.Tensor, ids: np.ndarray) -> _Steps:
    """Score tokens of a continuation from log-probabilities of shape (>= tokens, vocabulary)."""
    import torch

    tokens = torch.from_numpy(ids.astype(np.int64)).to(logprobs.device)
    at = logprobs[: len(ids)]
    return _Steps(at.gather(1, tokens[:, None])[:, 0], bool((at.argmax(dim=-1) == tokens).all()))


def _likelihood(steps: list[_Steps]) -> Likelihood:
    import torch

    values = torch.cat([step.logprobs for step in steps])
    return Likelihood(float(values.sum()), tuple(values.tolist()), all(step.greedy for step in steps))


def _read_branches(
    lm: LanguageModel, read: PrefixPass, rows: list[int], sequences: list[np.ndarray], *, last: bool
) -> Iterator[torch.Tensor]:
    """Log-probabilities of shape (tokens, vocabulary) after each token of sequences that follow rows of a pass."""
    import torch

    chosen = torch.tensor(rows, device=lm.device)
    cache = rows_of_cache(read.cache, chosen, last=last)
    ids = torch.from_numpy(pad(sequences, lm.pad_id)).to(lm.device)
    mask = torch.cat([read.mask[chosen], torch.ones_like(ids)], dim=1)
    starts = torch.tensor([read.lengths[row] for row in rows], device=lm.device)
    positions = starts[:, None] + torch.arange(ids.shape[1], device=lm.device)
    with enough_memory(mask):
        logits = lm.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        ).logits
    for row, sequence in enumerate(sequences):
        yield logits[row, : len(sequence)].to(read.logprobs.dtype).log_softmax(dim=-1)
