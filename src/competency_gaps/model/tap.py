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
        self, lm: LanguageModel, prefixes: Sequence[np.ndarray], owners: Sequence[Sequence[int]]
    ) -> Iterator[None]:
        """Capture the first pass in the body of the ``with``, which reads ``prefixes`` padded on the left.

        Parameters
        ----------
        owners
            Per prefix, the asked prompts that may be read from it; a prompt of which the prefix holds too little (its
            last blanks were moved behind it, say) is passed over.
        """
        asked = [(row, one) for row, members in enumerate(owners) for one in members if self._held(prefixes[row], one)]
        if self.tap is None or not asked:
            yield
            return
        with captured(lm.model, self.tap.hook, stop=False, passes=1) as found:
            yield
        if not found:
            return
        activations = found[0].flatten(start_dim=2)
        longest = activations.shape[1]
        self.tap.take([one for _, one in asked], [activations[row, longest - len(prefixes[row]) :] for row, _ in asked])

    def _held(self, prefix: np.ndarray, one: int) -> bool:
        wanted = None if self.tap is None else self.tap.wanted(one)
        return wanted is not None and len(wanted) <= len(prefix) and np.array_equal(prefix[: len(wanted)], wanted)
