"""From a span's tokens to one sparse row per item: the concept activation score (CAS).

``mean`` [paper]: ``CAS(c, x) = (1 / |S(x)|) * sum over t in S(x) of z_c(t)``; ``max`` [ours]: the largest.
Per-token latents live only inside one chunk and are never kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from competency_gaps.sae.load import SparseAutoencoder

if TYPE_CHECKING:
    import torch

CHUNK_ELEMENTS = 16_000_000
"""Latents (tokens x SAE width) that are dense in memory at once."""
GPU_FACTOR = 16
"""So many times more on a GPU, which needs large products to be busy: 1 GiB in float32."""


class SparseRow(NamedTuple):
    """One item's concepts."""

    concepts: np.ndarray
    """int32 of shape (active,), ascending: the concepts active somewhere in the span."""
    cas: np.ndarray
    """float32 of shape (active,), > 0: their concept activation scores."""
    peaks: np.ndarray
    """int32 of shape (active,): index, inside the span, of the token where each is strongest (the first if tied)."""


def pool(sae: SparseAutoencoder, spans: Sequence[torch.Tensor], pooling: Literal["mean", "max"]) -> list[SparseRow]:
    """Encode spans and reduce each to its sparse row.

    Parameters
    ----------
    spans : sequence of torch.Tensor, each of shape (span tokens, d_in)
        Every span holds at least one token.

    Returns
    -------
    list of SparseRow
        One per span, equal to SAELens' ``encode`` followed by a plain mean (maximum) over tokens.
    """
    import torch

    on_gpu = sae.sae.device.type == "cuda"
    longest = max(1, CHUNK_ELEMENTS * (GPU_FACTOR if on_gpu else 1) // sae.d_sae)
    rows: list[SparseRow] = []
    group: list[torch.Tensor] = []
    size = 0
    with torch.inference_mode():
        for span in spans:
            if group and size + len(span) > longest:
                rows += _pool_group(sae, group, pooling)
                group, size = [], 0
            if len(span) > longest:
                rows.append(_pool_long(sae, span, pooling, longest))
            else:
                group.append(span)
                size += len(span)
        if group:
            rows += _pool_group(sae, group, pooling)
    return rows


def _pool_group(sae: SparseAutoencoder, spans: list[torch.Tensor], pooling: str) -> list[SparseRow]:
    import torch

    latents = sae.encode(torch.cat(spans))
    rows, start = [], 0
    for span in spans:
        part = latents[start : start + len(span)]
        start += len(span)
        highest, peaks = part.max(dim=0)
        rows.append(_row(part.float().mean(dim=0) if pooling == "mean" else highest.float(), highest, peaks))
    return rows


def _pool_long(sae: SparseAutoencoder, span: torch.Tensor, pooling: str, longest: int) -> SparseRow:
    """A span that is encoded in several chunks."""
    import torch

    total = highest = peaks = None
    for start in range(0, len(span), longest):
        part = sae.encode(span[start : start + longest])
        part_sum = part.double().sum(dim=0)
        part_highest, part_peaks = part.max(dim=0)
        if total is None or highest is None or peaks is None:
            total, highest, peaks = part_sum, part_highest, part_peaks
            continue
        total += part_sum
        peaks = torch.where(part_highest > highest, part_peaks + start, peaks)
        highest = torch.maximum(highest, part_highest)
    assert total is not None and highest is not None and peaks is not None
    return _row((total / len(span)).float() if pooling == "mean" else highest.float(), highest, peaks)


def _row(cas: torch.Tensor, highest: torch.Tensor, peaks: torch.Tensor) -> SparseRow:
    active = highest.gt(0).nonzero().squeeze(1)
    return SparseRow(
        active.to("cpu").numpy().astype(np.int32),
        cas[active].to("cpu").numpy().astype(np.float32),
        peaks[active].to("cpu").numpy().astype(np.int32),
    )
