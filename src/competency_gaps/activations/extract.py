"""From prepared items to CAS blocks: the model up to the hook, the SAE on the span, one row per item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.activations.pooling import SparseRow, pool
from competency_gaps.activations.store import CasBlock, make_block
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
    """What the model reads for one item, and which of its tokens count."""

    item: int
    """Position of the item in its benchmark."""
    ids: np.ndarray
    """int32 of shape (tokens,)."""
    offsets: np.ndarray
    """int32 of shape (tokens, 2): character ranges in the item's text."""
    span: np.ndarray
    """bool of shape (tokens,): at least one is true."""


@dataclass(frozen=True)
class Extractor:
    """Model, hook and SAE, ready to turn sequences into CAS rows."""

    lm: LanguageModel
    hook: Hook
    sae: SparseAutoencoder
    pooling: Pooling
    batch_tokens: int

    def extract(self, sequences: Sequence[ItemTokens], advance: Callable[[int], None]) -> CasBlock:
        """CAS rows of sequences, in the order given.

        The forward pass ends at the hook, rows are batched by length under the token budget, and
        only the span's tokens are encoded.

        Parameters
        ----------
        advance
            Told the number of tokens after each batch.
        """
        rows: list[SparseRow | None] = [None] * len(sequences)
        for batch in plan_batches([_needed(s) for s in sequences], self.batch_tokens):
            chosen = [sequences[i] for i in batch]
            activations = read_hook(self.lm, self.hook, [s.ids[: _needed(s)] for s in chosen])
            spans = [activations[row, : _needed(s)][_mask(s, activations.device)] for row, s in enumerate(chosen)]
            for one, span in zip(chosen, spans, strict=True):
                if not bool(span.isfinite().all()):
                    raise UserError(
                        f"the activations of item number {one.item} are not finite in "
                        f"{self.lm.identity['dtype']}: set model.dtype to bfloat16 or float32 and give another --out."
                    )
            for index, sparse in zip(batch, pool(self.sae, spans, self.pooling), strict=True):
                rows[index] = sparse
            advance(sum(len(s.ids) for s in chosen))
        return make_block(
            np.asarray([s.item for s in sequences]),
            [row for row in rows if row is not None],
            [np.flatnonzero(s.span) for s in sequences],
            [(s.ids, s.offsets) for s in sequences],
            self.sae.d_sae,
        )


def _needed(sequence: ItemTokens) -> int:
    """Tokens up to the last one of the span: a causal model need not read what comes after."""
    return int(np.flatnonzero(sequence.span)[-1]) + 1


def _mask(sequence: ItemTokens, device: torch.device) -> torch.Tensor:
    import torch

    return torch.from_numpy(sequence.span[: _needed(sequence)]).to(device)
