"""The concepts whose decoder directions are nearest: what a concept is like, without any text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from competency_gaps.progress import Progress
from competency_gaps.sae.load import SparseAutoencoder

if TYPE_CHECKING:
    import torch

FILE = "similar.parquet"
CHUNK_ELEMENTS = 16_000_000
"""Cosines (concepts x concepts) that are dense in memory at once."""


def similar_concepts(sae: SparseAutoencoder, count: int = 10, progress: Progress | None = None) -> pl.DataFrame:
    """Find each concept's nearest others by the cosine of their decoder directions.

    All pairs are compared, a block of concepts at a time, on the SAE's device in float32: 65,536 concepts of width 576
    take some 80 seconds on two cores.

    Parameters
    ----------
    count
        Neighbours of each concept; fewer where the SAE has no more.

    Returns
    -------
    polars.DataFrame
        One row per concept, in order: ``concept`` (int32), ``similar`` (list of int32, the nearest first, itself left
        out; equally near ones by number) and ``cosine`` (list of float32 in [-1, 1]). A zero direction has no angle:
        its lists are empty, and it is nobody's neighbour.
    """
    import torch

    decoder = sae.sae.W_dec.detach().float()
    norms = decoder.norm(dim=1)
    alive = norms > 0
    count = min(count, max(int(alive.sum()) - 1, 0))
    norms = norms.clamp_min(1e-30)
    step = max(1, CHUNK_ELEMENTS // len(decoder))
    near, cosine = [], []
    stage = (progress or Progress(quiet=True)).stage("finding similar concepts", total=len(decoder), unit="concepts")
    with torch.inference_mode(), stage as bar:
        for start in range(0, len(decoder), step):
            block = decoder[start : start + step]
            # Divided afterwards: a second, normalised decoder is not held.
            cosines = (block / norms[start : start + step, None]) @ decoder.T
            cosines /= norms
            cosines[:, ~alive] = -torch.inf
            cosines.diagonal(start).fill_(-torch.inf)
            values, places = _in_order(*cosines.topk(count, dim=1))
            near.append(places.int().cpu())
            cosine.append(values.clamp(-1, 1).cpu())
            bar.advance(len(block))
    return pl.DataFrame(
        {
            "concept": pl.Series(range(len(decoder)), dtype=pl.Int32),
            "similar": _lists(torch.cat(near), alive, pl.Int32),
            "cosine": _lists(torch.cat(cosine), alive, pl.Float32),
        }
    )


def _in_order(values: torch.Tensor, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Equally near ones by number: ``topk`` leaves their order open."""
    places, order = places.sort(dim=1)
    values, again = values.gather(1, order).sort(dim=1, descending=True, stable=True)
    return values, places.gather(1, again)


def _lists(numbers: torch.Tensor, alive: torch.Tensor, kind: type[pl.DataType]) -> pl.Series:
    rows = pl.Series(numbers.numpy()).cast(pl.List(kind))
    return (
        rows if bool(alive.all()) else rows.zip_with(pl.Series(alive.cpu().numpy()), pl.Series([[]], dtype=rows.dtype))
    )
