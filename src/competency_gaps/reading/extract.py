"""From tokens to CAS rows: run the model up to the hook, encode the span with the SAE, pool to one row per item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from competency_gaps.items.config import Pooling, Span
from competency_gaps.items.item import Reason
from competency_gaps.model.batches import Attempts, token_budget_on
from competency_gaps.model.hooks import Hook, Start, cache_start, read_after, read_hook
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prefixes import Tap, shared_start
from competency_gaps.model.prompts import Tokens
from competency_gaps.reading.pooling import SparseRow, pool
from competency_gaps.reading.rows import CasBlock, make_block, token_tensors
from competency_gaps.sae.load import SparseAutoencoder

if TYPE_CHECKING:
    import torch


NOT_FINITE = Reason("activations_not_finite", "its activations are not finite")
"""Why an item has no row if its activations or latents are NaN or infinite."""
NEEDS_RESPONSE = frozenset({"response", "all"})
"""Spans that include the model's response."""
TEXT_ONLY = frozenset({"question", "response"})
"""Spans without boundary and template tokens, which are comparable with a reference of plain text."""


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
    prompt: int = 0
    """Number of tokens to read at least, even if the span ends before them."""


@dataclass(frozen=True)
class Extractor:
    """Turns sequences of tokens into CAS rows, with a model, a hook and an SAE."""

    lm: LanguageModel
    hook: Hook
    sae: SparseAutoencoder
    pooling: Pooling
    batch_tokens: int | None
    """Most tokens of a pass, padding included; None: by the kind of pass and the device."""
    keep_tokens: bool = False
    """Whether rows include the activations of single tokens."""
    attempts: Attempts = field(default_factory=Attempts)
    """Runs the batches of this run."""
    prompts: dict[int, torch.Tensor] | None = None
    """Receives the activations of each item's prompt, of shape (tokens, width), by its position in the benchmark; None:
    they are not stored."""

    @property
    def read_at_once(self) -> int:
        """Most tokens of a pass that reads and writes no answer."""
        return token_budget_on(self.lm.device, self.batch_tokens)

    def rows(self, sequences: Sequence[ItemTokens], advance: Callable[[int], None]) -> list[SparseRow | Reason]:
        """Return the sparse rows of sequences, in the order given, from forward passes that end at the hook.

        Sequences are batched by length under the token budget, a start that all share is read once, and only the span's
        tokens are encoded.

        Parameters
        ----------
        advance
            Called after each batch with its number of sequences.

        Returns
        -------
        list of SparseRow or Reason
            A reason says why a sequence has no row.
        """

        def read(lm: LanguageModel, chosen: np.ndarray) -> list[SparseRow | Reason]:
            """Read some sequences in one batch."""
            spans, ids = [sequences[i] for i in chosen], [prompts[i] for i in chosen]
            if not shared:
                return self.pooled(spans, list(read_hook(lm, self.hook, ids)))
            starts[:] = starts or [cache_start(lm, self.hook, ids[0][:shared])]
            return self.pooled(spans, read_after(lm, self.hook, starts[0], ids))

        rows: dict[int, SparseRow | Reason] = {}
        prompts = [s.ids[: needed(s)] for s in sequences]
        shared, starts = shared_start(self.lm, prompts), list[Start]()
        lengths = [len(ids) - shared for ids in prompts]
        batches = self.attempts.batches(self.lm, "activations", lengths, self.read_at_once, read, cached=shared)
        for batch, rows_ in batches:
            rows.update(zip(batch.tolist(), rows_, strict=True))
            advance(len(batch))
        return [rows[i] for i in range(len(sequences))]

    def pooled(self, sequences: Sequence[ItemTokens], activations: Sequence[torch.Tensor]) -> list[SparseRow | Reason]:
        """Return the sparse rows of sequences whose activations, each of shape (>= needed tokens, width), are known.

        A span whose activations, latents or scores are not all finite gives ``NOT_FINITE`` instead of a row.
        """
        import torch

        if self.prompts is not None:
            pairs = zip(sequences, activations, strict=True)
            self.prompts.update((sequence.item, x[: sequence.prompt]) for sequence, x in pairs)
        spans = [
            self.sae.inputs(x, sequence.span[: needed(sequence)])
            for sequence, x in zip(sequences, activations, strict=True)
        ]
        finite = torch.stack([span.isfinite().all() for span in spans]).tolist() if spans else []
        usable = [span for span, is_finite in zip(spans, finite, strict=True) if is_finite]
        rows = iter(pool(self.sae, usable, self.pooling, keep_tokens=self.keep_tokens))
        return [(next(rows) if is_finite else None) or NOT_FINITE for is_finite in finite]

    def tap(self, sequences: Sequence[ItemTokens | None]) -> Tap:
        """What takes rows from the passes that score or answer prompts, each with its tokens and the span inside it."""
        wanted = [None if sequence is None else sequence.ids[: needed(sequence)] for sequence in sequences]

        def pooled(asked: Sequence[int], activations: Sequence[torch.Tensor]) -> list[SparseRow | Reason]:
            """Pool the spans immediately and keep only the rows."""
            chosen = [sequence for sequence in (sequences[i] for i in asked) if sequence is not None]
            return self.pooled(chosen, activations)

        return Tap(self.hook, wanted, pooled)

    def block(
        self, sequences: Sequence[ItemTokens], rows: Sequence[SparseRow]
    ) -> tuple[CasBlock, dict[str, np.ndarray]]:
        """Return a block of sequences and their rows, and the tensors of single tokens' activations, if stored."""
        items = np.asarray([s.item for s in sequences], np.int64)
        places, tokens = [np.flatnonzero(s.span) for s in sequences], [(s.ids, s.offsets) for s in sequences]
        kept = [row.tokens for row in rows if row.tokens is not None]
        of_tokens = token_tensors(kept, places) if self.keep_tokens else {}
        return make_block(items, list(rows), places, tokens, self.sae.d_sae), of_tokens


def needed(sequence: ItemTokens) -> int:
    """Return how many tokens to read: up to the span's end, or ``prompt`` if more; later ones change nothing."""
    return max(sequence.prompt, int(np.flatnonzero(sequence.span)[-1]) + 1)


def span_mask(span: Span, prompt: Tokens, response: int) -> np.ndarray:
    """Return which tokens of prompt and response belong to the span.

    Parameters
    ----------
    prompt
        The tokens of the prompt.
    response
        Number of tokens in the response.

    Returns
    -------
    ndarray of bool of shape (prompt tokens + response,)
        ``question``: the item's own text; ``prompt``: the prompt without its BOS token; ``prompt+bos``: the whole
        prompt; ``response``: the response; ``all``: prompt (without BOS) and response.
    """
    of_prompt = {
        "question": prompt.in_body,
        "prompt+bos": np.ones_like(prompt.in_body),
        "response": np.zeros_like(prompt.in_body),
    }
    return np.concatenate([of_prompt.get(span, ~prompt.bos), np.full(response, span in NEEDS_RESPONSE)])
