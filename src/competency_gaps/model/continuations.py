"""Continuations of prefixes, whose likelihood is asked: their tokens, and what those of one prefix share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.errors import UserError
from competency_gaps.model.batches import common_start

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_ALIKE = 4
"""Most shared first tokens of a prefix's continuations that are read with the prefix. Their log-probabilities are kept
for every row of the batch, so the number is small."""


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


class Group:
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

    def rests(self) -> dict[int, tuple[int, ...]]:
        """Tokens that are read after ``read`` to score each continuation; those of which nothing more is read lack.

        A continuation's last token is only predicted, not read.
        """
        rests = {i: tuple(continuation.ids[self.alike : -1].tolist()) for i, continuation in enumerate(self.asked)}
        return {i: rest for i, rest in rests.items() if rest}

    def branches(self) -> dict[tuple[int, ...], list[int]]:
        """Token sequences to read after ``read``, each with the continuations scored from it.

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
