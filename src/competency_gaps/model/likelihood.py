"""Log-likelihoods of continuations, batched over the items of a benchmark.

Shared tokens are read once: the common start of all prefixes, a prefix with several continuations (a question and its
options), the common start of these, and continuations that differ only in their last token. The pass over a prefix also
gives its activations, to a tap (:class:`~competency_gaps.model.prefixes.Tap`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from competency_gaps.items.item import Reason
from competency_gaps.model.batches import OUT_OF_MEMORY, Attempts, OutOfMemoryError, common_start, pad
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prefixes import PrefixPass, Tap, read_prefixes, rows_of_cache, shared_start
from competency_gaps.util.errors import UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

NOT_A_NUMBER = Reason("model_failed", "the model failed on it: its log-probabilities are not numbers")
"""Why a continuation with a token whose log-probability is NaN has no likelihood."""
_MAX_COMMON_TOKENS = 4
"""Most shared first tokens of a prefix's continuations that are read with the prefix. Their log-probabilities are kept
for every row of the batch, so the number is small."""


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


class Group:
    """Continuations of one prefix, and which tokens to read to score them."""

    def __init__(self, asked: list[Continuation]) -> None:
        self.asked = asked
        self.prefix = asked[0].prefix
        options = [continuation.ids for continuation in asked]
        self.common = max(0, min(common_start(options), min(map(len, options)) - 1, _MAX_COMMON_TOKENS))
        """Length of their common start that is read with the prefix, less than the shortest."""
        self.read = np.concatenate([self.prefix, asked[0].ids[: self.common]])
        """Tokens read once for all: the prefix and the common start."""
        self.owners = list(dict.fromkeys(option.asked for option in asked if option.asked is not None))

    def rests(self) -> dict[int, tuple[int, ...]]:
        """Return, by continuation, the tokens to read after ``read``; continuations without such tokens are missing.

        A continuation's last token is only predicted, not read.
        """
        rests = {i: tuple(continuation.ids[self.common : -1].tolist()) for i, continuation in enumerate(self.asked)}
        return {i: rest for i, rest in rests.items() if rest}

    def branches(self) -> dict[tuple[int, ...], list[int]]:
        """Return the token sequences to read after ``read``, each with the continuations scored from it.

        A sequence that starts another is read with that.
        """
        rests = self.rests()
        covered: dict[tuple[int, ...], tuple[int, ...]] = {}
        following: tuple[int, ...] = ()
        # In descending order, a sequence comes right after those that it starts.
        for rest in sorted(set(rests.values()), reverse=True):
            covered[rest] = covered[following] if following[: len(rest)] == rest else rest
            following = rest
        branches: dict[tuple[int, ...], list[int]] = {}
        for i, rest in rests.items():
            branches.setdefault(covered[rest], []).append(i)
        return branches


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
    """Return the log-likelihood of each continuation, in the order given, or why it cannot be computed.

    Shared tokens are read once: the common start of all prefixes, a prefix with several continuations (a question and
    its options), the common start of these, and continuations that differ only in their last token. The first token of
    a continuation needs no pass, as the prefix's last position predicts it.

    Parameters
    ----------
    token_budget
        Most tokens of a pass, padding included.
    advance
        Called with the number of continuations that were scored.
    attempts
        Runs the batches.
    tap
        Receives the activations of prefixes that are prompts; None: they are not computed.
    model_precision
        Compute softmax and sum in the model's precision, as lm-evaluation-harness does, instead of float32.
    """
    import torch

    members: dict[bytes, list[int]] = {}
    for index, continuation in enumerate(asked):
        members.setdefault(continuation.prefix.tobytes(), []).append(index)
    groups = [Group([asked[i] for i in indices]) for indices in members.values()]
    shared = shared_start(lm, [group.prefix for group in groups])
    results: list[Likelihood | Reason | None] = [None] * len(asked)
    places = list(members.values())
    kept = 1 + max((group.common for group in groups), default=0)
    lengths = [len(group.read) - shared for group in groups]

    def score(lm: LanguageModel, rows: np.ndarray) -> list[list[Likelihood | Reason]]:
        """Score the continuations of some prefixes in one batch."""
        members = [groups[row] for row in rows]
        prefixes, owners = [group.read for group in members], [group.owners for group in members]
        common = max(group.common for group in members)
        with torch.inference_mode():
            read = read_prefixes(
                lm, prefixes, owners, tap, shared=shared, kept=common + 1, model_precision=model_precision
            )
            rests = BranchReader(lm, read, members, token_budget, attempts).rests()
            return [
                [_likelihood(logprobs, group, i, rests.get((row, i))) for i in range(len(group.asked))]
                for row, (logprobs, group) in enumerate(zip(read.logprobs, members, strict=True))
            ]

    for rows, scored in attempts.batches(lm, "prefixes", lengths, token_budget, score, cached=shared, logits=kept):
        for row, values in zip(rows, scored, strict=True):
            for position, index in enumerate(places[row]):
                results[index] = values if isinstance(values, Reason) else values[position]
            advance(len(places[row]))
    return [value for value in results if value is not None]


def _likelihood(logprobs: torch.Tensor, group: Group, i: int, rest: Steps | Reason | None) -> Likelihood | Reason:
    """Return the likelihood of a group's continuation ``i``: of its common start, its next token and the rest."""
    import torch

    if isinstance(rest, Reason):
        return rest
    first = steps(logprobs[len(logprobs) - group.common - 1 :], group.asked[i].ids[: group.common + 1])
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


class _Branch(NamedTuple):
    """A token sequence to read after a prefix."""

    row: int
    """Row of the pass over the prefixes."""
    ids: tuple[int, ...]
    scored: list[int]
    """Indices of the row's continuations that are scored from it."""


class BranchReader:
    """Reads what follows the prefixes of one pass. Row ``i`` of the pass is group ``i``."""

    def __init__(
        self, lm: LanguageModel, read: PrefixPass, groups: Sequence[Group], token_budget: int, attempts: Attempts
    ) -> None:
        self._lm, self._read, self._groups = lm, read, groups
        self._token_budget, self._attempts = token_budget, attempts

    def rests(self) -> dict[tuple[int, int], Steps | Reason]:
        """Return the steps of each continuation beyond those that the pass over the prefixes predicts, or why there are
        none.

        A sequence that starts another is read with that, and by itself if that fails.

        Returns
        -------
        dict
            By row and index of the continuation; continuations without further steps are missing.

        Raises
        ------
        OutOfMemoryError
            If a branch does not fit beside the keys and values of several prefixes.
        """
        shared = [
            _Branch(row, ids, scored)
            for row, group in enumerate(self._groups)
            for ids, scored in group.branches().items()
        ]
        steps: dict[tuple[int, int], Steps | Reason] = {}
        alone: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        for branch, results in self._results(shared):
            steps |= results
            if any(isinstance(result, Reason) for result in results.values()):
                rests = self._groups[branch.row].rests()
                for i in branch.scored:
                    if rests[i] != branch.ids:
                        alone.setdefault((branch.row, rests[i]), []).append(i)
        for _, results in self._results([_Branch(row, ids, scored) for (row, ids), scored in alone.items()]):
            steps |= results
        return steps

    def _results(self, branches: list[_Branch]) -> Iterator[tuple[_Branch, dict[tuple[int, int], Steps | Reason]]]:
        """Read branches in batches; yield each with the steps of its continuations by row and index."""

        def follow(lm: LanguageModel, part: np.ndarray) -> list[dict[int, Steps]]:
            """Read the branches of one batch."""
            return self._follow(lm, [branches[i] for i in part])

        lengths, cached = [len(branch.ids) for branch in branches], max(self._read.lengths)
        batches = self._attempts.batches(self._lm, "branches", lengths, self._token_budget, follow, cached=cached)
        for part, results in batches:
            for branch, result in zip((branches[i] for i in part), results, strict=True):
                if result == OUT_OF_MEMORY and len(self._groups) > 1:
                    raise OutOfMemoryError("the keys and values of other prefixes take the memory")
                yield (
                    branch,
                    {(branch.row, i): result if isinstance(result, Reason) else result[i] for i in branch.scored},
                )

    def _follow(self, lm: LanguageModel, branches: Sequence[_Branch]) -> list[dict[int, Steps]]:
        """Read branches in one pass, and return for each the steps of the continuations scored from it."""
        import torch

        read = self._read
        sequences = [np.asarray(branch.ids, np.int32) for branch in branches]
        chosen = torch.tensor([branch.row for branch in branches], device=lm.device)
        ids = torch.from_numpy(pad(sequences, lm.pad_id)).to(lm.device)
        starts = torch.tensor([read.lengths[branch.row] for branch in branches], device=lm.device)
        logits = lm.model(
            input_ids=ids,
            attention_mask=torch.cat([read.mask[chosen], torch.ones_like(ids)], dim=1),
            position_ids=starts[:, None] + torch.arange(ids.shape[1], device=lm.device),
            past_key_values=rows_of_cache(read.cache, chosen),
            use_cache=True,
        ).logits
        steps_of = []
        for row, branch in enumerate(branches):
            logprobs = logits[row, : len(branch.ids)].to(read.logprobs.dtype).log_softmax(dim=-1)
            group = self._groups[branch.row]
            steps_of.append({i: steps(logprobs, group.asked[i].ids[group.common + 1 :]) for i in branch.scored})
        return steps_of
