"""Read what follows prefixes: token sequences after the rows of a pass whose keys and values are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from competency_gaps.items.item import Reason
from competency_gaps.model.attempts import OUT_OF_MEMORY, Attempts
from competency_gaps.model.batches import pad
from competency_gaps.model.continuations import Group
from competency_gaps.model.forward import OutOfMemoryError
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prefixes import PrefixPass, rows_of_cache

if TYPE_CHECKING:
    import torch


class Steps(NamedTuple):
    """Consecutive tokens of a continuation."""

    logprobs: torch.Tensor
    """Of shape (tokens,)."""
    greedy: bool
    """Whether each is the likeliest token."""


def steps(logprobs: torch.Tensor, ids: np.ndarray) -> Steps:
    """Score tokens of a continuation from log-probabilities of shape (>= tokens, vocabulary)."""
    import torch

    tokens = torch.from_numpy(ids.astype(np.int64)).to(logprobs.device)
    at = logprobs[: len(ids)]
    return Steps(at.gather(1, tokens[:, None])[:, 0], bool((at.argmax(dim=-1) == tokens).all()))


class _Branch(NamedTuple):
    """A token sequence after a prefix."""

    row: int
    """Of the pass."""
    ids: tuple[int, ...]
    scored: list[int]
    """Places, among the row's continuations, of those that are scored from it."""


class BranchReader:
    """Reads what follows the prefixes of one pass; row and group have the same number."""

    def __init__(
        self, lm: LanguageModel, read: PrefixPass, groups: Sequence[Group], token_budget: int, attempts: Attempts
    ) -> None:
        self._lm, self._read, self._groups = lm, read, groups
        self._token_budget, self._attempts = token_budget, attempts

    def rests(self) -> dict[tuple[int, int], Steps | Reason]:
        """The steps of each continuation after those that the pass over the prefixes predicts, or why there are none.

        A sequence that starts another is read with that, and by itself if that fails.

        Returns
        -------
        dict
            By row and place of the continuation; those that have no further steps lack.

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
        made: dict[tuple[int, int], Steps | Reason] = {}
        alone: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        for branch, results in self._results(shared):
            made |= results
            if any(isinstance(result, Reason) for result in results.values()):
                own = self._groups[branch.row].rests()
                for i in branch.scored:
                    if own[i] != branch.ids:
                        alone.setdefault((branch.row, own[i]), []).append(i)
        for _, results in self._results([_Branch(row, ids, scored) for (row, ids), scored in alone.items()]):
            made |= results
        return made

    def _results(self, branches: list[_Branch]) -> Iterator[tuple[_Branch, dict[tuple[int, int], Steps | Reason]]]:
        def follow(part: np.ndarray) -> list[dict[int, Steps]]:
            return self._follow([branches[i] for i in part])

        lengths, cached = [len(branch.ids) for branch in branches], max(self._read.lengths)
        batches = self._attempts.batches("branches", lengths, self._token_budget, follow, cached=cached)
        for part, results in batches:
            for branch, result in zip((branches[i] for i in part), results, strict=True):
                if result == OUT_OF_MEMORY and len(self._groups) > 1:
                    raise OutOfMemoryError("the keys and values of other prefixes take the memory")
                yield (
                    branch,
                    {(branch.row, i): result if isinstance(result, Reason) else result[i] for i in branch.scored},
                )

    def _follow(self, branches: Sequence[_Branch]) -> list[dict[int, Steps]]:
        """Read branches in one pass; for each, the steps of the continuations scored from it."""
        import torch

        lm, read = self._lm, self._read
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
        made = []
        for place, branch in enumerate(branches):
            logprobs = logits[place, : len(branch.ids)].to(read.logprobs.dtype).log_softmax(dim=-1)
            group = self._groups[branch.row]
            made.append({i: steps(logprobs, group.asked[i].ids[group.alike + 1 :]) for i in branch.scored})
        return made
