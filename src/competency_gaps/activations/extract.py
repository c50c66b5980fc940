"""From tokens to CAS rows: run the model up to the hook, encode the span with the SAE, pool to one row per item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.activations.pooling import SparseRow, pool
from competency_gaps.activations.store import CasBlock, make_block, token_tensors
from competency_gaps.config import Pooling
from competency_gaps.errors import UserError
from competency_gaps.model.batches import plan_batches
from competency_gaps.model.forward import read_hook
from competency_gaps.model.hooks import Hook
from competency_gaps.model.load import LanguageModel
from competency_gaps.sae.load import SparseAutoencoder

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ItemTokens:
    """The tokens that the model reads for an item, and its span."""

    item: int
    """Position of the item in its benchmark."""
    ids: np.ndarray
    """int32 of shape (tokens,)."""
    offsets: np.ndarray
    """int32 of shape (tokens, 2): character ranges in the item's text."""
    span: np.ndarray
    """bool of shape (tokens,): the tokens that are pooled, at least one."""


@dataclass(frozen=True)
class Extractor:
    """Turns sequences into CAS rows, with a model, a hook and an SAE."""

    lm: LanguageModel
    hook: Hook
    sae: SparseAutoencoder
    pooling: Pooling
    batch_tokens: int
    keep_tokens: bool = False
    """Whether to keep the activations of single tokens."""

    def rows(self, sequences: Sequence[ItemTokens], advance: Callable[[int], None]) -> list[SparseRow]:
        """Sparse rows of sequences, in the order given, from forward passes that end at the hook.

        Sequences are batched by length under the token budget, and only the span's tokens are encoded.

        Parameters
        ----------
        advance
            Called after each batch with its number of sequences.
        """
        rows: dict[int, SparseRow] = {}
        for batch in plan_batches([needed(s) for s in sequences], self.batch_tokens):
            chosen = [sequences[i] for i in batch]
            activations = read_hook(self.lm, self.hook, [s.ids[: needed(s)] for s in chosen])
            rows.update(zip(batch.tolist(), self.pooled(chosen, list(activations)), strict=True))
            advance(len(chosen))
        return [rows[i] for i in range(len(sequences))]

    def pooled(self, sequences: Sequence[ItemTokens], activations: Sequence[torch.Tensor]) -> list[SparseRow]:
        """Encode and pool the spans of given activations, each of shape (>= needed tokens, width).

        Raises
        ------
        UserError
            If an activation is not finite.
        """
        spans = [
            self.sae.inputs(x, sequence.span[: needed(sequence)])
            for sequence, x in zip(sequences, activations, strict=True)
        ]
        for sequence, span in zip(sequences, spans, strict=True):
            if not bool(span.isfinite().all()):
                raise UserError(
                    f"the activations of item number {sequence.item} are not finite in "
                    f"{self.lm.identity['dtype']}: set model.dtype to bfloat16 or float32, and take another folder."
                )
        return pool(self.sae, spans, self.pooling, keep_tokens=self.keep_tokens)

    def block(self, sequences: Sequence[ItemTokens], rows: Sequence[SparseRow]) -> CasBlock:
        """Make a block of sequences and their rows."""
        return make_block(
            np.asarray([s.item for s in sequences], np.int64),
            list(rows),
            [np.flatnonzero(s.span) for s in sequences],
            [(s.ids, s.offsets) for s in sequences],
            self.sae.d_sae,
        )

    def token_tensors(self, sequences: Sequence[ItemTokens], rows: Sequence[SparseRow]) -> dict[str, np.ndarray]:
        """Tensors of the activations of single tokens; empty if they are not kept."""
        if not self.keep_tokens:
            return {}
        kept = [row.tokens for row in rows if row.tokens is not None]
        longest = max((len(s.ids) for s in sequences), default=0)
        return token_tensors(kept, [np.flatnonzero(s.span) for s in sequences], longest)


class SpanTap:
    """Takes CAS rows from the passes that score or answer prompts.

    Parameters
    ----------
    sequences
        Per prompt, its tokens with the span inside the prompt; None: no row is wanted.
    """

    def __init__(self, extractor: Extractor, sequences: Sequence[ItemTokens | None]) -> None:
        self.hook = extractor.hook
        self.rows: dict[int, SparseRow] = {}
        """By index in ``sequences``."""
        self._extractor, self._sequences = extractor, sequences

    def wanted(self, asked: int) -> np.ndarray | None:
        """The prompt up to the span's last token; None: nothing is wanted, or the row was taken."""
        sequence = self._sequences[asked]
        return None if sequence is None or asked in self.rows else sequence.ids[: needed(sequence)]

    def take(self, asked: Sequence[int], activations: Sequence[torch.Tensor]) -> None:
        """Pool the spans immediately and keep only the rows."""
        chosen = [sequence for sequence in (self._sequences[i] for i in asked) if sequence is not None]
        self.rows.update(zip(asked, self._extractor.pooled(chosen, activations), strict=True))


def needed(sequence: ItemTokens) -> int:
    """Number of tokens up to the span's end: a causal model need not read what follows."""
    return int(np.flatnonzero(sequence.span)[-1]) + 1
