"""Log-likelihoods of continuations, batched over the items of a benchmark.

The pass over a prefix also gives its activations, to a tap (:class:`~competency_gaps.model.prefixes.Tap`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from competency_gaps.errors import UserError
from competency_gaps.items.remark import Remark
from competency_gaps.model.attempts import OUT_OF_MEMORY, Attempts
from competency_gaps.model.batches import common_start, pad
from competency_gaps.model.forward import OutOfMemoryError
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
    attempts: Attempts | None = None,
) -> list[Likelihood | Remark]:
    """Log-likelihoods of continuations, in the order given, or why one cannot be computed.

    Shared tokens are read once: the common start of all prefixes, a prefix with several continuations (a question and
    its options), the common start of these, and continuations that differ only in their last token. The first token of
    a continuation needs no pass, as the prefix's last position predicts it.

    Parameters
    ----------
    tap
        Receives the activations of prefixes that are prompts; None: they are not kept.
    model_precision
        Compute softmax and sum in the model's precision, as lm-evaluation-harness does, instead of float32.
    attempts
        Runs the batches; None: with attempts of their own.
    """
    attempts = attempts or Attempts()
    members: dict[bytes, list[int]] = {}
    for index, continuation in enumerate(asked):
        members.setdefault(continuation.prefix.tobytes(), []).append(index)
    groups = [_Group([asked[i] for i in indices]) for indices in members.values()]
    shared = shared_start(lm, [group.prefix for group in groups])
    results: list[Likelihood | Remark | None] = [None] * len(asked)
    places = list(members.values())
    kept = 1 + max((group.alike for group in groups), default=0)
    lengths = [len(group.read) - shared for group in groups]

    def score(rows: np.ndarray) -> list[list[Likelihood | Remark]]:
        chosen = [groups[row] for row in rows]
        return _score_groups(lm, chosen, token_budget, PrefixTap(tap), shared, model_precision, attempts)

    for rows, scored in attempts.batches("prefixes", lengths, token_budget, score, cached=shared, logits=kept):
        for row, values in zip(rows, scored, strict=True):
            for place, index in enumerate(places[row]):
                results[index] = values if isinstance(values, Remark) else values[place]
            advance(len(places[row]))
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
    lm: LanguageModel,
    groups: list[_Group],
    token_budget: int,
    tap: PrefixTap,
    shared: int,
    model_precision: bool,
    attempts: Attempts,
) -> list[list[Likelihood | Remark]]:
    """Likelihoods of the continuations of each group in a batch, in order, or why one cannot be computed."""
    import torch

    with torch.inference_mode():
        read_again = partial(
            read_prefixes,
            lm,
            [group.read for group in groups],
            [group.owners for group in groups],
            tap,
            shared=shared,
            kept=max(group.alike for group in groups) + 1,
            model_precision=model_precision,
        )
        read, used_up = read_again(), False
        steps = [
            [[_first_steps(logprobs, continuation, group.alike)] for continuation in group.asked]
            for logprobs, group in zip(read.logprobs, groups, strict=True)
        ]
        branches = [(row, ids, which) for row, group in enumerate(groups) for ids, which in group.branches().items()]

        def follow(part: np.ndarray) -> list[dict[int, _Steps]]:
            nonlocal read, used_up
            if used_up:
                read = read_again()
            used_up = len(part) == len(branches)  # the last use may change keys and values in place
            return _read_branches(lm, read, groups, [branches[i] for i in part], last=used_up)

        failed: dict[tuple[int, int], Remark] = {}
        lengths = [len(ids) for _, ids, _ in branches]
        for part, rests in attempts.batches("branches", lengths, token_budget, follow, cached=max(read.lengths)):
            for (row, _, which), rest in zip((branches[i] for i in part), rests, strict=True):
                if rest == OUT_OF_MEMORY and len(groups) > 1:
                    raise OutOfMemoryError("the keys and values of other prefixes take the memory")
                for i in which:
                    if isinstance(rest, Remark):
                        failed[row, i] = rest
                    else:
                        steps[row][i].append(rest[i])
        return [
            [failed.get((row, i)) or _likelihood(each) for i, each in enumerate(group)]
            for row, group in enumerate(steps)
        ]


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
    lm: LanguageModel,
    read: PrefixPass,
    groups: list[_Group],
    branches: Sequence[tuple[int, tuple[int, ...], list[int]]],
    *,
    last: bool,
) -> list[dict[int, _Steps]]:
    """Read token sequences after rows of a pass; for each, the remaining steps of the continuations scored from it."""
    import torch

    rows, sequences = [row for row, _, _ in branches], [np.asarray(ids, np.int32) for _, ids, _ in branches]
    chosen = torch.tensor(rows, device=lm.device)
    cache = rows_of_cache(read.cache, chosen, last=last)
    ids = torch.from_numpy(pad(sequences, lm.pad_id)).to(lm.device)
    mask = torch.cat([read.mask[chosen], torch.ones_like(ids)], dim=1)
    starts = torch.tensor([read.lengths[row] for row in rows], device=lm.device)
    positions = starts[:, None] + torch.arange(ids.shape[1], device=lm.device)
    logits = lm.model(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
    ).logits
    steps = []
    for place, (row, sequence, which) in enumerate(branches):
        logprobs = logits[place, : len(sequence)].to(read.logprobs.dtype).log_softmax(dim=-1)
        group = groups[row]
        steps.append({i: _steps(logprobs, group.asked[i].ids[group.alike + 1 :]) for i in which})
    return steps
