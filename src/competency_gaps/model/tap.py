"""Take activations of prompts from the pass that scores or answers them."""

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
    """Receives the activations of prompts."""

    hook: Hook

    def wanted(self, asked: int) -> np.ndarray | None:
        """Tokens of a prompt whose activations are wanted: int32 of shape (tokens,), the prompt up to its span's end;
        None: none are wanted, or they were taken."""

    def take(self, asked: Sequence[int], activations: Sequence[torch.Tensor]) -> None:
        """Receive the activations of some prompts, each of shape (>= wanted tokens, width)."""


class PrefixTap:
    """Gives a :class:`Tap` the activations at its hook in a batched pass over prefixes."""

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
            Per prefix, the numbers of the prompts whose activations it can give; a prompt that the prefix does not hold
            far enough (for example, because its last blanks went to the continuation) is skipped.
        passes
            2: the first pass reads the shared start of all prefixes, in one row, and the second the rest of each.
        """
        asked = [
            (row, prompt)
            for row, members in enumerate(owners)
            for prompt in members
            if self._held(prefixes[row], prompt)
        ]
        if self.tap is None or not asked:
            yield
            return
        with captured(lm.model, self.tap.hook, stop=False, passes=passes) as captures:
            yield
        if len(captures) < passes:
            return
        start, rest = captures[0].flatten(start_dim=2)[0], captures[-1].flatten(start_dim=2)
        activations = [_row(start, rest[row], len(prefixes[row])) for row, _ in asked]
        self.tap.take([prompt for _, prompt in asked], activations)

    def _held(self, prefix: np.ndarray, prompt: int) -> bool:
        wanted = None if self.tap is None else self.tap.wanted(prompt)
        return wanted is not None and len(wanted) <= len(prefix) and np.array_equal(prefix[: len(wanted)], wanted)


def _row(start: torch.Tensor, rest: torch.Tensor, tokens: int) -> torch.Tensor:
    """Activations of all tokens of a row; those that the last pass did not compute are the first of ``start``.

    Parameters
    ----------
    rest : torch.Tensor of shape (positions, width)
        Activations of the row's last positions, or of all positions after padding.
    """
    import torch

    before = max(0, tokens - len(rest))
    own = rest[len(rest) - (tokens - before) :]
    return torch.cat([start[:before], own]) if before else own
