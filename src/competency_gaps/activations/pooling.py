"""From a span's tokens to one sparse row per item: the concept activation score (CAS).

``mean`` [paper]: ``CAS(c, x) = (1 / |S(x)|) * sum over t in S(x) of z_c(t)``; ``max`` [ours]: the largest.
Latents are dense only within a chunk; of single tokens, only non-zero activations are kept, and only on request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from competency_gaps.sae.load import SparseAutoencoder

if TYPE_CHECKING:
    import torch

CHUNK_ELEMENTS = 16_000_000
"""Most latents (tokens x SAE width) in memory as a dense array."""
GPU_FACTOR = 16
"""Factor on a GPU, which needs large products to be busy: 1 GiB in float32."""


class TokenRow(NamedTuple):
    """An item's activations on single tokens, by concept and then by token."""

    counts: np.ndarray
    """int32 of shape (active concepts,), >= 1: number of tokens on which each concept is active."""
    tokens: np.ndarray
    """int32 of shape (activations,): index, inside the span, of the token."""
    values: np.ndarray
    """float32 of shape (activations,), > 0."""


class SparseRow(NamedTuple):
    """An item's concepts."""

    concepts: np.ndarray
    """int32 of shape (active,), ascending: the concepts active anywhere in the span."""
    cas: np.ndarray
    """float32 of shape (active,), > 0: their concept activation scores."""
    peaks: np.ndarray
    """int32 of shape (active,): index, inside the span, of the token where each is strongest (the first if tied)."""
    tokens: TokenRow | None = None
    """Activations on single tokens; None: not kept."""


class _Active(NamedTuple):
    """The non-zero latents of some tokens, in the order of tokens."""

    tokens: np.ndarray
    concepts: np.ndarray
    values: np.ndarray

    def between(self, start: int, end: int) -> TokenRow:
        """The activations on tokens ``start`` to ``end - 1``, sorted by concept; tokens numbered from ``start``."""
        first, last = np.searchsorted(self.tokens, [start, end])
        return token_row(self.tokens[first:last] - start, self.concepts[first:last], self.values[first:last])


def token_row(tokens: np.ndarray, concepts: np.ndarray, values: np.ndarray) -> TokenRow:
    """Sort activations in token order by concept.

    Parameters
    ----------
    tokens, concepts, values : ndarray of shape (activations,)
        Tokens ascend.
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
    chunk_elements: int = CHUNK_ELEMENTS,
) -> list[SparseRow | None]:
    """Encode spans and reduce each to its sparse row.

    Parameters
    ----------
    spans : sequence of torch.Tensor, each of shape (span tokens, d_in)
        Each span holds at least one token.
    keep_tokens
        Whether to keep the activations of single tokens.
    chunk_elements
        Most latents in memory as a dense array, on a CPU.

    Returns
    -------
    list of SparseRow or None
        One per span, equal to SAELens' ``encode`` followed by a plain mean (maximum) over tokens; None: latents of the
        span are not finite.
    """
    import torch

    on_gpu = sae.sae.device.type == "cuda"
    longest = max(1, chunk_elements * (GPU_FACTOR if on_gpu else 1) // sae.d_sae)
    rows: list[SparseRow | None] = []
    group: list[torch.Tensor] = []
    size = 0
    with torch.inference_mode():
        for span in spans:
            if group and size + len(span) > longest:
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


def _pool_group(
    sae: SparseAutoencoder, spans: list[torch.Tensor], pooling: str, keep_tokens: bool
) -> list[SparseRow | None]:
    import torch

    latents = sae.encode(torch.cat(spans))
    active = _active(latents) if keep_tokens else None
    rows, start = [], 0
    for span in spans:
        end = start + len(span)
        part = latents[start:end]
        highest, peaks = part.max(dim=0)
        row = _row(part.float().mean(dim=0) if pooling == "mean" else highest.float(), highest, peaks)
        rows.append(row._replace(tokens=active.between(start, end)) if row and active else row)
        start = end
    return rows


def _pool_long(
    sae: SparseAutoencoder, span: torch.Tensor, pooling: str, longest: int, keep_tokens: bool
) -> SparseRow | None:
    """Pool a span that is encoded in several chunks."""
    import torch

    total = highest = peaks = None
    active: list[_Active] = []
    for start in range(0, len(span), longest):
        part = sae.encode(span[start : start + longest])
        if keep_tokens:
            part_active = _active(part)
            active.append(part_active._replace(tokens=part_active.tokens + start))
        part_sum = part.double().sum(dim=0)
        part_highest, part_peaks = part.max(dim=0)
        if total is None or highest is None or peaks is None:
            total, highest, peaks = part_sum, part_highest, part_peaks
            continue
        total += part_sum
        peaks = torch.where(part_highest > highest, part_peaks + start, peaks)
        highest = torch.maximum(highest, part_highest)
    assert total is not None and highest is not None and peaks is not None
    row = _row((total / len(span)).float() if pooling == "mean" else highest.float(), highest, peaks)
    if row is None or not keep_tokens:
        return row
    joined = _Active(*(np.concatenate(parts) for parts in zip(*active, strict=True)))
    return row._replace(tokens=joined.between(0, len(span)))


def _active(latents: torch.Tensor) -> _Active:
    tokens, concepts = latents.gt(0).nonzero(as_tuple=True)
    values = latents[tokens, concepts].float()
    return _Active(tokens.to("cpu").numpy(), concepts.to("cpu").numpy(), values.to("cpu").numpy())


def _row(cas: torch.Tensor, highest: torch.Tensor, peaks: torch.Tensor) -> SparseRow | None:
    """A sparse row; None: a latent is NaN, which is not greater than 0 either, or infinite."""
    if not bool((highest.isfinite() & cas.isfinite()).all()):
        return None
    active = highest.gt(0).nonzero().squeeze(1)
    return SparseRow(
        active.to("cpu").numpy().astype(np.int32),
        cas[active].to("cpu").numpy().astype(np.float32),
        peaks[active].to("cpu").numpy().astype(np.int32),
    )
