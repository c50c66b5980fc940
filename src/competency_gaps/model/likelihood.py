"""Log-likelihoods of continuations, batched over the items of a benchmark.

The pass over a prefix also gives its activations, to a tap (:class:`~competency_gaps.model.prefixes.Tap`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from competency_gaps.items.item import Reason
from competency_gaps.model.attempts import Attempts
from competency_gaps.model.branches import BranchReader, Steps, steps
from competency_gaps.model.continuations import Continuation, Group
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prefixes import PrefixTap, Tap, read_prefixes, shared_start

if TYPE_CHECKING:
    import torch


NOT_A_NUMBER = Reason("model_failed", "the model fails on it: its log-probabilities are not numbers")
"""Why a continuation has no likelihood of which a token's log-probability is NaN."""


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
    its options), the common start of these, and continuations that differ only in their last token. The first token of
    a continuation needs no pass, as the prefix's last position predicts it.

    Parameters
    ----------
    attempts
        Runs the batches.
    tap
        Receives the activations of prefixes that are prompts; None: they are not kept.
    model_precision
        Compute softmax and sum in the model's precision, as lm-evaluation-harness does, instead of float32.
    """
    members: dict[bytes, list[int]] = {}
    for index, continuation in enumerate(asked):
        members.setdefault(continuation.prefix.tobytes(), []).append(index)
    groups = [Group([asked[i] for i in indices]) for indices in members.values()]
    shared = shared_start(lm, [group.prefix for group in groups])
    results: list[Likelihood | Reason | None] = [None] * len(asked)
    places = list(members.values())
    kept = 1 + max((group.alike for group in groups), default=0)
    lengths = [len(group.read) - shared for group in groups]

    def score(rows: np.ndarray) -> list[list[Likelihood | Reason]]:
        chosen = [groups[row] for row in rows]
        return _score_groups(lm, chosen, token_budget, PrefixTap(tap), shared, model_precision, attempts)

    for rows, scored in attempts.batches("prefixes", lengths, token_budget, score, cached=shared, logits=kept):
        for row, values in zip(rows, scored, strict=True):
            for place, index in enumerate(places[row]):
                results[index] = values if isinstance(values, Reason) else values[place]
            advance(len(places[row]))
    return [value for value in results if value is not None]


def _score_groups(
    lm: LanguageModel,
    groups: list[Group],
    token_budget: int,
    tap: PrefixTap,
    shared: int,
    model_precision: bool,
    attempts: Attempts,
) -> list[list[Likelihood | Reason]]:
    """Likelihoods of the continuations of each group in a batch, in order, or why one cannot be computed."""
    import torch

    with torch.inference_mode():
        read = read_prefixes(
            lm,
            [group.read for group in groups],
            [group.owners for group in groups],
            tap,
            shared=shared,
            kept=max(group.alike for group in groups) + 1,
            model_precision=model_precision,
        )
        rests = BranchReader(lm, read, groups, token_budget, attempts).rests()
        return [
            [
                _likelihood(_first_steps(logprobs, continuation, group.alike), rests.get((row, i)))
                for i, continuation in enumerate(group.asked)
            ]
            for row, (logprobs, group) in enumerate(zip(read.logprobs, groups, strict=True))
        ]


def _first_steps(logprobs: torch.Tensor, continuation: Continuation, alike: int) -> Steps:
    """A continuation's tokens in the common start, and the next one."""
    return steps(logprobs[len(logprobs) - alike - 1 :], continuation.ids[: alike + 1])


def _likelihood(first: Steps, rest: Steps | Reason | None) -> Likelihood | Reason:
    import torch

    if isinstance(rest, Reason):
        return rest
    parts = [first] if rest is None else [first, rest]
    values = torch.cat([part.logprobs for part in parts])
    if bool(values.isnan().any()):
        return NOT_A_NUMBER
    return Likelihood(float(values.sum()), tuple(values.tolist()), all(part.greedy for part in parts))
