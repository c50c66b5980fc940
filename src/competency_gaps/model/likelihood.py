"""Log-likelihoods of continuations, batched over the items of a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

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
    """int32 of shape (>= 1,)."""


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

    The last token of a continuation is never an input, so continuations that share all tokens but
    the last (the letters of a question) share one row.
    """
    rows: dict[bytes, list[int]] = {}
    inputs: list[np.ndarray] = []
    for index, one in enumerate(asked):
        ids = np.concatenate([one.prefix, one.ids[:-1]]).astype(np.int32)
        members = rows.setdefault(ids.tobytes(), [])
        if not members:
            inputs.append(ids)
        members.append(index)
    groups = list(rows.values())
    found: list[Likelihood | None] = [None] * len(asked)
    for batch in plan_batches([len(ids) for ids in inputs], token_budget):
        members = [groups[row] for row in batch]
        results = _score_batch(lm, [inputs[row] for row in batch], [[asked[i] for i in group] for group in members])
        for group, scored in zip(members, results, strict=True):
            for index, value in zip(group, scored, strict=True):
                found[index] = value
        advance(sum(len(group) for group in members))
    return [value for value in found if value is not None]


def _score_batch(
    lm: LanguageModel, inputs: list[np.ndarray], asked: list[list[Continuation]]
) -> list[list[Likelihood]]:
    import torch

    ids = torch.from_numpy(pad(inputs, lm.pad_id)).to(lm.device)
    longest = ids.shape[1]
    # Logits are only made for the last positions that some row needs: the vocabulary is wide.
    first = min(len(one.prefix) - 1 for group in asked for one in group)
    keep = longest - first
    with torch.inference_mode(), enough_memory(ids):
        logits = lm.model(input_ids=ids, use_cache=False, logits_to_keep=keep).logits[:, -keep:]
        return [[_likelihood(logits[row], one, first) for one in group] for row, group in enumerate(asked)]


def _likelihood(logits: torch.Tensor, one: Continuation, first: int) -> Likelihood:
    import torch

    start = len(one.prefix) - 1 - first
    steps = logits[start : start + len(one.ids)].float().log_softmax(dim=-1)
    targets = torch.from_numpy(one.ids.astype(np.int64)).to(steps.device)
    return Likelihood(float(steps.gather(1, targets[:, None]).sum()), len(one.ids))
