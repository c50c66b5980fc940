"""Log-likelihoods of continuations, batched over the items of a benchmark.

Shared tokens are read once: the common start of all prefixes, a prefix with several continuations (a question and its
options), and continuations that differ only in their last token. The pass over a prefix also
gives its activations, to a tap (:class:`~competency_gaps.model.prefixes.Tap`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from competency_gaps.items.item import Reason
from competency_gaps.model.batches import OUT_OF_MEMORY, Attempts, OutOfMemoryError, pad
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prefixes import PrefixPass, Tap, read_prefixes, rows_of_cache, shared_start
from competency_gaps.util.errors import UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

NOT_A_NUMBER = Reason("model_failed", "the model failed on it: its log-probabilities are not numbers")
"""Why a continuation with a token whose log-probability is NaN has no likelihood."""


class Likelihood(NamedTuple):
    """Log-likelihood of one continuation."""

    logprob: float
    """Sum of the log-probabilities (natural logarithm) of its tokens, <= 0."""
    tokens: int
    """Number of its tokens."""
    greedy: bool
    """Whether greedy decoding would generate the continuation."""


@dataclass(frozen=True)
class Continuation:
    """Tokens after a prefix, whose likelihood is requested."""

    prefix: np.ndarray
    """int32 of shape (>= 1,)."""
    ids: np.ndarray
    """int32 of shape (tokens,); if empty, the likelihood is 1."""
    asked: int | None = None
    """Index of the prompt, for the tap, if the prefix is a prompt; else None."""


def tokenize_continuation(
    tokenizer: PreTrainedTokenizerBase, prompt_text: str, prompt_ids: np.ndarray, text: str, *, skip: int
) -> np.ndarray:
    """Return the token ids of a continuation of a tokenised prompt, int32 of shape (tokens,).

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
    prefix = prompt_ids[skip:]
    if len(whole) > len(prefix) and np.array_equal(whole[: len(prefix)], prefix):
        return np.asarray(whole[len(prefix) :], dtype=np.int32)
    alone = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    if not alone:
        raise UserError(f"the option {text!r} has no tokens, so its likelihood is not defined.")
    return np.asarray(alone, dtype=np.int32)


def encode_pair(
    tokenizer: PreTrainedTokenizerBase, context: str, text: str, *, bos_id: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens of a context and its continuation, split as by lm-evaluation-harness.

    Trailing blanks of the context go to the continuation; both are tokenised together, and the continuation's tokens
    are those beyond the number that the context alone has. An empty context is the BOS token, else the EOS token.

    Parameters
    ----------
    bos_id
        Token before the context; None: there is none.

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
        """Tokenise a text without special tokens."""
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
    attempts: Attempts,
    tap: Tap | None = None,
    model_precision: bool = False,
) -> list[Likelihood | Reason]:
    """Log-likelihoods of continuations, in the order given, or why one cannot be computed.

    Shared tokens are read once: the common start of all prefixes, a prefix with several continuations (a question and
    its options), and continuations that differ only in their last token. The first token of a continuation needs no
    pass, as the prefix's last position predicts it.

    Parameters
    ----------
    attempts
        Runs the batches.
    tap
        Receives the activations of prefixes that are prompts; None: they are not kept.
    model_precision
        Compute softmax and sum in the model's precision, as lm-evaluation-harness does, instead of float32.
    """
    import torch

    members: dict[bytes, list[int]] = {}
    for index, continuation in enumerate(asked):
        members.setdefault(continuation.prefix.tobytes(), []).append(index)
    positions = list(members.values())
    prefixes = [asked[indices[0]].prefix for indices in positions]
    shared = shared_start(lm, prefixes)
    results: list[Likelihood | Reason | None] = [None] * len(asked)
    lengths = [len(prefix) - shared for prefix in prefixes]

    def score(lm: LanguageModel, rows: np.ndarray) -> list[list[Likelihood | Reason]]:
        """Score the continuations of some prefixes in one batch."""
        groups = [[asked[index] for index in positions[row]] for row in rows]
        owners = [list(dict.fromkeys(one.asked for one in group if one.asked is not None)) for group in groups]
        with torch.inference_mode():
            read = read_prefixes(
                lm, [prefixes[row] for row in rows], owners, tap, shared=shared, model_precision=model_precision
            )
            rests = _rests(lm, read, groups, token_budget, attempts)
            return [
                [_likelihood(logprobs, one, rests.get((row, position))) for position, one in enumerate(group)]
                for row, (logprobs, group) in enumerate(zip(read.logprobs, groups, strict=True))
            ]

    for rows, scored in attempts.batches(lm, "prefixes", lengths, token_budget, score, cached=shared):
        for row, values in zip(rows, scored, strict=True):
            for position, index in enumerate(positions[row]):
                results[index] = values if isinstance(values, Reason) else values[position]
            advance(len(positions[row]))
    return [value for value in results if value is not None]


def _likelihood(logprobs: torch.Tensor, continuation: Continuation, rest: Steps | Reason | None) -> Likelihood | Reason:
    """Of a continuation: its first token, which the prefix predicts, and the rest."""
    import torch

    if isinstance(rest, Reason):
        return rest
    first = steps(logprobs, continuation.ids[:1])
    parts = [first] if rest is None else [first, rest]
    values = torch.cat([part.logprobs for part in parts])
    if bool(values.isnan().any()):
        return NOT_A_NUMBER
    return Likelihood(float(values.sum()), len(values), all(part.greedy for part in parts))


class Steps(NamedTuple):
    """The scores of consecutive tokens of a continuation."""

    logprobs: torch.Tensor
    """Log-probability of each token, of shape (tokens,)."""
    greedy: bool
    """Whether each is the likeliest token."""


def steps(logprobs: torch.Tensor, ids: np.ndarray) -> Steps:
    """Return the scores of a continuation's tokens, from log-probabilities of shape (>= tokens, vocabulary)."""
    import torch

    tokens = torch.from_numpy(ids.astype(np.int64)).to(logprobs.device)
    at = logprobs[: len(ids)]
    return Steps(at.gather(1, tokens[:, None])[:, 0], bool((at.argmax(dim=-1) == tokens).all()))


def _rests(
    lm: LanguageModel,
    read: PrefixPass,
    groups: Sequence[Sequence[Continuation]],
    token_budget: int,
    attempts: Attempts,
) -> dict[tuple[int, int], Steps | Reason]:
    """The steps of each continuation after its first token, or why there are none.

    Parameters
    ----------
    groups
        The continuations of each row of the pass over the prefixes.

    Returns
    -------
    dict
        By row and position of the continuation; those of one token lack.

    Raises
    ------
    OutOfMemoryError
        If tokens do not fit beside the keys and values of several prefixes.
    """
    import torch

    # The last token is only predicted, not read.
    branches: dict[tuple[int, tuple[int, ...]], list[int]] = {}
    for row, group in enumerate(groups):
        for position, continuation in enumerate(group):
            if len(continuation.ids) > 1:
                branches.setdefault((row, tuple(continuation.ids[:-1].tolist())), []).append(position)
    rows, sequences = [row for row, _ in branches], [np.asarray(ids, np.int32) for _, ids in branches]
    positions = list(branches.values())

    def follow(lm: LanguageModel, part: np.ndarray) -> list[dict[int, Steps]]:
        """Read some branches in one pass; for each, the steps of the continuations scored from it."""
        chosen = torch.tensor([rows[i] for i in part], device=lm.device)
        ids = torch.from_numpy(pad([sequences[i] for i in part], lm.pad_id)).to(lm.device)
        starts = torch.tensor([read.lengths[rows[i]] for i in part], device=lm.device)
        logits = lm.model(
            input_ids=ids,
            attention_mask=torch.cat([read.mask[chosen], torch.ones_like(ids)], dim=1),
            position_ids=starts[:, None] + torch.arange(ids.shape[1], device=lm.device),
            past_key_values=rows_of_cache(read.cache, chosen),
            use_cache=True,
        ).logits
        steps_of = []
        for i, of_branch in zip(part, logits, strict=True):
            logprobs = of_branch[: len(sequences[i])].to(read.logprobs.dtype).log_softmax(dim=-1)
            steps_of.append({position: steps(logprobs, groups[rows[i]][position].ids[1:]) for position in positions[i]})
        return steps_of

    by_continuation: dict[tuple[int, int], Steps | Reason] = {}
    lengths, cached = [len(ids) for ids in sequences], max(read.lengths)
    for part, results in attempts.batches(lm, "branches", lengths, token_budget, follow, cached=cached):
        for i, result in zip(part, results, strict=True):
            if result == OUT_OF_MEMORY and len(groups) > 1:
                raise OutOfMemoryError("the keys and values of other prefixes take the memory")
            for position in positions[i]:
                by_continuation[rows[i], position] = result if isinstance(result, Reason) else result[position]
    return by_continuation
