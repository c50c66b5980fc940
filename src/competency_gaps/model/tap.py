"""Activations of prompts, taken out of the very pass that answers a question about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np

from competency_gaps.model.hooks import Hook, captured
from competency_gaps.model.load import LanguageModel

if TYPE_CHECKING:
    import torch


class Tap(Protocol):
    """Who wants the activations of asked prompts."""

    hook: Hook

    def wanted(self, asked: int) -> np.ndarray | None:
        """Tokens that must be read for one asked prompt: int32 of shape (tokens,), the prompt up to the last token that
        counts. Null: nothing is wanted of it, or it was taken already."""

    def take(self, asked: Sequence[int], activations: Sequence[torch.Tensor]) -> None:
        """Get the activations of some asked prompts, each of shape (>= wanted tokens, width)."""


class PrefixTap:
    """Hands a :class:`Tap` what a batched pass over prefixes computes at its hook."""

    def __init__(self, tap: Tap | None) -> None:
        self.tap = tap

    @contextmanager
    def over(
        self, lm: LanguageModel, prefixes: Sequence[np.ndarray], owners: Sequence[Sequence[int]], *, passes: int = 1
    ) -> Iterator[None]:
        """Capture the first pass in the body of the ``with``, which reads ``prefixes`` padded on the left.

        Parameters
        ----------
        owners
            Per prefix, the asked prompts that may be read from it; a prompt of which the prefix holds too little (its
            last blanks were moved behind it, say) is passed over.
        passes
            2: the first pass reads the shared start of all prefixes, in one row, and the second the rest of each.
        """
        asked = [(row, one) for row, members in enumerate(owners) for one in members if self._held(prefixes[row], one)]
        if self.tap is None or not asked:
            yield
            return
        with captured(lm.model, self.tap.hook, stop=False, passes=passes) as captures:
            yield
        if len(captures) < passes:
            return
        start, rest = captures[0].flatten(start_dim=2)[0], captures[-1].flatten(start_dim=2)
        activations = [_row(start, rest[row], len(prefixes[row])) for row, _ in asked]
        self.tap.take([one for _, one in asked], activations)

    def _held(self, prefix: np.ndarray, one: int) -> bool:
        wanted = None if self.tap is None else self.tap.wanted(one)
        return wanted is not None and len(wanted) <= len(prefix) and np.array_equal(prefix[: len(wanted)], wanted)


def _row(start: torch.Tensor, rest: torch.Tensor, tokens: int) -> torch.Tensor:
    """Activations of all of a row's tokens; those that the last pass did not compute are the first ones of ``start``.

    Parameters
    ----------
    rest : torch.Tensor of shape (positions, width)
        Of the last positions of the row, or of all of them after some padding.
    """
    import torch

    before = max(0, tokens - len(rest))
    own = rest[len(rest) - (tokens - before) :]
    return torch.cat([start[:before], own]) if before else own
