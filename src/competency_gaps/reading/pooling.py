"""From a span's tokens to one sparse row per item: the concept activation score (CAS).

``mean`` [paper]: ``CAS(c, x) = (1 / |S(x)|) * sum over t in S(x) of z_c(t)``; ``max`` [ours]: the largest.
Latents are dense only within a chunk; of single tokens, only non-zero activations are returned, and only on request.
On a processor a chunk is small enough to stay in its caches, where every step but the product of matrices is cheap.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import torch

    from competency_gaps.sae.load import SparseAutoencoder

CHUNK_ELEMENTS = 2_000_000
"""Most latents (tokens x SAE width) in memory as a dense array, if they are those of at least ``MIN_TOKENS`` tokens."""
MIN_TOKENS = 64
"""Fewest tokens of a chunk, however wide the SAE: its weights are read once for each chunk."""
MAX_PADDING_RATIO = 2
"""Largest ratio of a group's tokens, padding included, to those of a chunk."""
GPU_FACTOR = 64
"""Factor on ``CHUNK_ELEMENTS`` for a GPU, which waits a little for each chunk: 512 MiB in float32."""


class TokenRow(NamedTuple):
    """An item's activations on single tokens, by concept and then by token."""

    counts: np.ndarray
    """int32 of shape (active concepts,), >= 1: number of tokens on which each concept is active."""
    tokens: np.ndarray
    """int32 of shape (activations,): index, inside the span, of the token."""
    values: np.ndarray
    """float32 of shape (activations,), > 0."""


class SparseRow(NamedTuple):
    """The concepts active in an item."""

    concepts: np.ndarray
    """int32 of shape (active,), ascending: the concepts active anywhere in the span."""
    cas: np.ndarray
    """float32 of shape (active,), > 0: their concept activation scores."""
    peaks: np.ndarray
    """int32 of shape (active,): index, inside the span, of the token where each is strongest (the first if tied)."""
    tokens: TokenRow | None = None
    """Activations on single tokens; None if not requested."""


def token_row(tokens: np.ndarray, concepts: np.ndarray, values: np.ndarray) -> TokenRow:
    """Return activations on single tokens, sorted by concept and then by token.

    Parameters
    ----------
    tokens, concepts, values : ndarray of shape (activations,)
        Ordered by token.
    """
    order = np.argsort(concepts, kind="stable")
    counts = np.unique(concepts, return_counts=True)[1]
    return TokenRow(counts.astype(np.int32), tokens[order].astype(np.int32), values[order].astype(np.float32))


def pool(
    sae: SparseAutoencoder,
    spans: Sequence[torch.Tensor],
    pooling: Literal["mean", "max"],
    *,
    keep_tokens: bool = False,
    chunk: int | None = None,
) -> list[SparseRow | None]:
    """Return the sparse row of each span, from its encoded activations.

    Parameters
    ----------
    spans : sequence of torch.Tensor, each of shape (span tokens, d_in)
        Each with at least one token.
    keep_tokens
        Whether rows include the activations of single tokens.
    chunk
        Tokens whose latents are in memory at once; None: by the SAE's width and device.

    Returns
    -------
    list of SparseRow or None
        One per span, equal to SAELens' ``encode`` followed by a plain mean (maximum) over tokens; None if latents of
        the span are not finite.
    """
    import torch

    longest = chunk or chunk_tokens(sae, GPU_FACTOR if sae.sae.device.type == "cuda" else 1)
    rows: list[SparseRow | None] = []
    group: list[torch.Tensor] = []
    size = 0
    with torch.inference_mode():
        for span in spans:
            # Among short spans a long one would have them all padded to its length.
            padded = (len(group) + 1) * max(len(span), *map(len, group), 0)
            if group and (size + len(span) > longest or padded > MAX_PADDING_RATIO * longest):
                rows += _pool_group(sae, group, pooling, keep_tokens)
                group, size = [], 0
            if len(span) > longest:
                rows.append(_pool_long(sae, span, pooling, longest, keep_tokens))
            else:
                group.append(span)
                size += len(span)
        if group:
            rows += _pool_group(sae, group, pooling, keep_tokens)
    return rows


def chunk_tokens(sae: SparseAutoencoder, factor: int = 1) -> int:
    """Return the number of tokens whose latents are in memory at once."""
    return max(MIN_TOKENS, CHUNK_ELEMENTS * factor // sae.d_sae)


def _pool_group(
    sae: SparseAutoencoder, spans: list[torch.Tensor], pooling: str, keep_tokens: bool
) -> list[SparseRow | None]:
    """Return the rows of spans that are encoded together; None for a span with latents that are not finite."""
    import torch

    latents = sae.encode(torch.cat(spans))
    parts = latents.split([len(span) for span in spans])
    highest = torch.stack([part.amax(dim=0) for part in parts])
    cas = torch.stack([part.float().mean(dim=0) for part in parts]) if pooling == "mean" else highest.float()
    is_finite = (highest.isfinite() & cas.isfinite()).all(dim=1)
    active = highest.gt(0)
    rows, concepts = active.nonzero(as_tuple=True)
    # As few copies as can be: each waits for the device.
    finite, ends = torch.stack([is_finite, active.sum(dim=1).cumsum(0)]).tolist()
    # Of few concepts, what follows costs much less than of all.
    longest = max(map(len, parts))
    grid = torch.cat(
        [
            torch.nn.functional.pad(part[:, concepts[start:end]].T, (0, longest - len(part)))
            for part, (start, end) in zip(parts, pairwise([0, *ends]), strict=True)
        ]
    )
    kinds = (torch.int32, torch.float32, torch.int32)
    reduced = zip((concepts, cas[rows, concepts], grid.argmax(dim=1)), kinds, strict=True)
    columns = [values.to("cpu", kind).numpy() for values, kind in reduced]
    rows_ = [SparseRow(*(column[a:b] for column in columns)) for a, b in pairwise([0, *ends])]
    if keep_tokens:
        rows_ = [row._replace(tokens=tokens) for row, tokens in zip(rows_, _token_rows(grid, ends), strict=True)]
    return [row if is_finite else None for row, is_finite in zip(rows_, finite, strict=True)]


def _token_rows(grid: torch.Tensor, ends: Sequence[int]) -> list[TokenRow]:
    """Return the activations on single tokens of spans, from ``grid`` of shape (concepts, tokens).

    The concepts of span ``i`` end at row ``ends[i]``.
    """
    import torch

    active = grid.gt(0)
    rows, tokens = active.nonzero(as_tuple=True)
    values = grid[rows, tokens].to("cpu", torch.float32).numpy()
    counts, places = (numbers.to("cpu", torch.int32).numpy() for numbers in (active.sum(dim=1), tokens))
    bounds = np.concatenate([[0], np.cumsum(counts)])[[0, *ends]].tolist()
    return [
        TokenRow(counts[start:end], places[first:last], values[first:last])
        for (start, end), (first, last) in zip(pairwise([0, *ends]), pairwise(bounds), strict=True)
    ]


def _pool_long(
    sae: SparseAutoencoder, span: torch.Tensor, pooling: str, longest: int, keep_tokens: bool
) -> SparseRow | None:
    """Return the row of a span that is encoded in several chunks; None if its latents are not finite."""
    import torch

    active: list[tuple[torch.Tensor, ...]] = []
    finite = True
    for start in range(0, len(span), longest):
        latents = sae.encode(span[start : start + longest])
        finite &= bool(latents.isfinite().all())
        tokens, concepts = latents.gt(0).nonzero(as_tuple=True)
        active.append((tokens + start, concepts, latents[tokens, concepts].float()))
    tokens, concepts, values = (torch.cat(parts).cpu().numpy() for parts in zip(*active, strict=True))
    order = np.lexsort((-values, concepts))  # stable: of equal activations the first
    known, first, index = np.unique(concepts[order], return_index=True, return_inverse=True)
    strongest = order[first]
    total = np.bincount(index, values[order], len(known))
    cas = (total / len(span)).astype(np.float32) if pooling == "mean" else values[strongest]
    if not finite or not np.isfinite(cas).all():
        return None
    kept = token_row(tokens, concepts, values) if keep_tokens else None
    return SparseRow(known.astype(np.int32), cas, tokens[strongest].astype(np.int32), kept)
